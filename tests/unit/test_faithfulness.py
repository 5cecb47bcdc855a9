"""Metrics of attributions: closed forms, chance, ties, and what a network says without pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_average_precision

from segxai.explain.removal import fill
from segxai.explain.removed import removal_curves, square_falls
from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.metrics.case import Case
from segxai.metrics.iou_validation import best_size
from segxai.metrics.overlap import iou
from segxai.metrics.squares import DRAWS, SHARES, Response, square_of, square_sets, sums
from segxai.workflow.plugins import about, load
from tests.unit.toy_networks import frozen, generator, images

LOCATING = ("pointing_game", "relevance_rank", "average_precision", "relevance_mass")


def measure(method: str, case: Case, **settings) -> float:
    """Measure one value with default settings, but for those given."""
    facts = about("metrics", method)["settings"]
    known = {"method": method} | {name: key["default"] for name, key in facts.items()} | settings
    module, settings = load("metrics", known)
    return module.measure(case, **settings)


def reference(seed: int) -> np.ndarray:
    """Draw a reference of a third of 24 × 24 pixels."""
    return (np.random.default_rng(seed).random((24, 24)) < 1 / 3).astype(np.uint8)


@given(st.integers(0, 2**16), st.integers(1, 5))
def test_average_precision_is_that_of_torchmetrics(seed, levels):
    """Of maps with many ties, at any size of the reference."""
    view = np.random.default_rng(seed).integers(0, levels + 1, (24, 24)).astype(float)
    own = reference(seed)
    scores, truth = torch.from_numpy(view / levels).ravel(), torch.from_numpy(own).ravel().int()
    expected = binary_average_precision(scores, truth).item()
    assert measure("average_precision", Case(view=view, reference=own)) == pytest.approx(expected)


@pytest.mark.parametrize("method", LOCATING)
def test_a_uniform_map_is_at_chance(method):
    """Raw, a constant map has the reference's share of the image; above chance it has 0."""
    case = Case(view=np.full((24, 24), 0.5), reference=reference(0))
    assert measure(method, case) == pytest.approx(case.reference.mean())
    assert measure(method, case, scale="above_chance") == pytest.approx(0)


@pytest.mark.parametrize("method", LOCATING)
def test_random_maps_are_at_chance(method):
    """The mean over random maps is 0 above chance, the truth itself has 1."""
    own = reference(1)
    drawn = np.random.default_rng(0).random((400, 24, 24))
    values = [measure(method, Case(view=v, reference=own), scale="above_chance") for v in drawn]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20 + 0.01
    perfect = Case(view=own.astype(float), reference=own)
    assert measure(method, perfect, scale="above_chance") == pytest.approx(1)


def top(view: np.ndarray, k: int) -> np.ndarray:
    """Mark the k highest pixels of a map without ties."""
    return view >= np.sort(view, axis=None)[-k]


@given(st.integers(0, 2**16), st.floats(0.01, 1))
def test_iou_is_of_the_top_pixels(seed, size):
    """As many as the share of the image: of a map of distinct values the IoU of two masks."""
    view, own = np.random.default_rng(seed).random((24, 24)), reference(seed)
    expected = iou(top(view, max(1, round(size * 576))), own)
    case = Case(view=view, reference=own, validation_size=size)
    assert measure("iou_validation", case) == pytest.approx(float(expected))


@pytest.mark.parametrize("size", [0.01, 0.2, 1 / 3, 0.9])
def test_iou_above_chance(size):
    """A uniform map has 0, random maps about 0, and a map of perfect order 1, whatever the size."""
    own = reference(1)

    def above(view):
        case = Case(view=view, reference=own, validation_size=size)
        return measure("iou_validation", case, scale="above_chance")

    assert above(np.full((24, 24), 0.5)) == pytest.approx(0)
    rng = np.random.default_rng(0)
    values = [above(view) for view in rng.random((400, 24, 24))]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20 + 0.01
    assert above(own + rng.random((24, 24))) == pytest.approx(1)


def test_no_size_suits_the_validation_images_better():
    """Of all sizes the chosen one has the highest mean IoU of a map of perfect order."""
    shares = np.random.default_rng(0).beta(1, 8, 40)

    def mean(q):
        return np.mean(np.minimum(shares, q) / np.maximum(shares, q))

    assert mean(best_size(shares)) >= max(map(mean, np.linspace(0.001, 1, 2000)))
    assert best_size(np.full(3, 0.3)) == 0.3
    assert best_size(np.array([])) is None


def test_ties_share_the_hit():
    """Of three highest pixels one lies on the reference: a third of a hit."""
    view, own = np.zeros((4, 4)), np.zeros((4, 4), np.uint8)
    view[0, :3], own[0, 0] = 1, 1
    assert measure("pointing_game", Case(view=view, reference=own)) == pytest.approx(1 / 3)
    assert measure("relevance_rank", Case(view=view, reference=own)) == pytest.approx(1 / 3)


def test_gini_of_known_maps():
    """One pixel of N: 1 − 1/N. Uniform noise: 1/3. A uniform map: 0."""
    single = np.zeros((10, 10))
    single[3, 3] = 2
    assert measure("gini", Case(view=single)) == pytest.approx(0.99)
    noise = np.random.default_rng(0).random((300, 300))
    assert measure("gini", Case(view=noise)) == pytest.approx(1 / 3, abs=0.005)
    assert measure("gini", Case(view=np.ones((5, 5)))) == pytest.approx(0)


def test_squares_divide_the_image():
    """64 equal squares; sets of each share, 25 of each, the same for the same seed."""
    parts = square_of((16, 24))
    assert (np.bincount(parts.ravel()) == 6).all()
    sets = square_sets(7)
    assert sets.sum(axis=1).tolist() == [round(64 * s) for s in SHARES for _ in range(DRAWS)]
    np.testing.assert_array_equal(sets, square_sets(7))
    assert (sets != square_sets(8)).any()
    ones = np.ones((16, 24))
    np.testing.assert_allclose(sums(ones, sets), 6 * sets.sum(axis=1))


def test_exact_attributions_are_faithful():
    """Where falls are the sums themselves, correlation is 1 and nothing is left unexplained.

    The same for any positive factor; a reversed map explains nothing and correlates by −1; zeros
    explain nothing and correlate by 0.
    """
    attribution, sets = np.random.default_rng(0).normal(size=(32, 32)), square_sets(1)
    responses = {"blur": Response(sets, sums(attribution, sets))}
    for factor, correlation, infidelity in ((1, 1, 0), (100, 1, 0), (-1, -1, 1), (0, 0, 1)):
        case = Case(attribution=factor * attribution, responses=responses)
        assert measure("sensitivity_n", case) == pytest.approx(correlation)
        assert measure("infidelity", case) == pytest.approx(infidelity, abs=1e-12)


def test_the_size_of_what_is_removed_explains_nothing():
    """Where falls only grow with the size of the set, a uniform map has infidelity 1."""
    sets, uniform = square_sets(2), np.ones((32, 32))
    noise = np.random.default_rng(3).normal(size=100)
    responses = {"blur": Response(sets, sets.sum(axis=1) + noise)}
    assert measure("infidelity", Case(attribution=uniform, responses=responses)) == 1
    blobs = np.random.default_rng(4).random((32, 32))
    assert measure("infidelity", Case(attribution=blobs, responses=responses)) > 0.9


def test_areas_of_known_curves():
    """A straight fall has area ½; insertion minus deletion of a step at once is 1."""
    line = np.linspace(1, 0, 5)
    step = np.array([1, 0, 0, 0, 0.0])
    for falling, area in ((line, 0.5), (step, 0.125)):
        curve = np.stack([falling, 1 - falling])
        for scale in ("logit", "probability"):
            case = Case(curves={("blur", 4, scale): curve})
            asked = {"steps": 4, "scale": scale}
            assert measure("deletion", case, **asked) == pytest.approx(area)
            assert measure("insertion", case, **asked) == pytest.approx(1 - area)
            assert measure("removal_gap", case, **asked) == pytest.approx(1 - 2 * area)


def linear(weight: torch.Tensor):
    """Freeze F(x) = w·x."""
    return frozen(lambda x: (x * weight).sum(dim=(1, 2, 3)))


def test_a_linear_network_falls_by_its_contributions():
    """The contributions to a linear score, counted from the fill, are exactly its falls."""
    weight, x = images(1, 1)[0], images(1, 2)[0]
    network = linear(weight)
    falls = square_falls(network, Request(x, Label(0), generator()), "black", seed=3)
    contributions = ((x - fill(network, x[None], "black")[0]) * weight).sum(dim=0).numpy()
    case = Case(attribution=contributions, responses={"black": Response(square_sets(3), falls)})
    assert measure("sensitivity_n", case, fill="black") == pytest.approx(1, abs=1e-4)
    assert measure("infidelity", case, fill="black") == pytest.approx(0, abs=1e-4)


def test_insertion_is_the_removal_of_the_least_relevant_read_backwards():
    """Both streams of the reversed map, exchanged and reversed, are those of the map."""
    weight, x = images(1, 1)[0], images(1, 2)[0]
    network, map_ = linear(weight), np.random.default_rng(0).normal(size=(32, 32))
    asked = {"kind": "blur", "steps": 8, "scale": "logit"}
    request = Request(x, Label(0), generator())
    ahead = removal_curves(network, request, map_, **asked)
    back = removal_curves(network, request, -map_, **asked)
    np.testing.assert_allclose(ahead[0], back[1][::-1], atol=1e-4)
    np.testing.assert_allclose(ahead[1], back[0][::-1], atol=1e-4)


def test_a_finer_map_ranks_pixels_by_what_it_has_on_them():
    """Curves of a map of windows are those of its sums over the pixels of the input."""
    network, request = linear(images(1, 1)[0]), Request(images(1, 2)[0], Label(0), generator())
    fine = np.random.default_rng(1).normal(size=(64, 64))
    sums = fine.reshape(32, 2, 32, 2).sum(axis=(1, 3))
    asked = {"kind": "black", "steps": 8, "scale": "logit"}
    curves = [removal_curves(network, request, map_, **asked) for map_ in (fine, sums)]
    np.testing.assert_array_equal(*curves)


def test_the_best_order_of_a_linear_network_has_the_largest_gap():
    """Contributions rank better than noise, and noise better than their reverse."""
    weight, x = images(1, 1)[0], images(1, 2)[0]
    network = linear(weight)
    best = ((x - fill(network, x[None], "black")[0]) * weight).sum(dim=0).numpy()
    noise = np.random.default_rng(0).normal(size=(32, 32))
    gaps = []
    for map_ in (best, noise, -best):
        request = Request(x, Label(0), generator())
        curves = removal_curves(network, request, map_, kind="black", steps=8, scale="logit")
        case = Case(curves={("black", 8, "logit"): curves})
        gaps.append(measure("removal_gap", case, fill="black", steps=8, scale="logit"))
    assert gaps[0] > gaps[1] + 0.1 > gaps[2] + 0.2
    assert gaps[0] == pytest.approx(-gaps[2], abs=1e-3)
