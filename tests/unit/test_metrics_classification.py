"""Thresholds of best F1 against exhaustive search, class scores against plain definitions."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_f1_score,
)

from segxai.stats.classification import best_thresholds, multiclass_scores, multilabel_scores


def column(*values) -> np.ndarray:
    """Make one class's column."""
    return np.array(values, float)[:, None]


def f1_by_hand(marked: np.ndarray, truth: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) by counting one image after the other."""
    hits = sum(bool(m and t) for m, t in zip(marked, truth, strict=True))
    return 2 * hits / (sum(map(int, marked)) + sum(map(int, truth)))


@given(
    levels=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    truth=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_no_threshold_is_better(levels, truth):
    """Of all thresholds below, between and at the probabilities none has a higher F1.

    Among the equally good, the one taken marks the fewest images.
    """
    p, y = np.array(levels) / 6, np.array(truth[: len(levels)])
    assume(y[p > 0].any())
    threshold = best_thresholds(p[:, None], y[:, None])[0]
    tried = [(f1_by_hand(p > t, y), -(p > t).sum()) for t in np.arange(0, 1, 1 / 24)]
    assert 0 <= threshold < 1
    assert (f1_by_hand(p > threshold, y), -(p > threshold).sum()) == max(tried)


def test_threshold_lies_in_the_middle():
    """The threshold halves the gap between the lowest image marked and the next below."""
    assert best_thresholds(column(0.1, 0.4, 0.8, 0.9), column(0, 0, 1, 1))[0] == pytest.approx(0.6)
    assert best_thresholds(column(0.5, 0.7), column(1, 1))[0] == 0.25


def test_neighbouring_floats_are_distinguished():
    """Where no float lies between two probabilities, the threshold still parts them."""
    low = 0.7
    for _ in range(4):
        high = np.nextafter(low, 1)
        threshold = best_thresholds(column(low, high), column(0, 1))[0]
        assert low <= threshold < high
        low = high


def test_ties_take_the_smaller_set():
    """Marking one of two positives, or both with two negatives, is as good; the one is taken."""
    p, y = column(0.9, 0.6, 0.5, 0.4), column(1, 0, 0, 1)
    assert f1_by_hand(p[:, 0] > 0.7, y[:, 0]) == f1_by_hand(p[:, 0] > 0.1, y[:, 0])
    assert best_thresholds(p, y)[0] == pytest.approx(0.75)


def test_class_without_positives_is_never_predicted():
    """Its threshold is NaN, which no probability exceeds; other classes keep theirs."""
    p = np.array([[0.9, 0.2], [0.8, 0.7]])
    y = np.array([[0, 0], [0, 1]])
    thresholds = best_thresholds(p, y)
    assert np.isnan(thresholds[0])
    assert not (p > thresholds)[:, 0].any()
    assert thresholds[1] == pytest.approx(0.45)
    assert np.isnan(best_thresholds(column(0.3, 0), column(0, 1))[0])


def test_boundary_image_is_predicted():
    """The lowest image of the best set is predicted: SegX's code loses it to its strict p > τ."""
    p, y = column(0.2, 0.6), column(0, 1)
    assert (p > best_thresholds(p, y)).tolist() == [[False], [True]]


@given(seed=st.integers(0, 500), n=st.integers(2, 30))
def test_scores_equal_their_definitions(seed, n):
    """Accuracy and F1 by counting, AUROC as the Mann–Whitney statistic, ties included."""
    rng = np.random.default_rng(seed)
    p, y = rng.integers(0, 8, (n, 3)) / 8, rng.integers(0, 2, (n, 3))
    thresholds = rng.uniform(0, 0.8, 3)
    scores = multilabel_scores(p, y, thresholds)
    for j, row in scores.iterrows():
        marked, truth = p[:, j] > thresholds[j], y[:, j] == 1
        assert row.accuracy == pytest.approx(np.mean(marked == truth), abs=1e-6)
        if marked.any() or truth.any():
            assert row.f1 == pytest.approx(f1_by_hand(marked, truth), abs=1e-6)
        else:
            assert np.isnan(row.f1)
        if truth.any() and not truth.all():
            u = mannwhitneyu(p[truth, j], p[~truth, j]).statistic
            expected = u / (truth.sum() * (~truth).sum())
            assert row.auroc == pytest.approx(expected, abs=1e-6)
        else:
            assert np.isnan(row.auroc)


@given(seed=st.integers(0, 500), n=st.integers(6, 40))
def test_multiclass_scores_agree_with_torchmetrics(seed, n):
    """Where every class is shown, accuracy, macro F1 and macro AUROC are torchmetrics'."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n).round(2)
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, n - 3)])
    score, truth = torch.tensor(p), torch.tensor(labels)
    expected = {
        "accuracy": multiclass_accuracy(score, truth, 3, average="micro").item(),
        "f1": multiclass_f1_score(score, truth, 3, average="macro").item(),
        "auroc": multiclass_auroc(score, truth, 3, average="macro").item(),
    }
    assert multiclass_scores(p, labels) == pytest.approx(expected, abs=1e-6)


def test_macro_average_leaves_undefined_classes_out():
    """A class that is absent and unpredicted has neither F1 nor AUROC, and does not count."""
    p = np.array([[0.9, 0.1], [0.2, 0.1], [0.8, 0.1]])
    y = np.array([[1, 0], [0, 0], [0, 0]])
    scores = multilabel_scores(p, y, np.array([0.5, np.nan]))
    assert scores.f1.tolist() == pytest.approx([2 / 3, np.nan], nan_ok=True)
    assert scores.auroc.tolist() == pytest.approx([1, np.nan], nan_ok=True)
    assert scores.mean().to_dict() == pytest.approx({"accuracy": 5 / 6, "f1": 2 / 3, "auroc": 1})


def test_present_but_never_predicted_scores_zero():
    """A class whose threshold is missing though it occurs has F1 0, not NaN."""
    scores = multilabel_scores(column(0.9, 0.1), column(1, 0), np.array([np.nan]))
    assert scores.f1[0] == 0
    assert scores.accuracy[0] == 0.5


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        (column(0.5), column(0, 1), "both must be"),
        (np.array([0.5, 0.1]), np.array([0, 1]), "both must be"),
        (column(0.5, 3.0), column(0, 1), "not logits"),
        (column(0.5, np.nan), column(0, 1), "0…1"),
        (column(0.5, 0.1), column(0, 2), "labels"),
    ],
)
def test_bad_input_is_refused(p, y, message):
    """Other shapes, logits, NaN and labels other than 0 and 1 are named."""
    with pytest.raises(ValueError, match=message):
        best_thresholds(p, y)
    with pytest.raises(ValueError, match=message):
        multilabel_scores(p, y, np.array([0.5]))
