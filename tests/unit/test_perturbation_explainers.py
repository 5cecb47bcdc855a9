"""Explainers that remove parts of the input, against closed forms and enumeration."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from segxai.explain.stream import Attribution, Request
from segxai.explain.superpixels import superpixels
from segxai.explain.target import Label
from segxai.explainers import lime, occlusion, rise, shapley
from segxai.explainers.shapley import antithetic_orders, shapley_values
from segxai.job.log import InputError
from segxai.networks.network import Network
from tests.unit.toy_networks import CPU, Scored, frozen, generator, images, timm_network

WEIGHTS = images(1, 40)[0]
IMAGE = images(1, 41)[0]
OTHERS = images(3, 42)


def additive(x: torch.Tensor) -> torch.Tensor:
    """F(x) = w·x."""
    return (x.double() * WEIGHTS).sum(dim=(1, 2, 3)).float()


def explain(method, network: Network, inputs: torch.Tensor = IMAGE, **settings) -> Attribution:
    """Explain one input by a method, with defaults for what is not set."""
    known = {name: setting["default"] for name, setting in method.ABOUT["settings"].items()}
    request = Request(inputs, Label(0), generator(1))
    (attribution,) = method.explain(network, [request], **known | settings)
    return attribution


def superpixel_game(game, segments: int = 12) -> tuple[Network, torch.Tensor]:
    """Give a network that plays a game of which superpixels of `IMAGE` are black, and their labels.

    `game` maps what is kept (B, n) to values (B,).
    """
    labels = superpixels(frozen(additive), IMAGE, segments)
    first = [int((labels.flatten() == label).nonzero()[0]) for label in labels.unique()]
    return frozen(lambda x: game((x[:, 0].flatten(1)[:, first] != -2).float())), labels


def per_superpixel(attribution: Attribution, labels: torch.Tensor) -> torch.Tensor:
    """Sums (n,) of a map over superpixels."""
    return torch.zeros(int(labels.max()) + 1).index_add(
        0, labels.flatten(), attribution.values.flatten()
    )


@pytest.mark.parametrize("fill", ["black", "mean", "validation"])
def test_occlusion_of_single_pixels_is_exact_where_pixels_add_up(fill):
    """For F(x) = w·x and windows of one pixel it is Σ over channels of w (x − b)."""
    settings = {"window": 1, "stride": 1, "fill": fill, "background": OTHERS}
    attribution = explain(occlusion, frozen(additive), **settings)
    b = {"black": -2.0, "mean": 0.0, "validation": OTHERS.mean(dim=0)}[fill]
    expected = (WEIGHTS * (IMAGE - b)).sum(dim=0)
    torch.testing.assert_close(attribution.values[0], expected, rtol=1e-3, atol=1e-4)
    passes = (32 * 32 + 1) * (len(OTHERS) if fill == "validation" else 1)
    assert (attribution.gradients, attribution.forwards) == (0, passes)


def test_occlusion_is_the_mean_over_the_windows_that_cover_a_pixel():
    """Windows of 12 px at 0, 8, 16 and at the border, 20: the definition, pixel by pixel."""
    attribution = explain(occlusion, frozen(additive), window=12, stride=8, fill="mean")
    contributions = (WEIGHTS * IMAGE).sum(dim=0)
    for row, column in [(0, 0), (9, 9), (17, 21), (31, 12), (31, 31)]:
        covering = [
            contributions[top : top + 12, left : left + 12].sum()
            for top in (0, 8, 16, 20)
            for left in (0, 8, 16, 20)
            if top <= row < top + 12 and left <= column < left + 12
        ]
        expected = torch.stack(covering).mean().item()
        assert attribution.values[0, row, column] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert attribution.forwards == 17


def test_occlusion_of_224_px_takes_170_passes():
    """Windows of 32 px every 16 px: 13 × 13, and the image."""
    network = frozen(lambda x: x.mean(dim=(1, 2, 3)), 224)
    assert explain(occlusion, network, images(1, 2, 224)[0]).forwards == 170


def test_occlusion_leaves_tokens_out():
    """A window of one patch: what the logit loses when the blocks are run without its token."""
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
    network = frozen(timm_network("vit_tiny_patch16_224", 4, arguments=arguments))
    attribution = explain(occlusion, network, window=8, stride=8, fill="tokens")
    tokens = attribution.values[0].view(4, 8, 4, 8)
    assert torch.equal(tokens, tokens[:, :1, :, :1].expand(4, 8, 4, 8))
    module = network.module
    with torch.no_grad():
        x = module._pos_embed(module.patch_embed(IMAGE[None]))
        less = [torch.cat([x[:, :token], x[:, token + 1 :]], dim=1) for token in range(1, 17)]
        whole, *removed = (
            module.forward_head(module.norm(module.blocks(v)))[0, 0] for v in [x, *less]
        )
    expected = whole - torch.stack(removed)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(tokens[:, 0, :, 0].flatten(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"window": 8, "stride": 9}, "set `stride` to `window` or less"),
        ({"window": 32}, "of 32 px; set a smaller `window`"),
        ({"window": 8, "stride": 8, "fill": "tokens"}, "occlusion .* plain vision transformer"),
    ],
)
def test_occlusion_refuses_what_it_cannot_do(settings, remedy):
    """Pixels that are passed over, windows as large as the input, tokens of a CNN."""
    with pytest.raises(InputError, match=remedy):
        explain(occlusion, frozen(timm_network("resnet10t")), **settings)


def test_lime_of_a_function_linear_in_superpixels_is_exact():
    """Coefficients without a ridge, whatever the kernel; with one they are smaller."""
    weights = torch.randn(30, generator=generator(3))
    network, labels = superpixel_game(lambda kept: 5 + kept @ weights[: kept.shape[1]])
    expected = weights[: int(labels.max()) + 1]
    assert len(expected) > 5
    attribution = explain(lime, network, segments=12, fill="black", ridge=0, passes=60)
    torch.testing.assert_close(per_superpixel(attribution, labels), expected, atol=1e-4, rtol=0)
    assert (attribution.gradients, attribution.forwards) == (0, 60)
    ridged = explain(lime, network, segments=12, fill="black", passes=60)
    assert per_superpixel(ridged, labels).norm() < 0.95 * expected.norm()


def test_lime_is_ridge_regression_with_its_packages_weights():
    """Normal equations whose intercept is not penalised, with weights of cosine distance.

    Without ridge and weights they are those of least squares.
    """
    draw = np.random.default_rng(4)
    x, y = draw.integers(0, 2, (80, 9)).astype(float), draw.normal(size=80)
    x[0], x[1] = 1, 0
    norms = np.linalg.norm(x, axis=1)
    cosine = x.sum(axis=1) / np.maximum(norms, 1e-12) / 3
    weights = np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.25**2))
    np.testing.assert_allclose(lime.kernel(x.mean(axis=1), 0.25), weights, rtol=1e-6)
    design = np.column_stack([np.ones(80), x])
    for ridge, used in [(1, weights), (0.1, weights), (0, np.ones(80))]:
        penalty = np.diag([0.0] + [ridge] * 9)
        normal = design.T @ (used[:, None] * design) + penalty
        expected = np.linalg.solve(normal, design.T @ (used * y))[1:]
        np.testing.assert_allclose(lime.weighted_ridge(x, y, used, ridge), expected, atol=1e-8)
    least = np.linalg.lstsq(design, y, rcond=None)[0][1:]
    np.testing.assert_allclose(lime.weighted_ridge(x, y, np.ones(80), 0), least, atol=1e-8)


def test_lime_of_fewer_passes_than_superpixels_is_defined():
    """Without a ridge the least norm is taken, not a division by nothing."""
    network, _ = superpixel_game(lambda kept: kept.sum(dim=1))
    attribution = explain(lime, network, segments=12, fill="black", ridge=0, passes=4)
    assert attribution.values.isfinite().all() and attribution.values.abs().max() < 10


def four_players(kept: torch.Tensor) -> torch.Tensor:
    """Give a game of four: 0 and 1 are alike and need each other, 2 adds 3, 3 does nothing."""
    a, b, c, _ = kept.double().T
    return 1 + 10 * a * b + a + b + 3 * c + 2 * a * b * c


def test_shapley_values_by_enumeration_of_all_orders():
    """A game of four over all 24 orders: symmetry, dummy, efficiency, and the values by hand."""
    orders = torch.tensor(list(permutations(range(4))))
    phi, gain = shapley_values(orders, four_players)
    # Of 2abc each of three has a third, of 10ab each of two the half.
    expected = torch.tensor([6 + 2 / 3, 6 + 2 / 3, 3 + 2 / 3, 0], dtype=torch.float64)
    torch.testing.assert_close(phi, expected)
    assert gain == phi.sum() == pytest.approx(17)


def test_an_order_and_its_reverse_are_exact_for_a_game_of_pairs():
    """In an order and its reverse each player of a pair comes first once; dummies have nothing."""
    orders = antithetic_orders(6, 1, generator(5))
    pairs = torch.randn(6, 6, generator=generator(6), dtype=torch.float64).triu(1)
    pairs[:, 4] = pairs[4] = 0

    def game(kept):
        kept = kept.double()
        return torch.einsum("mi,ij,mj->m", kept, pairs, kept)

    phi, gain = shapley_values(orders, game)
    torch.testing.assert_close(phi, (pairs.sum(dim=0) + pairs.sum(dim=1)) / 2)
    assert phi[4] == 0
    assert gain == pytest.approx(pairs.sum().item())


def test_orders_are_followed_by_their_reverse():
    """As many pairs as asked, each a permutation of all players."""
    orders = antithetic_orders(7, 3, generator(7))
    assert (orders.sort(dim=1).values == torch.arange(7).expand(6, 7)).all()
    assert torch.equal(orders[1::2], orders[::2].flip(1))
    assert len({*map(tuple, orders.tolist())}) == 6


@pytest.mark.parametrize("method", [lime, shapley, rise])
def test_validation_images_are_averaged_over(method):
    """The map is the mean of those with each image as the only fill, with the same random draws."""
    settings = {"segments": 6, "passes": 30, "fill": "validation"}
    settings = {name: value for name, value in settings.items() if name in method.ABOUT["settings"]}
    network = frozen(lambda x: additive(x).tanh() + x.square().mean(dim=(1, 2, 3)))
    together = explain(method, network, background=OTHERS, **settings)
    alone = [explain(method, network, background=own[None], **settings) for own in OTHERS]
    expected = torch.stack([attribution.values for attribution in alone]).mean(dim=0)
    torch.testing.assert_close(together.values, expected, rtol=1e-3, atol=1e-6)
    assert together.forwards == sum(attribution.forwards for attribution in alone)


@pytest.mark.parametrize("passes", [2, 40, 100])
def test_shapley_values_sum_to_what_the_image_gains(passes):
    """Exactly F(x) − F(fill) after any number of permutations; passes are counted as made."""
    seen = []

    def count(x):
        seen.append(len(x))
        return additive(x).tanh() + (x[:, 0, 5] * x[:, 1, 20]).mean(dim=1)

    settings = {"segments": 12, "fill": "black", "passes": passes}
    attribution = explain(shapley, frozen(count), batch_size=1, **settings)
    assert attribution.completeness_error < 1e-5
    assert attribution.forwards == sum(seen)
    n = int(superpixels(frozen(additive), IMAGE, 12).max()) + 1
    assert attribution.forwards <= max(passes, 2 * n)


def test_shapley_values_of_superpixels_are_those_of_the_game():
    """Image, superpixels and fill play the game: pairs are exact in an order and its reverse."""
    network, labels = superpixel_game(lambda kept: 4 * kept[:, 0] * kept[:, 1] + kept[:, 2])
    attribution = per_superpixel(explain(shapley, network, segments=12, fill="black"), labels)
    expected = torch.zeros(len(attribution))
    expected[:3] = torch.tensor([2.0, 2.0, 1.0])
    torch.testing.assert_close(attribution, expected, atol=1e-5, rtol=0)


def test_antithetic_orders_err_less_than_independent_ones():
    """By a fifth and more at equal passes, on a game with interactions of many players."""
    tensor = torch.randn(10, 10, generator=generator(8), dtype=torch.float64)

    def game(kept):
        pulled = kept.double() @ tensor
        return (pulled.tanh() * kept).sum(dim=1)

    exact, _ = shapley_values(antithetic_orders(10, 2000, generator(9)), game)

    def error(antithetic: bool) -> float:
        errors = []
        for seed in range(20):
            source = generator(seed)
            orders = antithetic_orders(10, 4, source)
            if not antithetic:
                orders = torch.stack([torch.randperm(10, generator=source) for _ in range(8)])
            errors.append((shapley_values(orders, game)[0] - exact).norm())
        return float(np.mean(errors))

    assert error(True) < 0.8 * error(False)


def test_rise_of_one_pixel_is_the_covariance_of_masks():
    """For F(x) = x_j it is (1 − p) (x − b) times cubic B-splines of the distance from j, in cells.

    Up to a constant, that is to say the mean, which is taken off: the map of an additive function
    is the sum of those of its pixels.
    """
    place, p, cells = (13, 20), 0.3, 4
    network = frozen(lambda x: x[:, 0, place[0], place[1]])
    settings = {"passes": 4000, "cells": cells, "probability": p, "batch_size": 100}
    attribution = explain(rise, network, fill="mean", **settings)
    spline = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    rows, columns = (
        np.nan_to_num(spline((np.arange(32) - centre) * cells / 32)) for centre in place
    )
    expected = (1 - p) * IMAGE[0, place[0], place[1]].item() * np.outer(rows, columns)
    np.testing.assert_allclose(attribution.values[0], expected, atol=0.06 * np.abs(expected).max())
    assert (attribution.gradients, attribution.forwards) == (0, 4000)


def test_masks_of_rise_have_the_mean_that_is_asked():
    """Everywhere p, also at the border, with values in 0…1."""
    source = generator(11)
    drawn = torch.stack([rise.mask(40, *rise.draw_cells(7, 0.25, source)) for _ in range(2000)])
    assert drawn.min() >= 0 and drawn.max() <= 1 + 1e-6
    np.testing.assert_allclose(drawn.mean(dim=0), 0.25, atol=0.04)


@pytest.mark.parametrize("method", [occlusion, lime, shapley, rise])
@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_any_channels_and_constant_ones_are_explained(method, channels):
    """Grey or four channels, at random or constant: finite maps, and none of a constant network."""
    module = Scored(lambda x: x.mean(dim=(1, 2, 3)))
    network = Network(module, "classify", 32, [0.4] * channels, [0.2] * channels, CPU)
    settings = {"window": 16, "segments": 6, "passes": 20, "fill": "black"}
    known = {name: value for name, value in settings.items() if name in method.ABOUT["settings"]}
    random = torch.randn(channels, 32, 32, generator=generator(12))
    black = network.black()[0]
    for inputs in (random, torch.full_like(random, 1.5)):
        attribution = explain(method, network, inputs, **known)
        assert attribution.values.shape == (1, 32, 32)
        assert attribution.values.isfinite().all() and attribution.values.any()
    assert not explain(method, network, black, **known).values.any()
