"""Nodes of Integrated Gradients: properties of the rule, and the fit of its grading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segxai.explain.nodes import KNEES, fit_knee, path_nodes, probe_positions

COPIES = st.integers(1, 7)
STEPS = st.integers(1, 12)
KNEE = st.floats(0.005, 20)


@given(STEPS, COPIES, KNEE, st.integers(0, 4))
def test_nodes_ascend_within_the_path_and_weights_sum_to_one(steps, copies, knee, level):
    """Positions ascend in 0…1, each within its own cell, and the copies get equal numbers."""
    nodes = path_nodes(steps, copies, knee, level)
    assert (np.diff(nodes.positions) > 0).all()
    assert nodes.positions[0] > 0
    assert nodes.positions[-1] <= 1 + 1e-12
    assert (nodes.weights > 0).all()
    assert nodes.weights.sum() == pytest.approx(1)
    ends = np.cumsum(nodes.weights)
    assert (nodes.positions <= ends + 1e-12).all()
    assert (nodes.positions >= ends - nodes.weights - 1e-12).all()
    assert set(np.bincount(nodes.copies, minlength=copies)) == {steps * max(1, 2 ** (level - 1))}


@given(STEPS, COPIES, KNEE)
def test_nodes_are_even_in_the_logarithm_above_the_knee(steps, copies, knee):
    """log(1 + α/c) of the nodes is evenly spaced: even steps far below c, even ratios above."""
    positions = path_nodes(steps, copies, knee).positions
    u = (np.arange(steps * copies) + 0.5) / (steps * copies)
    np.testing.assert_allclose(np.log1p(positions / knee) / np.log1p(1 / knee), u, atol=1e-12)


@given(STEPS, COPIES, KNEE, st.integers(1, 4))
def test_a_level_fills_the_gaps_of_all_below(steps, copies, knee, level):
    """All levels together are as many nodes, evenly spaced in u, as a level of that depth."""
    together = np.concatenate(
        [path_nodes(steps, copies, knee, finer).positions for finer in range(level + 1)]
    )
    u = np.sort(np.log1p(together / knee) / np.log1p(1 / knee))
    assert len(u) == steps * copies * 2**level
    np.testing.assert_allclose(np.diff(u), 1 / len(u), atol=1e-9)


@given(STEPS, st.integers(3, 7), KNEE)
def test_neighbours_are_on_different_copies(steps, copies, knee):
    """Of three copies or more, a node's neighbours in the doubled rule are on others than its."""
    first, second = (path_nodes(steps, copies, knee, level) for level in (0, 1))
    order = np.argsort(np.concatenate([first.positions, second.positions]))
    owners = np.concatenate([first.copies, second.copies])[order]
    assert (np.diff(owners) != 0).all()


@given(st.integers(1, 40), st.integers(1, 5))
def test_a_linear_gradient_is_integrated_exactly_by_even_nodes(steps, copies):
    """With even nodes the rule is the midpoint rule: ∫ α dα = ½ without error."""
    nodes = path_nodes(steps, copies, knee=1e6)
    assert nodes.weights @ nodes.positions == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("knee", KNEES[[3, 10, 20]])
@pytest.mark.parametrize("sign", [1, -3])
def test_knee_of_a_score_of_the_same_form_is_recovered(knee, sign):
    """A score that changes as log(1 + α/c) is fitted by c, whatever its sign and size."""
    positions = probe_positions(8)
    assert fit_knee(positions, sign * np.log1p(positions / knee) + 4) == knee


def test_even_and_constant_scores_get_even_nodes():
    """A score linear in α, or a constant one, gives the most even nodes."""
    positions = probe_positions(8)
    assert fit_knee(positions, 2 * positions) == KNEES[-1]
    assert fit_knee(positions, np.ones(9)) == KNEES[-1]


def test_graded_nodes_integrate_what_jumps_near_black():
    """The area under a peak at α = 0.02 needs far fewer nodes than with an even rule."""

    def slope(a):
        return 0.01 / ((a - 0.02) ** 2 + 0.01**2)

    exact = np.arctan(98) + np.arctan(2)
    errors = [
        abs((nodes := path_nodes(6, 5, knee)).weights @ slope(nodes.positions) - exact)
        for knee in (0.03, 10)
    ]
    assert errors[0] < 0.01 * exact < errors[1]


@given(st.integers(2, 20))
def test_probe_spans_the_path(probe):
    """A probe ascends from black to the image."""
    positions = probe_positions(probe)
    assert len(positions) == probe + 1
    assert positions[0] == 0
    assert positions[-1] == pytest.approx(1)
    assert (np.diff(positions) > 0).all()
