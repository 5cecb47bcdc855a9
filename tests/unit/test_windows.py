"""Windows of images: where they lie, and what their attributions add up to."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request
from segxai.explain.target import Label
from segxai.explain.windows import map_side, spans, spread, windowed
from segxai.explainers import random_pixels
from segxai.workflow.plugins import load
from tests.unit.test_explainer_contract import SMALL, VIT
from tests.unit.toy_networks import frozen, generator, images, timm_network

SIDE, SIZE = 32, 16
WEIGHTS = images(1, 60, SIZE)[0]


def bound(method: str, **changed) -> partial:
    """Give an explainer with few passes."""
    module, _ = load("explainers", {"method": method})
    known = {name: s["default"] for name, s in module.ABOUT["settings"].items()} | SMALL | changed
    settings = {name: known[name] for name in module.ABOUT["settings"]}
    if "background" in settings:
        settings["background"] = images(2, 61)
    return partial(module.explain, **settings)


def asked(*seeds: int, side: int = SIDE) -> list[Request]:
    """Ask for explanations of some images."""
    return [Request(images(1, seed, side)[0], Label(0), generator(seed)) for seed in seeds]


def linear():
    """F(x) = w·x of inputs of 16 px."""
    return frozen(lambda x: (x * WEIGHTS).sum(dim=(1, 2, 3)), SIZE)


@given(side=st.integers(16, 300), grid=st.integers(1, 8), overlap=st.floats(0, 0.9))
def test_windows_cover_a_side_evenly(side, grid, overlap):
    """From edge to edge, each 1/grid long, neighbours share what is asked, and no window is spare.

    Without overlap they meet without a gap.
    """
    windows = spans(side, grid, overlap)
    length = side / grid
    assert windows[0].start == 0 and windows[-1].stop == side
    assert all(abs(one.stop - one.start - length) <= 1 for one in windows)
    shared = [a.stop - b.start for a, b in pairwise(windows)]
    assert all(share >= overlap * length - 1 for share in shared)
    assert len(windows) <= (grid - 1) / (1 - overlap) + 2
    assert not any(share for share in shared if overlap == 0)


def test_known_windows():
    """Quadrants, and three windows of half a side that share half of it."""
    assert spans(448, 2, 0) == [slice(0, 224), slice(224, 448)]
    assert spans(448, 2, 0.5) == [slice(0, 224), slice(112, 336), slice(224, 448)]
    assert spans(10, 3, 0) == [slice(0, 3), slice(3, 7), slice(7, 10)]
    assert len(spans(900, 2, 0.9)) == 11


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99))
def test_an_attribution_keeps_its_sum_at_any_size(shape, seed):
    """Smaller, larger, or of another shape; pixels keep their places, so the mean place stays."""
    values = torch.rand(2, 13, 8, generator=generator(seed), dtype=torch.float64)
    resized = spread(values, shape)
    assert resized.shape == (2, *shape)
    torch.testing.assert_close(resized.sum(dim=(1, 2)), values.sum(dim=(1, 2)))

    def centre(maps):
        place = (torch.arange(maps.shape[1], dtype=maps.dtype) + 0.5) / maps.shape[1]
        return (maps.sum(dim=2) * place).sum(dim=1) / maps.sum(dim=(1, 2))

    assert (centre(resized) - centre(values)).abs().max() <= 0.5 / min(shape[0], 13)


def test_twice_the_side_divides_a_value_among_four_pixels():
    """And half the side adds four pixels up; the same side is the same map."""
    values = images(1, 62, 8)[0]
    doubled = spread(values, (16, 16))
    blocks = values.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2) / 4
    torch.testing.assert_close(doubled, blocks)
    torch.testing.assert_close(spread(doubled, (8, 8)), values)
    assert spread(values, (8, 8)) is values


@pytest.mark.parametrize(
    ("grids", "side"), [([1], 224), ([2], 448), ([1, 2], 448), ([4], 512), ([8, 1], 512)]
)
def test_maps_are_as_fine_as_what_the_network_sees_and_no_finer_than_images(grids, side):
    """For an input of 224 px and images of 512 px; images below the input do not shrink maps."""
    assert map_side(224, 512, grids) == side
    assert map_side(224, 100, grids) == 224


@pytest.mark.parametrize(
    "method", ["integrated_gradients", "gradient_shap", "grad_cam", "occlusion", "rise", "lime"]
)
def test_one_window_is_the_whole_image_to_the_bit(method):
    """Map, passes and random numbers are those of the explainer without windows."""
    network, explain = frozen(timm_network("resnet10t", 4)), bound(method)
    whole = [*explain(network, asked(1, 2))]
    windows = [*windowed(explain, network, asked(1, 2), SIDE, [1], 0.5)]
    for one, other in zip(whole, windows, strict=True):
        torch.testing.assert_close(other.values, one.values, rtol=0, atol=0)
        assert other.gain == pytest.approx(one.gain, rel=1e-6, nan_ok=True)
        assert (other.gradients, other.forwards) == (one.gradients, one.forwards)


@pytest.mark.parametrize("overlap", [0, 0.5])
def test_windows_of_a_linear_network_by_hand(overlap):
    """For F = w·x each window has w x, and what several windows say of a pixel is averaged."""
    explain = bound("input_x_gradient")
    (request,) = asked(3)
    (found,) = windowed(explain, linear(), [request], SIDE, [2], overlap)
    total, counts = torch.zeros(3, SIDE, SIDE), torch.zeros(SIDE, SIDE)
    starts = (0, 16) if overlap == 0 else (0, 8, 16)
    for top in starts:
        for left in starts:
            window = slice(top, top + 16), slice(left, left + 16)
            total[:, *window] += WEIGHTS * request.inputs[:, *window]
            counts[window] += 1
    torch.testing.assert_close(found.values, total / counts)
    assert (found.gradients, found.forwards) == (len(starts) ** 2, 0)


def test_scales_are_averaged():
    """The map of two scales is the mean of their maps; the coarse one divides its pixels."""
    explain = bound("input_x_gradient")
    (request,) = asked(4)
    both, coarse, fine = (
        next(windowed(explain, linear(), [request], SIDE, grids, 0)).values
        for grids in ([1, 2], [1], [2])
    )
    torch.testing.assert_close(both, (coarse + fine) / 2)
    small = F.interpolate(request.inputs[None], (16, 16), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(coarse, spread(WEIGHTS * small, (SIDE, SIDE)))


def test_the_sum_of_windows_is_the_sum_of_their_gains():
    """For a ViT that is explained completely: Σ over windows of F(window) − F(black)."""
    network = frozen(timm_network("vit_tiny_patch16_224", 4, arguments=VIT))
    explain = bound("integrated_gradients", noise_std=0.0, steps=40, tolerance=None)
    (request,) = asked(5, side=64)
    (found,) = windowed(explain, network, [request], 64, [2], 0)
    cut = request.inputs.unfold(1, 32, 32).unfold(2, 32, 32).permute(1, 2, 0, 3, 4).flatten(0, 1)
    gain = (network.outputs(cut) - network.outputs(network.black()))[:, 0].sum().item()
    assert found.gain == pytest.approx(gain, rel=1e-4)
    assert found.values.sum().item() == pytest.approx(gain, rel=0.02)


@pytest.mark.parametrize("overlap", [0, 0.5])
def test_an_incomplete_explainer_stays_as_incomplete(overlap):
    """If each window's map has half the sum that it promises, so has the map of the image."""

    def half(network, requests):
        for attribution in explain(network, requests):
            yield Attribution(attribution.values / 2, attribution.gain, 1, 0)

    explain = bound("integrated_gradients", noise_std=0.0)
    # Where the image is one colour all windows weigh alike.
    network = frozen(lambda x: x.mean(dim=(1, 2, 3)), SIZE)
    request = asked(6)[0]._replace(inputs=torch.ones(3, SIDE, SIDE))
    (found,) = windowed(half, network, [request], SIDE, [1, 2], overlap)
    assert found.completeness_error == pytest.approx(0.5, abs=1e-3)


def test_a_map_depends_on_its_own_image_alone():
    """An image has the same map in any company, and each window random numbers of its own."""
    network, explain = linear(), bound("integrated_gradients")
    together = windowed(explain, network, iter(asked(7, 8, 9)), SIDE, [1, 2], 0.5)
    alone = [next(windowed(explain, network, asked(seed), SIDE, [1, 2], 0.5)) for seed in (7, 8, 9)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.values, other.values, rtol=0, atol=0)
        assert one.gain == other.gain
    (noise,) = windowed(random_pixels.explain, network, asked(1), SIDE, [2], 0)
    quarters = noise.values.unfold(1, 16, 16).unfold(2, 16, 16).reshape(4, -1)
    assert np.abs(np.corrcoef(quarters) - np.eye(4)).max() < 0.3


def test_images_are_read_when_they_are_needed():
    """Of a long stream only what fills the first batch is taken before the first map."""
    taken = []

    def requests():
        for seed in range(50):
            taken.append(seed)
            yield asked(seed)[0]

    explain = partial(bound("input_x_gradient"), batch_size=4)
    next(windowed(explain, linear(), requests(), SIDE, [2], 0))
    assert len(taken) <= 2
