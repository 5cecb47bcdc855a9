"""Predicted mask of a segmentation network, with its confidence."""

import numpy as np

from segxai.stats.selective import segmentation_confidence

ABOUT = {
    "title": "Predicted mask", "cites": "", "reads": ["network"],
    "facts": ["mask_fraction", "confidence"], "settings": {},
}  # fmt: skip


def segment(probability: np.ndarray) -> tuple[np.ndarray, dict]:
    """Pixels of probability above ½.

    Parameters
    ----------
    probability : ndarray of shape (C, H, W), in 0…1
        Of each output channel, at the analysis size.

    Returns
    -------
    mask : ndarray of shape (H, W), or (C, H, W) for more than one channel, bool
    facts : dict
        mask_fraction, the share of the image, and confidence
        (:func:`segxai.stats.selective.segmentation_confidence`); of more than one channel, each
        with its number at the end: ``confidence_0``, ``confidence_1``, ….
    """
    mask = probability > 0.5
    facts = {
        "mask_fraction": mask.mean(axis=(1, 2)),
        "confidence": segmentation_confidence(probability),
    }
    if len(mask) == 1:
        return mask[0], {name: float(values[0]) for name, values in facts.items()}
    return mask, {
        f"{name}_{channel}": float(value)
        for name, values in facts.items()
        for channel, value in enumerate(values)
    }
