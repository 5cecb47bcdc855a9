"""The segmenters by the name that `segmenters.<name>.method` gives.

Each maps a smoothed relevance map (H, W) in 0…1 and its own settings to a mask (H, W) bool.
"""

from segxai.segmenters.morphology import morphology
from segxai.segmenters.ncut import ncut

RELEVANCE_SEGMENTERS = {"morphology": morphology, "ncut": ncut}
