"""Selective prediction: how well a confidence tells right predictions from wrong ones.

A confidence is any score that is higher for predictions to be trusted more: SegU's, or one of the
baselines below. `correct` says which predictions are right. Every area has the same two arguments,
depends on the order of the confidences alone, and knows no order among equal ones.
"""

import numpy as np
from scipy.stats import rankdata

from segxai.metrics.overlap import binary


def auroc(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Probability that a right prediction has a higher confidence than a wrong one.

    Equal confidences count one half: the area under the ROC curve of failure detection, from the
    rank sum of the right predictions.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
    correct : ndarray of shape (n,), bool or 0/1

    Returns
    -------
    float in 0…1
        0.5 for a confidence that says nothing; NaN unless there are right and wrong predictions.

    Raises
    ------
    ValueError
        If the shapes differ, or a confidence is NaN: what an undefined one means is to be decided
        before predictions are ranked.

    References
    ----------
    Hanley & McNeil, Radiology 143:29, 1982; as a measure of failure detection, Hendrycks & Gimpel,
    ICLR 2017, arXiv:1610.02136.
    """
    confidence, correct = _checked(confidence, correct)
    n_right = int(correct.sum())
    n_wrong = len(correct) - n_right
    if n_right == 0 or n_wrong == 0:
        return np.nan
    excess = rankdata(confidence)[correct].sum() - n_right * (n_right + 1) / 2
    return float(excess / (n_right * n_wrong))


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk–coverage curve: the error rate among the most confident predictions.

    Parameters and errors as of :func:`auroc`.

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


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
    r"""Area under the risk–coverage curve.

    .. math:: \mathrm{AURC} = \frac1n \sum_{k=1}^{n} r(k)

    r(k) is the share of errors among the k most confident predictions; within a group of equal
    confidences its expectation over their random order. Without information it is the error
    rate e; at best, with all m errors last, Σⱼ j/(n − m + j) / n for j = 1…m.

    Parameters and errors as of :func:`auroc`.

    Returns
    -------
    float in 0…1, lower is better
        0 without errors and 1 without right predictions, whatever the confidence; NaN for n = 0.

    References
    ----------
    Geifman, Uziel & El-Yaniv, ICLR 2019, arXiv:1805.08206.
    """
    accepted, errors = _accepted(confidence, correct)
    k = np.arange(1, accepted[-1] + 1)
    return float(np.mean(np.interp(k, accepted, errors) / k)) if len(k) else np.nan


def augrc(confidence: np.ndarray, correct: np.ndarray) -> float:
    r"""Area under the generalised risk–coverage curve: the mean risk of an undetected failure.

    The generalised risk is the share, of all predictions, of accepted errors: coverage · risk. The
    area is taken by the trapezoidal rule from the origin through every distinct confidence; with
    the error rate e it is then

    .. math:: \mathrm{AUGRC} = e (1 - e) (1 - \mathrm{AUROC}) + e^2 / 2

    Parameters and errors as of :func:`auroc`.

    Returns
    -------
    float in 0…½, lower is better
        0 without errors and ½ without right predictions, whatever the confidence; NaN for n = 0.

    References
    ----------
    Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification Systems,
    NeurIPS 2024, arXiv:2407.01032.
    """
    accepted, errors = _accepted(confidence, correct)
    n = accepted[-1]
    return float(np.trapezoid(errors, accepted) / n**2) if n else np.nan


def two_outcomes(probability: np.ndarray, threshold: float | np.ndarray = 0.5) -> np.ndarray:
    r"""Distribution over absent and present for each label of a multi-label sigmoid.

    A label decided at a threshold τ is most uncertain at τ. The odds are therefore divided by those
    of the threshold, which moves the decision to ½ (Elkan, IJCAI 2001, §3):

    .. math:: q = \frac{p (1 - \tau)}{p (1 - \tau) + \tau (1 - p)}

    Parameters
    ----------
    probability : ndarray of any shape, in 0…1
    threshold
        τ in 0…1, exclusively; broadcast against `probability`, such as one for each label.

    Returns
    -------
    ndarray of shape (..., 2)
        1 − q and q; NaN where a threshold is NaN.
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

    1 where one outcome is certain, 0 where all are equally likely. With two outcomes the order
    is that of :func:`maximum_probability`, and so is every area above; the mean over the labels of
    an image is a confidence of its own (Park & Read, IDA 2015, normalised entropy).
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
        0 where the foreground is empty: nothing was found, and c_IoU is 0 there as well.
    """
    foreground = probability > 0.5
    certainty = np.where(foreground, entropy_confidence(two_outcomes(probability)), 0)
    return certainty.sum(axis=(-2, -1)) / np.maximum(foreground.sum(axis=(-2, -1)), 1)


def _accepted(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the accepted and the errors among them, from none on, per distinct confidence."""
    confidence, correct = _checked(confidence, correct)
    _, group = np.unique(-confidence, return_inverse=True)
    accepted = np.cumsum(np.bincount(group))
    errors = np.cumsum(np.bincount(group, weights=~correct))
    return np.append(0, accepted), np.append(0, errors)


def _checked(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = np.asarray(confidence, dtype=np.float64), binary(correct, "correct")
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        shapes = f"{confidence.shape} and {correct.shape}"
        raise ValueError(f"confidence and correct must both have shape (n,), not {shapes}.")
    if np.isnan(confidence).any():
        n = np.isnan(confidence).sum()
        raise ValueError(f"{n} confidences are NaN; leave these predictions out or rank them last.")
    return confidence, correct
