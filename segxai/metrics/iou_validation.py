"""IoU of as many of a map's top pixels as the validation images suggest."""

from functools import partial

import numpy as np

from segxai.metrics.chance import hits, on_reference

ABOUT = {
    "title": "IoU at the validation size", "cites": "", "family": "localisation",
    "direction": "higher", "range": [None, 1], "reads": ["view", "reference", "validation_size"],
    "undefined": "The reference is empty or unknown, or no validation image has an outline.",
    "settings": {
        "scale": {"enum": ["raw", "above_chance"], "default": "raw",
                  "description": "As it is, or 0 at chance and 1 at best"},
    },
}  # fmt: skip


def measure(case, scale):
    r"""IoU of the map's top pixels, a share q of the image, and the reference, of a share a.

    .. math:: c(a) = \frac{q a}{q + a - q a}, \quad m(a) = \frac{\min(a, q)}{\max(a, q)}

    are chance, where pixels of equal value share their places, and the IoU of a map of perfect
    order. q is chosen on the validation images by :func:`best_size`, for all explainers alike: a
    threshold for each would need explanations of validation images, and tune what is compared. See
    :func:`segxai.metrics.chance.on_reference`.
    """
    if case.view is None or case.validation_size is None:
        return np.nan
    k = max(1, round(case.validation_size * np.size(case.view)))
    q = k / np.size(case.view)

    def bounds(a):
        return q * a / (q + a - q * a), min(q, a) / max(q, a)

    return on_reference(case, partial(_iou, k=k), scale, bounds)


def best_size(shares: np.ndarray) -> float | None:
    r"""Choose the share q of an image at which a map of perfect order has the highest mean IoU.

    .. math:: \arg\max_q \frac1n \sum_i \frac{\min(a_i, q)}{\max(a_i, q)}

    Between two of the shares the mean is convex, so one of them has the maximum.

    Parameters
    ----------
    shares : ndarray of shape (n,), in 0…1
        Sizes a of references, none of them 0.

    Returns
    -------
    float
        None without any.
    """
    values = np.unique(shares)
    means = [np.mean(np.minimum(shares, q) / np.maximum(shares, q)) for q in values]
    return float(values[np.argmax(means)]) if len(values) else None


def _iou(view, reference, k):
    found = hits(view, reference, k)
    return found / (k + reference.sum() - found)
