"""The chain of ExplainSeg on one image: explanation map, coarse mask, refined mask."""

import numpy as np

from segxai.segmenters.crf import dense_crf, foreground_probability
from segxai.segmenters.registry import RELEVANCE_SEGMENTERS
from segxai.views.fusion import fuse
from segxai.views.grey import smooth


def explanation(relevance: np.ndarray, component: np.ndarray | None, smoothing: dict) -> np.ndarray:
    """Smoothed relevance (H, W) in 0…1, fused with a feature map where one is given."""
    grey = smooth(relevance, **smoothing)
    return grey if component is None else fuse(grey, component)


def segment(maps: tuple[np.ndarray, np.ndarray | None], method: str, settings: dict) -> np.ndarray:
    """Coarse mask (H, W) bool of one image from its (relevance, feature map or None)."""
    grey = explanation(*maps, settings["smoothing"])
    return RELEVANCE_SEGMENTERS[method](grey, **settings.get(method, {}))


def refine(
    item: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray | None]], settings: dict
) -> np.ndarray:
    """Refined mask (H, W) bool of one image.

    `item` holds the image (H, W, 3), its coarse mask (H, W) and its (relevance, feature map or
    None).
    """
    image, mask, maps = item
    crf = dict(settings["crf"])
    grey = explanation(*maps, settings["smoothing"])
    probability = foreground_probability(mask, grey, crf.pop("mask_weight"))
    return dense_crf(image, probability, **crf)
