"""Scores of single objects, such as nuclei: AJI and panoptic quality.

Objects are whole numbers in an array of pixels, 0 for background; the choice of numbers does not
matter.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage, sparse

from segxai.job.log import log
from segxai.metrics.overlap import binary

# Two objects with a larger IoU match, and neither can match another: Kirillov et al., §4.1.
MATCH = 0.5


def components(mask: np.ndarray) -> np.ndarray:
    """Single objects of a mask: its 4-connected components.

    Touching objects become one: a mask does not separate them.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool or 0/1

    Returns
    -------
    ndarray of shape (H, W), int32
        1…k in each of the k objects, 0 in the background.

    Raises
    ------
    ValueError
        If the mask holds anything but 0 and 1.
    """
    return ndimage.label(binary(mask, "mask"))[0]


def warn_of_components(annotated: pd.Series) -> None:
    """Log the number of images (0 in `annotated`) whose true objects are :func:`components`."""
    if guessed := int((annotated == 0).sum()):
        log.warning(
            "%d of %d images have no numbers of objects: connected components of their true masks "
            "take their place, so that objects that touch are one",
            *(guessed, len(annotated)),
        )


def aji(prediction: np.ndarray, target: np.ndarray) -> float:
    r"""Aggregated Jaccard index.

    .. math:: \mathrm{AJI} = \frac{\sum_i |G_i \cap S_{j(i)}|}
                                  {\sum_i |G_i \cup S_{j(i)}| + \sum_{k \in N} |S_k|}

    :math:`S_{j(i)}` is the predicted object of the largest IoU with the true object :math:`G_i`, N
    the predicted objects that no true object chose. Several true objects may choose the same one.

    The paper leaves open the pairing of a true object without any overlap: here it has none, and
    its area is added to the denominator. Of equally good objects the first from the top left is
    chosen.

    Parameters
    ----------
    prediction, target : ndarray of shape (H, W), int
        Number of the object of each pixel, 0 for none.

    Returns
    -------
    float in 0…1
        At most the IoU of the two masks; NaN where there is neither a predicted nor a true object.

    Raises
    ------
    ValueError
        If the shapes differ, or they are not whole numbers from 0.

    References
    ----------
    Kumar et al., IEEE TMI 36(7):1550, 2017, Algorithm 1.
    """
    pairs = overlaps(prediction, target)
    # The best partner of each true object comes first.
    order = np.lexsort((pairs.predicted, -pairs.iou, pairs.true))
    best = order[np.unique(pairs.true[order], return_index=True)[1]]
    union = pairs.union[best].sum()
    union += np.delete(pairs.true_area, pairs.true[best]).sum()
    union += np.delete(pairs.predicted_area, pairs.predicted[best]).sum()
    return float(pairs.intersection[best].sum() / union) if union else np.nan


def panoptic_quality(prediction: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    r"""Panoptic quality of one class, and its two factors.

    .. math:: \mathrm{PQ} = \frac{\sum_{\mathrm{TP}} \mathrm{IoU}}
                                 {|\mathrm{TP}| + \frac12 |\mathrm{FP}| + \frac12 |\mathrm{FN}|}
                          = \mathrm{SQ} \cdot \mathrm{DQ}

    A true and a predicted object are a match (TP) where their IoU exceeds 0.5. Segmentation
    quality SQ is the mean IoU of the matches, detection quality DQ their F1 score, which the paper
    calls RQ.

    Parameters and errors: see :func:`aji`.

    Returns
    -------
    pq, sq, dq : float in 0…1
        All NaN where there is neither a predicted nor a true object. Without a match sq is 0, as in
        the authors' code (panopticapi), so every image with a true object counts.

    References
    ----------
    Kirillov et al., CVPR 2019, arXiv:1801.00868, eqs. 1 and 2.
    """
    pairs = overlaps(prediction, target)
    objects = len(pairs.true_area) + len(pairs.predicted_area)
    if not objects:
        return (np.nan,) * 3
    matches = pairs.iou[pairs.iou > MATCH]
    pq, dq = 2 * matches.sum() / objects, 2 * len(matches) / objects
    return float(pq), float(matches.mean()) if len(matches) else 0.0, dq


@dataclass(frozen=True)
class Overlaps:
    """Areas in pixels of the n true and m predicted objects, and of the p pairs that overlap.

    Attributes
    ----------
    true_area, predicted_area : ndarray of int, (n,) and (m,)
        In the order of the objects' first pixels.
    true, predicted : ndarray of int, (p,)
        Objects of each pair.
    intersection : ndarray of int, (p,)
        Shared pixels of each pair.
    """

    true_area: np.ndarray
    predicted_area: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    intersection: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Pixels of each pair."""
        areas = self.true_area[self.true] + self.predicted_area[self.predicted]
        return areas - self.intersection

    @property
    def iou(self) -> np.ndarray:
        """IoU of each pair."""
        return self.intersection / self.union


def overlaps(prediction: np.ndarray, target: np.ndarray) -> Overlaps:
    """Count the pixels of all objects and of all pairs that overlap, in one pass over the image.

    Parameters and errors: see :func:`aji`.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise ValueError(f"prediction is {prediction.shape}, but target is {target.shape}.")
    p, t = _numbered(prediction, "prediction"), _numbered(target, "target")
    true_area, predicted_area = np.bincount(t)[1:], np.bincount(p)[1:]
    both = (t > 0) & (p > 0)
    ones, shape = np.ones(both.sum(), np.int64), (len(true_area), len(predicted_area))
    # Building the sparse matrix adds the pixels of each pair up.
    pairs = sparse.csr_array((ones, (t[both] - 1, p[both] - 1)), shape).tocoo()
    return Overlaps(true_area, predicted_area, pairs.row, pairs.col, pairs.data)


def _numbered(ids: np.ndarray, name: str) -> np.ndarray:
    """Objects (H·W,) renumbered 1…k in the order of their first pixels."""
    if ids.dtype.kind not in "iu" or (ids.size and ids.min() < 0):
        raise ValueError(f"{name} must hold whole numbers from 0, one for each object.")
    # An added first pixel makes the background the first value.
    return pd.factorize(np.concatenate([[0], ids.ravel()]))[0][1:]
