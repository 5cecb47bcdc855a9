"""Counterfactual explainers on networks of which it is known where they look."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from segxai.explain.activations import activations, upsampled
from segxai.explain.removal import blurred
from segxai.explain.stream import Request
from segxai.explain.tail import Tail
from segxai.explain.target import Label
from segxai.explainers import counterfactual_mask, pixel_counterfactual, retrieval_counterfactual
from segxai.networks.features import feature_layer
from tests.unit.toy_networks import frozen, generator, images, timm_network

MASK = {
    **{"cells": 8, "steps": 60, "learning_rate": 0.2, "area_weight": 1.0},
    **{"variation_weight": 0.2, "fill": "blur", "blur": 60, "batch_size": 2},
}


def texture(x: torch.Tensor) -> torch.Tensor:
    """Score the top left quadrant (B,): high for strong contrast, which a blur removes."""
    return 8 * x[:, :, :16, :16].square().mean(dim=(1, 2, 3)) - 4


def explain(method, network, x, **settings) -> list:
    """Attributions of inputs (n, C, H, W) to the first label."""
    requests = [Request(image, Label(0), generator()) for image in x]
    return [*method.explain(network, requests, **settings)]


def probability(network, x) -> torch.Tensor:
    """Probability of the one label."""
    return network.outputs(x)[:, 0].sigmoid()


def test_the_mask_covers_what_the_network_looks_at_and_moved_hides_nothing():
    """Hiding the mask flips the label; hiding the same mask elsewhere leaves the probability."""
    network, x = frozen(texture), images(3, 1)
    found = explain(counterfactual_mask, network, x, moved=False, **MASK)
    moved = explain(counterfactual_mask, network, x, moved=True, **MASK)
    hidden, before = blurred(x, 60 * 32 / 224), probability(network, x)
    assert before.min() > 0.8
    for image, (mask, control) in enumerate(zip(found, moved, strict=True)):
        values = mask.values[0]
        inside = values[:16, :16].sum() / values.sum()
        assert inside > 0.8
        assert (mask.gradients, mask.forwards) == (60, 2)
        assert values.min() >= 0
        assert values.max() <= 1
        left = [
            probability(network, torch.lerp(x[image], hidden[image], each.values)[None])
            for each in (mask, control)
        ]
        assert left[0] < 0.5
        assert left[1] > 0.95 * before[image]
        assert torch.equal(control.values.flatten().sort()[0], values.flatten().sort()[0])


@pytest.mark.parametrize(("fill", "takes"), [("mean", True), ("black", False)])
def test_the_mask_hides_by_the_fill(fill, takes):
    """The mean takes away the contrast that the network likes; black would add to it."""
    network, x = frozen(texture, black=-9.0), images(2, 1)
    for found in explain(counterfactual_mask, network, x, moved=False, **MASK | {"fill": fill}):
        assert (found.values.max() > 0.5) == takes


def test_where_nothing_lowers_the_probability_there_is_no_mask():
    """Hiding contrast raises this score: the search ends without a mask."""
    network = frozen(lambda x: -x.square().mean(dim=(1, 2, 3)))
    (found,) = explain(counterfactual_mask, network, images(1, 2), moved=False, **MASK)
    assert not found.values.any()


def test_a_blur_keeps_constants_and_sums_and_has_its_deviation():
    """A constant image stays; a point becomes a Gaussian of the given variance."""
    torch.testing.assert_close(
        blurred(torch.full((1, 3, 9, 9), 0.7), 2.0), torch.full((1, 3, 9, 9), 0.7)
    )
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    spread = blurred(point, 3.0)[0, 0]
    places = torch.arange(41.0) - 20
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    # What lies beyond three deviations is cut.
    assert (spread.sum(dim=0) * places**2).sum() == pytest.approx(9, rel=0.05)


def test_pixels_flip_a_network_everywhere_by_changes_too_small_to_see():
    """The negative control: each pixel moves by little, none stands out, and the label is gone."""
    network, x = frozen(lambda v: 40 * v.mean(dim=(1, 2, 3)) + 2), images(2, 3) / 50
    settings = {"steps": 20, "learning_rate": 0.01, "distance_weight": 1.0, "batch_size": 4}
    for image, found in zip(x, explain(pixel_counterfactual, network, x, **settings), strict=True):
        assert probability(network, image[None]) > 0.5
        assert probability(network, (image + found.values)[None]) < 0.5
        assert found.values.shape == image.shape
        assert found.values.abs().min() > 0.9 * found.values.abs().max()
        assert found.values.abs().max() < 0.21
        assert (found.gradients, found.forwards) == (20, 2)


class Cells(nn.Module):
    """Two classes: red for the first, green for the second, by cells of 4 px."""

    feature_info = ({"module": "cells"},)

    def __init__(self):
        super().__init__()
        self.cells = nn.AvgPool2d(4)

    def forward(self, x):
        return self.cells(x)[:, :2].mean(dim=(2, 3))


def test_swapped_cells_are_the_reddest_and_their_gains_known():
    """Cell after cell of the image is swapped for the greenest, until green wins."""
    x = torch.zeros(3, 16, 16)
    x[0, :4, :4], x[0, 4:8, :4], x[0, 8:12, 8:12] = 5, 4, 1
    red, green = torch.zeros(2, 3, 16, 16)
    red[0], green[1, :8, :8] = 1, 4
    network = replace(frozen(Cells(), 16), exclusive=True)
    (found,) = retrieval_counterfactual.explain(
        network, [Request(x, Label(0), generator())], torch.stack([red, green]), batch_size=4
    )
    # Margin 10/16: the first swap gains 5 + 4, the second 4 + 4, and green leads.
    gains = torch.zeros(1, 4, 4)
    gains[0, 0, 0], gains[0, 1, 0] = 9 / 16, 8 / 16
    torch.testing.assert_close(found.values, upsampled(gains, x)[0])
    assert (found.gradients, found.forwards) == (0, 1)


@pytest.mark.parametrize("exclusive", [False, True])
def test_gains_are_what_the_network_says_of_the_swapped_map(exclusive):
    """Their sum is the margin before less that of the whole network with the cells swapped.

    After one linear layer it is also the sum that the cells were sorted by.
    """
    network = frozen(timm_network("resnet10t", 4), 64)
    layer, x, background = feature_layer(network, 1, "test"), images(1, 4, 64), images(5, 5, 64)
    outputs = network.outputs(background)
    place, contrast = retrieval_counterfactual.opponent(outputs, Label(2), exclusive)
    others = activations(network, background, layer)
    tail = Tail(network, layer, x)
    gains = retrieval_counterfactual.swap_gains(tail, 0, others[place], contrast, 8)
    own, other = (maps.flatten(1) for maps in (tail.activations[0], others[place]))
    weights = contrast @ network.module.get_classifier().weight
    most, out = (weights @ own).sort(descending=True)
    least, come = (weights @ other).sort()
    n = int((gains > 0).sum())
    assert n >= 1
    swapped = own.clone()
    swapped[:, out[:n]] = other[:, come[:n]]
    hook = layer.module.register_forward_hook(
        lambda *_: swapped.view(1, *tail.activations[0].shape)
    )
    after = network.outputs(x)[0] @ contrast
    hook.remove()
    before = network.outputs(x)[0] @ contrast
    assert gains.sum() == pytest.approx((before - after).item(), rel=1e-3, abs=1e-6)
    predicted = (most - least)[:n].sum() / own.shape[1]
    assert gains.sum() == pytest.approx(predicted.item(), rel=1e-3, abs=1e-6)


def test_the_other_image_is_the_one_that_speaks_most_against_the_label():
    """By the label's logit, or by its lead over the best other class where one excludes another."""
    outputs = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.5, 0.0], [2.0, 1.0, 9.0]])
    place, contrast = retrieval_counterfactual.opponent(outputs, Label(0), exclusive=False)
    assert (place, contrast.tolist()) == (1, [1, 0, 0])
    place, contrast = retrieval_counterfactual.opponent(outputs, Label(0), exclusive=True)
    assert (place, contrast.tolist()) == (2, [1, 0, -1])
