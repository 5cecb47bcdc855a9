"""What a metric is given: one map or mask, and what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segxai.metrics.squares import Response


@dataclass(frozen=True)
class Case:
    """One map or mask of one image, and all that a metric may compare it with.

    A metric reads what its ``ABOUT`` names, and gives NaN where that is None, and only there.

    Attributes
    ----------
    view : ndarray of shape (H, W), float64, ≥ 0, optional
        The map that is scored.
    within : ndarray of shape (H, W), bool or 0/1, optional
        Every thresholding of the map is met with this mask: SegX that thresholds first.
    mask : ndarray of shape (H, W), bool or 0/1, optional
        The predicted mask that is scored: a segmenter's.
    reference : ndarray of shape (H, W), bool or 0/1, optional
        What the map or mask is compared with; None where it is unknown, or where there is nothing
        to be shown. Metrics that read ``absence`` are given an empty one too.
    instances : ndarray of shape (H, W), int, optional
        Number of the true object of each pixel, 0 for none; None where there is no object.
    probabilities : ndarray of shape (C,), in 0…1, optional
        What the network gives each class.
    thresholds : ndarray of shape (C,), in 0…1, optional
        Above which a class is predicted; NaN for a class without one, all NaN for classes that
        exclude each other.
    label : int, optional
        Index of the explained class.
    segmentation_confidence : float in 0…1
        The segmenter's own confidence in its mask; NaN where it has none.
    attribution : ndarray of shape (h, w), float32, optional
        The signed attribution, summed over channels, at the network's resolution.
    curves : dict of (str, int, str) to ndarray of shape (2, steps + 1), optional
        By fill, steps and scale: logit or probability of the target along deletion and insertion of
        the pixels in the attribution's order.
    responses : dict of str to segxai.metrics.squares.Response, optional
        By fill: how much the target's logit falls without sets of squares.
    facts : mapping, optional
        Of the attribution: ``completeness_error, gradients, forwards, seconds, peak_bytes``.
    """

    view: np.ndarray | None = None
    within: np.ndarray | None = None
    mask: np.ndarray | None = None
    reference: np.ndarray | None = None
    instances: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    thresholds: np.ndarray | None = None
    label: int | None = None
    segmentation_confidence: float = np.nan
    attribution: np.ndarray | None = None
    curves: Mapping[tuple[str, int, str], np.ndarray] | None = None
    responses: Mapping[str, Response] | None = None
    facts: Mapping[str, float] | None = None
