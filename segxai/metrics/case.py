"""Case of a metric: one map or mask with its references."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segxai.metrics.disturbance import Disturbance
from segxai.metrics.squares import Response


@dataclass(frozen=True)
class Case:
    """One map or mask of one image, and everything that a metric may compare it with.

    A metric reads the attributes that its ``ABOUT`` names; it is NaN exactly where one is None.

    Attributes
    ----------
    view : ndarray of shape (H, W), float64, ≥ 0, optional
        The map that is scored.
    within : ndarray of shape (H, W), bool or 0/1, optional
        Each thresholded map is intersected with this mask (SegX, threshold first).
    mask : ndarray of shape (H, W), bool or 0/1, optional
        The segmenter's mask that is scored.
    reference : ndarray of shape (H, W), bool or 0/1, optional
        Reference of the map or mask; None where it is unknown or empty. Metrics that read
        ``absence`` also get an empty one.
    validation_size : float in 0…1, optional
        The share of an image that fits the findings of the validation images best; None where none
        of them is outlined.
    instances : ndarray of shape (H, W), int, optional
        Number of the true object of each pixel, 0 for none; None in an image without objects.
    probabilities : ndarray of shape (C,), in 0…1, optional
        Probability of each class by the network.
    thresholds : ndarray of shape (C,), in 0…1, optional
        A class is predicted above its threshold; NaN for a class without one, all NaN for classes
        that exclude each other.
    label : int, optional
        Index of the explained class.
    segmentation_confidence : float in 0…1
        The segmenter's own confidence in its mask; NaN where it has none.
    attribution : ndarray of shape (h, w), float32, optional
        The signed attribution, summed over channels, at the size of its explainer's maps.
    curves : dict of (str, int, str) to ndarray of shape (2, steps + 1), optional
        By fill, steps and scale: logit or probability of the target along deletion and insertion of
        the pixels in the attribution's order.
    responses : dict of str to segxai.metrics.squares.Response, optional
        By fill: how much the target's logit falls without sets of squares.
    disturbed : segxai.metrics.disturbance.Disturbance, optional
        How the attribution changes when its explainer is run again.
    other_seeds : tuple of ndarray of shape (h, w) or None, optional
        The attributions of the same image and class by the networks of the other seeds; None for a
        network that does not predict the class.
    facts : mapping, optional
        Of the attribution: ``completeness_error, gradients, forwards, seconds, peak_bytes``.
    """

    view: np.ndarray | None = None
    within: np.ndarray | None = None
    mask: np.ndarray | None = None
    reference: np.ndarray | None = None
    validation_size: float | None = None
    instances: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    thresholds: np.ndarray | None = None
    label: int | None = None
    segmentation_confidence: float = np.nan
    attribution: np.ndarray | None = None
    curves: Mapping[tuple[str, int, str], np.ndarray] | None = None
    responses: Mapping[str, Response] | None = None
    disturbed: Disturbance | None = None
    other_seeds: tuple[np.ndarray | None, ...] | None = None
    facts: Mapping[str, float] | None = None
