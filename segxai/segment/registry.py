"""The segmenters by their names in the configuration."""

from segxai.segment import maskcut, tokencut
from segxai.segment.morphology import morphology
from segxai.segment.ncut import ncut

# By `segmenters.<name>.method`: each maps a smoothed relevance map (H, W) in 0…1 and its own
# settings to a mask (H, W) bool.
RELEVANCE_SEGMENTERS = {"morphology": morphology, "ncut": ncut}

# By name in `baselines`: each maps the keys (h, w, d) of an image, the image (H, W, 3) and its own
# settings to a mask (H, W) bool and the cuts that led to it.
TOKEN_SEGMENTERS = {"tokencut": tokencut.segment, "maskcut": maskcut.segment}
