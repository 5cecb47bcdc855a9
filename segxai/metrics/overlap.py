"""Overlap of masks."""

import numpy as np


def iou(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    r"""Intersection over union, ``|P ∩ T| / |P ∪ T|``.

    Parameters
    ----------
    prediction, target : ndarray of shape (..., H, W), bool or 0/1

    Returns
    -------
    ndarray of shape (...), float64 in 0…1
        NaN where both masks are empty.

    Raises
    ------
    ValueError
        If the shapes differ or values other than 0 and 1 occur.
    """
    intersection, p, t = _counts(prediction, target)
    return _ratio(intersection, p + t - intersection)


def dice(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    r"""Dice coefficient, ``2 |P ∩ T| / (|P| + |T|)``.

    Parameters, returns and errors: see :func:`iou`. The two are related by
    ``dice = 2 iou / (1 + iou)``.
    """
    intersection, p, t = _counts(prediction, target)
    return _ratio(2 * intersection, p + t)


def binary(mask: np.ndarray, name: str) -> np.ndarray:
    """Return a mask of 0 and 1 as bool; ValueError with its `name` for any other value."""
    mask = np.asarray(mask)
    if mask.dtype != bool:
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(f"{name} must hold 0 and 1 only; threshold it first.")
        mask = mask.astype(bool)
    return mask


def _counts(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    prediction, target = binary(prediction, "prediction"), binary(target, "target")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction is {prediction.shape}, but target is {target.shape}.")
    masks = (prediction & target, prediction, target)
    return tuple(mask.sum(axis=(-2, -1), dtype=np.int64) for mask in masks)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.divide(numerator, denominator, dtype=np.float64)
