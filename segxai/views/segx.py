"""SegX and SegU: an explanation confined to a segmentation, and how well the two agree.

SegX refines a map by a segmenter's mask (:func:`segx`). Against the ground truth, explanations are
scored by IoU@5 % (:func:`iou_at`) and the area under the IoU–threshold curve (:func:`auitc`).

SegU's certainty scores are these two functions with another reference: c_IoU (eq. 9) is `iou_at`
and c_AUITC (eq. 10) is `auitc` of the *original* map against the *predicted* segmentation.

The lowest value of a map is no saliency: a pixel that has it is never part of an explanation. So a
constant map explains nothing (its masks are empty, its scores 0), nothing outside a segmentation
is part of a SegX explanation, and no band of ties from the first pixel on fills up the top 5 % of
a map that is zero almost everywhere. The official code's strict threshold does the same.

References
----------
Zhang, Zhu & Luo, SegX: Improving Interpretability of Clinical Image Diagnosis with
Segmentation-based Enhancement, 2025. Equation numbers are its own.
"""

import numpy as np

from segxai.metrics.overlap import binary, iou
from segxai.views.grey import unit_range

FRACTION = 0.05
ALIGNMENT_SCORES = (
    "iou_original",
    "iou_segx",
    "iou_segx_threshold_first",
    "auitc_original",
    "auitc_segx",
    "auitc_segx_threshold_first",
    "auitc_quantile_original",
    "auitc_quantile_segx",
    "iou_segmentation",
    "ceiling",
    "ceiling_sparse",
)
CERTAINTY_SCORES = ("c_iou", "c_auitc")


def top_fraction(saliency: np.ndarray, fraction: float = FRACTION) -> np.ndarray:
    """Mark the most salient pixels of a map (SegX, Disease Diagnosis and XAI).

    Parameters
    ----------
    saliency : ndarray of shape (H, W)
    fraction
        Share of the image, in 0…1.

    Returns
    -------
    ndarray of shape (H, W), bool
        k = round(`fraction`·H·W) pixels, at least 1; of equal ones those of lower flat index.
        Fewer only where fewer than k exceed the map's lowest value: none where it is constant.

    Raises
    ------
    ValueError
        If the map is not 2-D or not finite, or the fraction is not between 0 and 1.
    """
    flat = _checked(saliency).ravel()
    k = _pixels_of(fraction, flat.size)
    threshold = np.partition(flat, -k)[-k]
    mask = flat > threshold
    if threshold > flat.min():
        ties = np.flatnonzero(flat == threshold)
        mask[ties[: k - mask.sum()]] = True
    return mask.reshape(np.shape(saliency))


def segx(saliency: np.ndarray, segmentation: np.ndarray) -> np.ndarray:
    """Refine a map by a segmentation, m_seg · m_xai (eq. 7).

    Parameters
    ----------
    saliency : ndarray of shape (..., H, W), ≥ 0
    segmentation : ndarray of shape (..., H, W), bool or 0/1

    Returns
    -------
    ndarray of shape (..., H, W)
        All zero where the segmentation is empty.

    Raises
    ------
    ValueError
        If saliency is negative anywhere: the zeros outside would then outrank it.
    """
    if (np.asarray(saliency) < 0).any():
        raise ValueError("SegX needs a map ≥ 0; take the magnitude or the positive part first.")
    return saliency * binary(segmentation, "segmentation")


def explanation_mask(
    saliency: np.ndarray, segmentation: np.ndarray, order: str, fraction: float = FRACTION
) -> np.ndarray:
    """SegX's explanation as a mask: refine the map, then take its top fraction, or vice versa.

    Parameters
    ----------
    saliency, segmentation : ndarray of shape (H, W)
        See :func:`segx`.
    order
        ``"map"``: the top fraction of the refined map (eq. 7, and the official code), all of the
        segmentation's salient pixels where these are fewer. ``"mask"``: the part of the original
        map's top fraction that lies in the segmentation (eq. 6).
    fraction
        See :func:`top_fraction`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Within the segmentation, for either order.
    """
    if order == "map":
        return top_fraction(segx(saliency, segmentation), fraction)
    if order == "mask":
        return top_fraction(saliency, fraction) & binary(segmentation, "segmentation")
    raise ValueError(f"order must be 'map' or 'mask', got {order!r}.")


def iou_at(saliency: np.ndarray, reference: np.ndarray, fraction: float = FRACTION) -> float:
    """IoU of a map's top fraction with a reference mask: IoU@5 % (eq. 11) and c_IoU (eq. 9).

    Parameters
    ----------
    saliency : ndarray of shape (H, W)
    reference : ndarray of shape (H, W), bool or 0/1
        The ground truth for IoU@5 %, the predicted segmentation for c_IoU.
    fraction
        See :func:`top_fraction`.

    Returns
    -------
    float in 0…1
        0 where only the reference is empty or only the map constant; NaN where both are.
    """
    return float(iou(top_fraction(saliency, fraction), reference))


def iou_ceiling(truth: np.ndarray, fraction: float = FRACTION, sparse: bool = False) -> float:
    r"""Largest IoU@fraction that a map can reach, given the size of what it should show.

    .. math:: \frac{\min(k, |T|)}{\max(k, |T|)}, \quad \text{or} \quad \min(1, k / |T|)
              \text{ for sparse maps}

    Parameters
    ----------
    truth : ndarray of shape (H, W), bool or 0/1
        T.
    fraction
        See :func:`top_fraction`, which defines k.
    sparse
        False for a map with at least k pixels above its lowest value, as explainers give them. True
        for any map: SegX in either order may mark fewer than k pixels, and reaches this ceiling
        with the true mask as its segmentation.

    Returns
    -------
    float in 0…1
        NaN where the truth is empty.
    """
    area = int(binary(truth, "truth").sum())
    k = _pixels_of(fraction, np.size(truth))
    if area == 0:
        return np.nan
    return min(1.0, k / area) if sparse else min(k, area) / max(k, area)


def auitc(
    saliency: np.ndarray,
    reference: np.ndarray,
    axis: str = "value",
    n: int = 100,
    within: np.ndarray | None = None,
) -> float:
    r"""Area under the IoU–threshold curve, AUITC (eq. 12) and c_AUITC (eq. 10).

    .. math:: \int_0^1 \mathrm{IoU}(R, \{m > \tau\})\, d\tau
              \approx \frac1n \sum_{i=0}^{n-1} \mathrm{IoU}(R, \{m > \tau_i\})

    Parameters
    ----------
    saliency : ndarray of shape (H, W)
    reference : ndarray of shape (H, W), bool or 0/1
        R: the ground truth for AUITC, the predicted segmentation for c_AUITC.
    axis
        What the paper leaves open. ``"value"``: τᵢ are the midpoints (i + ½)/n of the map scaled to
        0…1. ``"quantile"``: τᵢ are the map's quantiles at these midpoints, so that the map counts
        only by its ranks.
    n
        Number of thresholds.
    within : ndarray of shape (H, W), bool or 0/1, optional
        Meet every thresholded map with this mask: SegX in the order ``"mask"``. In the order
        ``"map"``, give the refined map as `saliency` instead.

    Returns
    -------
    float in 0…1
        0 where only the reference is empty or only the map constant; NaN where both are.
    """
    saliency, reference = _checked(saliency), binary(reference, "reference")
    explained = np.ones_like(reference) if within is None else binary(within, "within")
    if not saliency.shape == reference.shape == explained.shape:
        shapes = f"{saliency.shape}, {reference.shape} and {explained.shape}"
        raise ValueError(f"map, reference and mask must have one shape, not {shapes}.")
    odd = 2 * np.arange(n) + 1
    if axis == "value":
        saliency, thresholds = unit_range(saliency), odd / (2 * n)
    elif axis == "quantile":
        # The smallest value below or at which a share of odd/2n of the pixels lies.
        thresholds = np.sort(saliency, axis=None)[(odd * saliency.size - 1) // (2 * n)]
    else:
        raise ValueError(f"axis must be 'value' or 'quantile', got {axis!r}.")
    marked = _count_above(saliency[explained], thresholds)
    shared = _count_above(saliency[explained & reference], thresholds)
    union = reference.sum() + marked - shared
    return float(np.mean(shared / np.maximum(union, 1))) if union.any() else np.nan


def share_on(saliency: np.ndarray, region: np.ndarray) -> float:
    """Share of a map's sum that lies in a region, such as a planted shortcut.

    Parameters
    ----------
    saliency : ndarray of shape (H, W), ≥ 0
        A mask is a map of 0 and 1.
    region : ndarray of shape (H, W), bool or 0/1

    Returns
    -------
    float in 0…1
        NaN where the map is zero everywhere.
    """
    total = np.sum(saliency)
    return float(saliency[binary(region, "region")].sum() / total) if total > 0 else np.nan


def alignment_scores(
    saliency: np.ndarray, segmentation: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Score one explanation, as it is and refined by SegX, against the ground truth (Table 3).

    Parameters
    ----------
    saliency : ndarray of shape (H, W), ≥ 0
    segmentation, truth : ndarray of shape (H, W), bool or 0/1

    Returns
    -------
    dict
        iou_original, iou_segx, iou_segx_threshold_first (:func:`iou_at`; SegX in the orders ``map``
        and ``mask``), auitc_original, auitc_segx, auitc_segx_threshold_first,
        auitc_quantile_original, auitc_quantile_segx (:func:`auitc`), iou_segmentation (of the
        segmentation alone), ceiling and ceiling_sparse (:func:`iou_ceiling`). All NaN where the
        truth is empty: an explanation cannot be aligned with what is not there.
    """
    refined = segx(saliency, segmentation)
    if not binary(truth, "truth").any():
        return dict.fromkeys(ALIGNMENT_SCORES, np.nan)
    scores = (
        iou_at(saliency, truth),
        iou_at(refined, truth),
        float(iou(explanation_mask(saliency, segmentation, "mask"), truth)),
        auitc(saliency, truth),
        auitc(refined, truth),
        auitc(saliency, truth, within=segmentation),
        auitc(saliency, truth, "quantile"),
        auitc(refined, truth, "quantile"),
        float(iou(segmentation, truth)),
        iou_ceiling(truth),
        iou_ceiling(truth, sparse=True),
    )
    return dict(zip(ALIGNMENT_SCORES, scores, strict=True))


def certainty_scores(saliency: np.ndarray, segmentation: np.ndarray) -> dict[str, float]:
    """SegU of one explanation: c_iou (eq. 9) and c_auitc (eq. 10); see :func:`iou_at`."""
    scores = iou_at(saliency, segmentation), auitc(saliency, segmentation)
    return dict(zip(CERTAINTY_SCORES, scores, strict=True))


def _count_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="right")


def _pixels_of(fraction: float, size: int) -> int:
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}.")
    return max(1, round(fraction * size))


def _checked(saliency: np.ndarray) -> np.ndarray:
    saliency = np.asarray(saliency, dtype=np.float64)
    if saliency.ndim != 2:
        raise ValueError(f"a map must have shape (H, W), got {saliency.shape}.")
    if not np.isfinite(saliency).all():
        n = np.count_nonzero(~np.isfinite(saliency))
        raise ValueError(f"the map is NaN or infinite at {n} pixels; explain the image again.")
    return saliency
