"""Reduced precision is taken only where it keeps the maps."""

import numpy as np
import pytest
import torch

from segxai.explain.precision import agreement
from segxai.explain.stream import Attribution


def attribution(values: torch.Tensor, error: float = 0.0) -> Attribution:
    """Make an attribution with a given completeness error."""
    return Attribution(values, values.double().sum().item() / (1 + error), 1, 0)


def noise(seed: int) -> torch.Tensor:
    """Draw a positive map, its completeness errors therefore known."""
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_rounding_is_kept_and_another_map_is_not():
    """bfloat16's rounding leaves the ranks alone; one map of another image among many does not."""
    exact = [attribution(noise(seed)) for seed in range(4)]
    rounded = [attribution(noise(seed).bfloat16().float()) for seed in range(4)]
    compared = agreement(exact, rounded)
    assert compared.images == 4
    assert 0.999 < compared.spearman < 1
    assert compared.kept
    other = agreement(exact, [*rounded[:3], attribution(noise(9))])
    assert abs(other.spearman) < 0.3
    assert not other.kept


@pytest.mark.parametrize(("error", "kept"), [(0.12, True), (0.2, False)])
def test_completeness_may_not_suffer(error, kept):
    """The same ranks with an error that is larger by more than 0.05 are refused."""
    compared = agreement([attribution(noise(0), 0.1)], [attribution(noise(0), error)])
    assert compared.spearman == pytest.approx(1)
    assert compared.completeness_loss == pytest.approx(error - 0.1, abs=1e-6)
    assert compared.kept == kept


def test_nothing_to_compare_keeps_nothing():
    """Without images, or with a constant map, reduced precision is not used."""
    assert not agreement([], []).kept
    flat = attribution(torch.ones(3, 16, 16))
    assert not agreement([attribution(noise(0))], [flat]).kept


def test_methods_without_a_sum_are_judged_by_ranks():
    """Grad-CAM is not complete: its completeness error is NaN and does not count."""
    maps = [Attribution(noise(1), float("nan"), 1, 0)]
    compared = agreement(maps, maps)
    assert np.isnan(compared.completeness_loss)
    assert compared.kept
