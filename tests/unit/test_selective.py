"""Selective prediction: areas against closed forms, brute force and torchmetrics."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy
from torchmetrics.functional.classification import binary_auroc

from segxai.stats.selective import (
    augrc,
    aurc,
    auroc,
    entropy_confidence,
    label_confidences,
    maximum_probability,
    risk_coverage,
    segmentation_confidence,
    two_outcomes,
)

# Few distinct confidences: ties are the rule.
predictions = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30).map(
    lambda rows: (np.array([c for c, _ in rows], float), np.array([right for _, right in rows]))
)
probabilities = arrays(float, (4, 3), elements=st.floats(0, 1))


def perfect(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Give n predictions, the m wrong ones with the lowest confidences."""
    return np.arange(n, dtype=float), np.arange(n) >= m


@given(predictions)
def test_auroc_agrees_with_torchmetrics(rows):
    """The rank-sum identity gives torchmetrics' area, and every pair compared gives the same."""
    confidence, correct = rows
    assume(correct.any() and not correct.all())
    reference = binary_auroc(torch.from_numpy(confidence / 4), torch.from_numpy(correct).long())
    assert auroc(confidence, correct) == pytest.approx(reference.item(), abs=1e-6)
    differences = confidence[correct][:, None] - confidence[~correct]
    assert auroc(confidence, correct) == pytest.approx(np.mean((np.sign(differences) + 1) / 2))


@given(predictions)
def test_curve_is_the_definition_at_every_threshold(rows):
    """Coverage and risk of {confidence ≥ t}, one point per distinct t, from the highest on."""
    confidence, correct = rows
    accepted = [confidence >= t for t in np.unique(confidence)[::-1]]
    coverage, risk = risk_coverage(confidence, correct)
    assert coverage.tolist() == [a.mean() for a in accepted]
    np.testing.assert_allclose(risk, [1 - correct[a].mean() for a in accepted], atol=1e-15)


def test_aurc_is_the_mean_over_all_orders_of_ties():
    """With ties, AURC is the mean of Geifman's sum over every order that the ties allow."""
    confidence = np.array([3, 2, 2, 2, 1, 1, 0])
    correct = np.array([1, 0, 1, 1, 0, 1, 0])
    sums = [
        np.mean(np.cumsum(1 - correct[list(order)]) / np.arange(1, 8))
        for order in permutations(range(7))
        if (np.diff(confidence[list(order)]) <= 0).all()
    ]
    assert len(sums) == 12
    assert aurc(confidence, correct) == pytest.approx(np.mean(sums), abs=1e-15)


@given(predictions)
def test_augrc_is_the_area_and_the_identity(rows):
    """The trapezoids by hand equal e(1−e)(1−AUROC) + e²/2 (Traub et al. 2024)."""
    confidence, correct = rows
    area, coverage, risk = 0.0, 0.0, 0.0
    for t in np.unique(confidence)[::-1]:
        accepted = confidence >= t
        step = accepted.mean() - coverage
        area += step * (risk + (accepted & ~correct).mean()) / 2
        coverage, risk = accepted.mean(), (accepted & ~correct).mean()
    assert augrc(confidence, correct) == pytest.approx(area, abs=1e-12)
    e = 1 - correct.mean()
    if correct.any() and not correct.all():
        identity = e * (1 - e) * (1 - auroc(confidence, correct)) + e**2 / 2
        assert augrc(confidence, correct) == pytest.approx(identity, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(10, 1), (10, 4), (500, 100)])
def test_areas_of_a_perfect_confidence(n, m):
    """With the m errors last: AUROC 1, AURC Σ j/(n−m+j)/n, AUGRC e²/2; reversed, AUROC 0."""
    confidence, correct = perfect(n, m)
    j = np.arange(1, m + 1)
    assert auroc(confidence, correct) == 1
    assert aurc(confidence, correct) == pytest.approx((j / (n - m + j)).sum() / n)
    assert augrc(confidence, correct) == pytest.approx((m / n) ** 2 / 2)
    assert auroc(-confidence, correct) == 0
    assert augrc(-confidence, correct) == pytest.approx(m / n * (1 - m / n) + (m / n) ** 2 / 2)


def test_perfect_aurc_tends_to_its_limit():
    """With many predictions the perfect AURC is e + (1 − e) ln(1 − e) (Geifman et al. 2019)."""
    assert aurc(*perfect(100_000, 20_000)) == pytest.approx(0.2 + 0.8 * np.log(0.8), abs=1e-5)


def test_areas_of_an_uninformative_confidence():
    """A constant: AUROC ½, AURC e, AUGRC e/2 exactly; random numbers: the same within noise."""
    rng = np.random.default_rng(0)
    correct = rng.random(20_000) < 0.7
    e = 1 - correct.mean()
    for confidence, within in ((np.full(20_000, 0.3), 1e-12), (rng.random(20_000), 0.01)):
        assert auroc(confidence, correct) == pytest.approx(0.5, abs=within)
        assert aurc(confidence, correct) == pytest.approx(e, abs=within)
        assert augrc(confidence, correct) == pytest.approx(e / 2, abs=within)


@given(predictions, st.permutations(range(30)))
def test_only_the_order_of_confidences_counts(rows, order):
    """Increasing transforms and the order of the rows change nothing."""
    confidence, correct = rows
    order = [i for i in order if i < len(correct)]
    for area in (auroc, aurc, augrc):
        expected = area(confidence, correct)
        assert area(np.exp(confidence), correct) == pytest.approx(expected, nan_ok=True)
        assert area(confidence[order], correct[order]) == pytest.approx(expected, nan_ok=True)


@given(predictions)
def test_no_confidence_beats_the_perfect_one(rows):
    """Areas are bounded by those of the perfect confidence and of its reverse."""
    confidence, correct = rows
    best = correct.astype(float) + np.linspace(0, 0.5, len(correct))
    for area in (aurc, augrc):
        value = area(confidence, correct)
        assert area(best, correct) - 1e-12 <= value <= area(-best, correct) + 1e-12


@pytest.mark.filterwarnings("error")
def test_degenerate_samples():
    """AUROC needs both outcomes; the areas are 0 without errors and 1 or ½ without successes."""
    confidence = np.array([0.2, 0.9, 0.9])
    right, wrong, nothing = np.ones(3), np.zeros(3), np.zeros(0)
    assert np.isnan(auroc(confidence, right))
    assert np.isnan(auroc(confidence, wrong))
    assert aurc(confidence, right) == augrc(confidence, right) == 0
    assert aurc(confidence, wrong) == 1
    assert augrc(confidence, wrong) == 0.5
    assert np.isnan([area(nothing, nothing) for area in (auroc, aurc, augrc)]).all()
    assert [len(axis) for axis in risk_coverage(nothing, nothing)] == [0, 0]


@pytest.mark.parametrize(
    ("confidence", "correct", "words"),
    [
        ([0.1, np.nan], [0, 1], "1 confidences are NaN"),
        ([0.1, 0.2], [0, 1, 1], r"\(2,\) and \(3,\)"),
        ([0.1, 0.2], [0, 2], "0 and 1 only"),
    ],
)
def test_bad_input_is_refused(confidence, correct, words):
    """NaN confidences, other lengths and invalid labels are refused."""
    for area in (auroc, aurc, augrc, risk_coverage):
        with pytest.raises(ValueError, match=words):
            area(np.array(confidence), np.array(correct))


@given(probabilities)
def test_entropy_is_scipys(probabilities):
    """One minus SciPy's entropy with C as its base, for any distribution."""
    assume((probabilities.sum(axis=1) > 0.1).all())
    distribution = probabilities / probabilities.sum(axis=1, keepdims=True)
    expected = 1 - entropy(distribution, base=3, axis=1)
    np.testing.assert_allclose(entropy_confidence(distribution), expected, atol=1e-12)
    assert (maximum_probability(distribution) == [max(row) for row in distribution]).all()


def test_confidences_of_known_distributions():
    """Certainty is 1 for both; a uniform distribution gives 1/C and 0."""
    distribution = np.array([[0, 1, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    assert maximum_probability(distribution).tolist() == [1, 0.25, 0.5]
    np.testing.assert_allclose(entropy_confidence(distribution), [1, 0, 0.5], atol=1e-15)


@given(probabilities)
def test_two_outcomes_of_a_sigmoid(p):
    """At a threshold of ½: p and 1 − p, so that both baselines rank labels alike."""
    pairs = two_outcomes(p)
    np.testing.assert_allclose(pairs, np.stack([1 - p, p], axis=-1), atol=1e-15)
    np.testing.assert_allclose(maximum_probability(pairs), np.maximum(p, 1 - p))
    by_maximum = entropy_confidence(pairs).ravel()[np.argsort(maximum_probability(pairs).ravel())]
    assert (np.diff(by_maximum) >= -1e-12).all()


def test_decision_threshold_is_the_least_certain_probability():
    """A label decided at 0.2 has no confidence at 0.2 and grows surer to both sides of it."""
    p = np.array([0.0, 0.1, 0.2, 0.25, 0.5, 1.0])
    pairs = two_outcomes(p, 0.2)
    np.testing.assert_allclose(pairs[:, 1], [0, 4 / 13, 0.5, 4 / 7, 0.8, 1])
    np.testing.assert_allclose(pairs.sum(axis=-1), 1)
    assert np.argmin(maximum_probability(pairs)) == np.argmin(entropy_confidence(pairs)) == 2
    per_label = two_outcomes(np.array([[0.2, 0.7]]), np.array([0.2, np.nan]))
    assert per_label[0, 0].tolist() == [0.5, 0.5]
    assert np.isnan(maximum_probability(per_label)[0, 1])


def test_segmentation_confidence_by_hand():
    """Mean of 1 − H over the pixels above ½, background ignored; 0 where none is."""
    sure, unsure = np.full((2, 8, 8), 0.01)
    sure[2:4, 2:6] = 1.0
    unsure[2:4, 2:6] = np.array([1.0, 0.75, 1.0, 0.75])
    unsure[0, 0] = 0.5
    quarter = entropy([0.25, 0.75], base=2)
    scores = segmentation_confidence(np.stack([sure, unsure, np.full((8, 8), 0.5)]))
    np.testing.assert_allclose(scores, [1, 1 - quarter / 2, 0])
    assert segmentation_confidence(sure) == 1
    assert segmentation_confidence(sure.astype(np.float16)) == 1


def test_label_confidences_with_thresholds():
    """The predicted label's distance from its threshold; entropy over the labels that have one."""
    p, thresholds = np.array([[0.3, 0.9, 0.2], [0.6, 0.5, 0.9]]), np.array([0.2, np.nan, 0.4])
    maximum, mean_entropy = label_confidences(p, thresholds, np.array([0, 2]))
    # Odds 3/7 over 1/4, and 9 over 2/3.
    np.testing.assert_allclose(maximum, [12 / 19, 27 / 29])
    known = two_outcomes(p[:, [0, 2]], thresholds[[0, 2]])
    bits = 1 - entropy(known, base=2, axis=-1)
    np.testing.assert_allclose(mean_entropy, bits.mean(axis=1))


def test_label_confidences_of_a_softmax():
    """Without any threshold the classes are one distribution."""
    p = np.array([[0.7, 0.2, 0.1]])
    maximum, own = label_confidences(p, np.full(3, np.nan), np.array([0]))
    assert maximum.item() == 0.7
    assert own.item() == pytest.approx(1 - entropy(p[0], base=3))
