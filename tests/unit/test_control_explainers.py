"""Controls: maps of which it is known what they are, and that they know nothing of a network."""

import math

import pytest
import torch
from scipy.ndimage import sobel

from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.explainers import centre_gaussian, edges, intensity, random_blobs, random_pixels
from tests.unit.toy_networks import frozen, generator, images

NETWORK = frozen(lambda x: 1 / 0, size=64)
CONTROLS = [
    (random_pixels, {}),
    (random_blobs, {"sigma": 16}),
    (centre_gaussian, {}),
    (edges, {}),
    (intensity, {"sign": "bright"}),
    (intensity, {"sign": "dark"}),
]


def explain(method, x, seed: int = 0, **settings) -> torch.Tensor:
    """Maps (n, H, W) of inputs; a seed for each image from `seed` on."""
    requests = [Request(image, Label(0), generator(seed + place)) for place, image in enumerate(x)]
    found = [*method.explain(NETWORK, requests, **settings)]
    assert all((each.gradients, each.forwards) == (0, 0) for each in found)
    return torch.stack([each.values[0] for each in found])


@pytest.mark.parametrize(("method", "settings"), CONTROLS)
def test_a_control_asks_no_pass_and_is_of_the_image_or_its_generator(method, settings):
    """The network fails when it is run; the same image and seed give the same map."""
    x = images(2, 1, 64)
    maps = explain(method, x, **settings)
    assert maps.min() >= 0
    assert maps.max() > 0
    torch.testing.assert_close(
        explain(method, x[1:], seed=1, **settings)[0], maps[1], rtol=0, atol=0
    )


@pytest.mark.parametrize(("method", "settings"), CONTROLS[:2])
def test_random_maps_are_at_chance(method, settings):
    """Of 200 maps, the share of relevance, and of peaks, in a mask is the mask's own share."""
    maps = explain(method, images(1, 2, 64).expand(200, -1, -1, -1), **settings)
    mask = torch.zeros(64, 64, dtype=torch.bool)
    # Off centre, so that a map that prefers the middle or the border shows.
    mask[:32, 20:52] = True
    mass = (maps[:, mask].sum(dim=1) / maps.sum(dim=(1, 2))).mean()
    assert mass == pytest.approx(0.25, abs=0.02)
    peaks = mask.flatten()[maps.flatten(1).argmax(dim=1)].float().mean()
    assert peaks == pytest.approx(0.25, abs=0.08)


def test_blobs_are_smooth_and_pixels_are_not():
    """Neighbours are alike in blobs, independent in random pixels."""
    for (method, settings), low, high in ((CONTROLS[0], -0.1, 0.1), (CONTROLS[1], 0.9, 1)):
        values = explain(method, images(1, 3, 64), **settings)[0]
        pairs = torch.stack([values[:, 1:].flatten(), values[:, :-1].flatten()])
        assert low <= torch.corrcoef(pairs)[0, 1] <= high


def test_the_centre_gaussian_has_a_quarter_of_the_side():
    """Symmetric, highest in the middle, and exp(−½) of that a quarter of the side away."""
    (values,) = explain(centre_gaussian, images(1, 4, 64))
    for other in (values.flip(0), values.flip(1), values.T):
        torch.testing.assert_close(other, values)
    assert values.argmax().item() in {31 * 64 + 31, 31 * 64 + 32, 32 * 64 + 31, 32 * 64 + 32}
    ratio = values[31, 31 + 16] / values[31, 31]
    # The middle lies half a pixel beside the first.
    assert ratio == pytest.approx(math.exp(-(15.5**2 - 0.5**2) / (2 * 16**2)), rel=1e-4)


def test_edges_are_those_of_scipy():
    """The magnitude of SciPy's Sobel gradients of the grey image, divided by 8."""
    x = images(1, 5, 64)
    grey = (x[0] * 0.2 + 0.4).mean(dim=0).double().numpy()
    slopes = [torch.tensor(sobel(grey, axis, mode="nearest")) / 8 for axis in (0, 1)]
    expected = torch.hypot(*slopes).float()
    torch.testing.assert_close(explain(edges, x)[0], expected, rtol=1e-4, atol=1e-5)


def test_bright_and_dark_are_each_others_negative():
    """Both are grey intensities, from 0 up: one of the darkest pixel, one of the brightest."""
    x = images(1, 6, 64)
    bright, dark = (explain(intensity, x, sign=sign)[0] for sign in ("bright", "dark"))
    grey = (x[0] * 0.2 + 0.4).mean(dim=0)
    torch.testing.assert_close(bright, grey - grey.min())
    torch.testing.assert_close(bright + dark, (grey.max() - grey.min()).expand(64, 64))
