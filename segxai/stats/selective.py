"""Failure detection and selective prediction: how well a confidence ranks correct predictions.

A confidence is any score that is higher for predictions to be trusted more: SegU's, or one of the
baselines below. `correct` marks the correct predictions. All areas have the same arguments, depend
only on the order of the confidences, and treat equal confidences alike.
"""

import numpy as np

from segxai.metrics.overlap import binary


def auroc(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None
) -> float | np.ndarray:
    """Probability that a correct prediction has a higher confidence than an incorrect one.

    Equal confidences count one half: the area under the ROC curve of failure detection.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
    correct : ndarray of shape (n,), bool or 0/1
    weights : ndarray of int, (..., n), optional
        Count of each prediction, for instance in each of many bootstrap samples; 1 by default.

    Returns
    -------
    float in 0…1, or with weights ndarray of shape (...)
        0.5 for an uninformative confidence; NaN unless there are correct and incorrect predictions.

    Raises
    ------
    ValueError
        If the shapes differ, or a confidence is NaN: the caller must decide how to rank it.

    References
    ----------
    Hanley & McNeil, Radiology 143:29, 1982; as a measure of failure detection, Hendrycks & Gimpel,
    ICLR 2017, arXiv:1610.02136.
    """
    accepted, errors = _accepted(confidence, correct, weights)
    right = accepted - errors
    with np.errstate(invalid="ignore"):
        return np.trapezoid(right, errors, axis=-1) / (right[..., -1] * errors[..., -1])


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk–coverage curve: the error rate among the most confident predictions.

    Parameters and errors: see :func:`auroc`, without weights.

    Returns
    -------
    coverage : ndarray of shape (m,), ascending to 1
        Share of the predictions that are accepted, for each of the m distinct confidences as the
        threshold: equal confidences are accepted together.
    risk : ndarray of shape (m,), in 0…1
        Share of errors among the accepted.

    References
    ----------
    El-Yaniv & Wiener, JMLR 11:1605, 2010; Geifman & El-Yaniv, NeurIPS 2017, arXiv:1705.08500.
    """
    accepted, errors = _accepted(confidence, correct)
    return accepted[1:] / len(correct), errors[1:] / accepted[1:]


def aurc(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None
) -> float | np.ndarray:
    r"""Area under the risk–coverage curve.

    .. math:: \mathrm{AURC} = \frac1n \sum_{k=1}^{n} r(k)

    r(k) is the share of errors among the k most confident predictions; within a group of equal
    confidences its expectation over their random order. For an uninformative confidence it is the
    error rate e; at best, with all m errors last, Σⱼ j/(n − m + j) / n for j = 1…m.

    Parameters and errors: see :func:`auroc`.

    Returns
    -------
    float in 0…1, or with weights ndarray of shape (...), lower is better
        0 without errors and 1 without correct predictions, whatever the confidence; NaN for n = 0.

    References
    ----------
    Geifman, Uziel & El-Yaniv, ICLR 2019, arXiv:1805.08206.
    """
    accepted, errors = _accepted(confidence, correct, weights)
    more, wrong = np.diff(accepted), np.diff(errors)
    # Within ties the errors grow as a + b·k, and the sum of a/k + b has a closed form.
    b = wrong / np.maximum(more, 1)
    a = errors[..., :-1] - b * accepted[..., :-1]
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, accepted.max(initial=0) + 1)))
    with np.errstate(invalid="ignore"):
        return (a * np.diff(harmonic[accepted]) + wrong).sum(axis=-1) / accepted[..., -1]


def augrc(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None
) -> float | np.ndarray:
    r"""Area under the generalised risk–coverage curve: the mean risk of an undetected failure.

    The generalised risk is the share, of all predictions, of accepted errors: coverage · risk. The
    area is taken by the trapezoidal rule from the origin through every distinct confidence; with
    the error rate e it is then

    .. math:: \mathrm{AUGRC} = e (1 - e) (1 - \mathrm{AUROC}) + e^2 / 2

    Parameters and errors: see :func:`auroc`.

    Returns
    -------
    float in 0…½, or with weights ndarray of shape (...), lower is better
        0 without errors and ½ without correct predictions, whatever the confidence; NaN for n = 0.

    References
    ----------
    Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification Systems,
    NeurIPS 2024, arXiv:2407.01032.
    """
    accepted, errors = _accepted(confidence, correct, weights)
    with np.errstate(invalid="ignore"):
        return np.trapezoid(errors, accepted, axis=-1) / accepted[..., -1] ** 2


def two_outcomes(probability: np.ndarray, threshold: float | np.ndarray = 0.5) -> np.ndarray:
    r"""Distribution over absent and present for each label of a multi-label sigmoid.

    A label with the threshold τ is most uncertain at τ. The odds are therefore divided by those of
    the threshold, which moves the threshold to ½ (Elkan, IJCAI 2001, §3):

    .. math:: q = \frac{p (1 - \tau)}{p (1 - \tau) + \tau (1 - p)}

    Returns 1 − q and q on a last axis for probabilities of any shape, and thresholds in 0…1,
    exclusively, that are broadcast against them; NaN where a threshold is NaN.
    """
    probability = np.asarray(probability, dtype=np.float64)
    present, absent = probability * (1 - threshold), threshold * (1 - probability)
    return np.stack([absent, present], axis=-1) / (present + absent)[..., None]


def maximum_probability(distribution: np.ndarray) -> np.ndarray:
    """Confidence by the probability of the likeliest outcome: (..., C) in 0…1 to (...).

    Baseline of Hendrycks & Gimpel, ICLR 2017, arXiv:1610.02136.
    """
    return distribution.max(axis=-1)


def entropy_confidence(distribution: np.ndarray) -> np.ndarray:
    r"""Confidence by normalised entropy, 1 − H / ln C: (..., C) in 0…1 to (...).

    1 where one outcome is certain, 0 where all are equally likely. With two outcomes the order is
    that of :func:`maximum_probability`, and so is every area above; the mean over the labels of an
    image is another confidence (Park & Read, IDA 2015, normalised entropy).
    """
    surprise = -np.log(distribution, where=distribution > 0, out=np.zeros(distribution.shape))
    entropy = (distribution * surprise).sum(axis=-1)
    return 1 - entropy / np.log(distribution.shape[-1])


def label_confidences(
    probabilities: np.ndarray, thresholds: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in one predicted label of each image, by probability and by entropy.

    Parameters
    ----------
    probabilities : ndarray of shape (n, C), in 0…1
    thresholds : ndarray of shape (C,)
        See :func:`two_outcomes`; NaN for a class without one. All NaN: the probabilities are those
        of classes that exclude each other.
    labels : ndarray of int, (n,)
        Index of the predicted class.

    Returns
    -------
    maximum : ndarray of shape (n,), in 0…1
        :func:`maximum_probability` of the label, or of the classes.
    entropy : ndarray of shape (n,), in 0…1
        :func:`entropy_confidence`, averaged over the labels that have a threshold, or of the
        classes.
    """
    if np.isnan(thresholds).all():
        return maximum_probability(probabilities), entropy_confidence(probabilities)
    known = ~np.isnan(thresholds)
    outcomes = two_outcomes(probabilities[:, known], thresholds[known])
    place = np.cumsum(known)[labels] - 1
    own = outcomes[np.arange(len(labels)), place]
    return maximum_probability(own), entropy_confidence(outcomes).mean(axis=1)


def segmentation_confidence(probability: np.ndarray) -> np.ndarray:
    """Confidence of a segmenter in its own mask: mean over the predicted foreground of 1 − H.

    H is the entropy of a pixel in bits: the score is one minus the mean entropy over a predicted
    segment, by which Mehrtash et al. (IEEE TMI 39:3868, 2020) predict its quality.

    Parameters
    ----------
    probability : ndarray of shape (..., H, W), in 0…1
        Foreground is what exceeds ½.

    Returns
    -------
    ndarray of shape (...), in 0…1
        0 where the foreground is empty, as is c_IoU.
    """
    foreground = probability > 0.5
    certainty = np.where(foreground, entropy_confidence(two_outcomes(probability)), 0)
    return certainty.sum(axis=(-2, -1)) / np.maximum(foreground.sum(axis=(-2, -1)), 1)


def _accepted(
    confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Count accepted predictions and errors among them, from 0, per distinct confidence."""
    confidence, correct = np.asarray(confidence, dtype=np.float64), binary(correct, "correct")
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        shapes = f"{confidence.shape} and {correct.shape}"
        raise ValueError(f"confidence and correct must both have shape (n,), not {shapes}.")
    if n := np.isnan(confidence).sum():
        raise ValueError(f"{n} confidences are NaN; leave these predictions out or rank them last.")
    if weights is None:
        weights = np.ones(len(correct), dtype=np.int64)
    _, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    order, last = np.argsort(group, kind="stable"), np.cumsum(sizes) - 1
    none = np.zeros((*weights.shape[:-1], 1), dtype=np.int64)
    return tuple(
        np.concatenate([none, np.cumsum(counts[..., order], axis=-1)[..., last]], axis=-1)
        for counts in (weights, weights * ~correct)
    )
