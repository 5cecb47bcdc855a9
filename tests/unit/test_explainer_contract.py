"""Contract of explainers, checked on each file of segxai/explainers."""

import inspect
from itertools import combinations

import pytest
import torch
from torch import nn

from segxai.explain.stream import Request
from segxai.explain.target import Label, Region
from segxai.networks.network import Network
from segxai.workflow.plugins import about, load, methods
from tests.unit.toy_networks import frozen, generator, images, timm_network, unet

# Few passes; whatever else a method can be set to stays at its default.
SMALL = {
    **{"steps": 3, "noise_samples": 2, "max_steps": 12, "tolerance": 0.02, "samples": 5},
    **{"batch_size": 4, "layer": "features", "stage": 1},
    **{"window": 12, "stride": 8, "segments": 4, "passes": 12},
}
# Heads of 8 features are narrower than any that is used, and round by their place in the batch.
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
EVERY = pytest.mark.parametrize("method", methods("explainers"))
KINDS = [
    (method, kind)
    for method in methods("explainers")
    for kind in about("explainers", method)["targets"]
]
EVERY_KIND = pytest.mark.parametrize(("method", "kind"), KINDS)


def explain(method: str, network: Network, requests, **changed) -> list:
    """Attributions by a method, in its order."""
    known = about("explainers", method)["settings"]
    settings = {name: setting.get("default") for name, setting in known.items()} | SMALL | changed
    module, settings = load("explainers", {"method": method} | settings)
    if "background" in settings:
        settings["background"] = images(4, 22)
    return [*module.explain(network, requests, **settings)]


def networks(method: str, kind: str) -> Network:
    """Give a network with targets of a kind that suits a method."""
    if kind == "region":
        return frozen(unet(outputs=2))
    if "convolutional" in about("explainers", method)["suits"]:
        return frozen(timm_network("resnet10t", 4))
    return frozen(timm_network("vit_tiny_patch16_224", 4, arguments=VIT))


def request(place: int, kind: str) -> Request:
    """Ask for the explanation of one of many images, of a label or a region."""
    mask = images(1, 100 + place)[0, 0] > 0
    target = Label(place % 4) if kind == "label" else Region(place % 2, mask)
    return Request(images(1, place)[0], target, generator(place))


class Linear(nn.Module):
    """F(x) = w·mean(x) + b on cells of 2 px, with the feature map that it is made of."""

    feature_info = ({"module": "convolution"},)

    def __init__(self, weight: float):
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 2, stride=2)
        for parameter in self.convolution.parameters():
            nn.init.constant_(parameter, weight)

    def forward(self, x):
        """Logits (B, 1)."""
        return self.convolution(x).mean(dim=(2, 3))


@EVERY
def test_explain_takes_what_its_about_names(method):
    """Network and requests, then each setting by its name, with a description and a default."""
    module, _ = load("explainers", {"method": method})
    settings = module.ABOUT["settings"]
    assert [*inspect.signature(module.explain).parameters] == ["network", "requests", *settings]
    assert all(setting["description"] for setting in settings.values())
    assert ("background" in module.ABOUT["needs"]) == ("background" in settings)


@EVERY
def test_a_fill_is_one_that_all_explainers_share(method):
    """What an image is compared with or hidden by, by the names that `removal.fill` knows.

    Each gives other finite maps than the default.
    """
    known = about("explainers", method)["settings"].get("fill")
    if known is None:
        pytest.skip("compares an image with nothing")
    kind = about("explainers", method)["targets"][0]
    network, maps = networks(method, kind), {}
    for fill in known["enum"]:
        if fill != "tokens":
            requests = [request(place, kind) for place in range(4)]
            attributions = explain(method, network, requests, fill=fill)
            maps[fill] = torch.stack([attribution.values for attribution in attributions])
    assert {*maps} <= {"black", "blur", "mean", "validation"}
    assert all(values.isfinite().all() for values in maps.values())
    assert not any(torch.equal(*pair) for pair in combinations(maps.values(), 2))


@EVERY_KIND
def test_attributions_are_finite_and_as_large_as_the_input(method, kind):
    """One attribution per request, of one or all channels, not zero everywhere."""
    attributions = explain(
        method, networks(method, kind), [request(place, kind) for place in range(4)]
    )
    assert len(attributions) == 4
    for attribution in attributions:
        assert attribution.values.shape in {(3, 32, 32), (1, 32, 32)}
        assert attribution.values.isfinite().all()
        assert not attribution.values.requires_grad
        assert (attribution.gain == attribution.gain) == about("explainers", method)["complete"]
    assert max(attribution.values.abs().max() for attribution in attributions) > 0
    if not about("explainers", method)["signed"]:
        assert min(attribution.values.min() for attribution in attributions) >= 0


@EVERY_KIND
def test_other_images_change_no_bit(method, kind):
    """A map is the same to the last bit alone, among others, and in any order.

    In how many shards a data set is explained is therefore of no matter.
    """
    network = networks(method, kind)

    def ask(order) -> dict:
        requests = (request(place, kind) for place in order)
        return dict(zip(order, explain(method, network, requests), strict=True))

    together = ask(range(7))
    for order in ([6, 2, 5, 1], [4], [3, 4, 5, 6]):
        for place, attribution in ask(order).items():
            torch.testing.assert_close(attribution.values, together[place].values, rtol=0, atol=0)
            assert attribution.gain == pytest.approx(
                together[place].gain, rel=0, abs=0, nan_ok=True
            )


@EVERY_KIND
def test_batch_size_moves_maps_by_rounding(method, kind):
    """Batches of 1, 3 and 64 give the same maps, up to rounding near the kink of a ReLU."""
    network = networks(method, kind)
    answers = []
    for size in (3, 1, 64):
        asked = (request(place, kind) for place in range(3))
        attributions = explain(method, network, asked, batch_size=size, tolerance=None)
        answers.append(torch.stack([attribution.values for attribution in attributions]))
    for other in answers[1:]:
        assert (other - answers[0]).abs().max() <= 1e-3 * answers[0].abs().max()


@EVERY
def test_a_complete_method_is_exact_on_a_linear_network(method):
    """If a method is complete, the values of a linear network sum to its gain."""
    if not about("explainers", method)["complete"]:
        pytest.skip("promises no sum")
    network = frozen(Linear(0.3))
    (attribution,) = explain(method, network, [Request(images(1, 3)[0], Label(0), generator())])
    # The noise of a few copies weighs differently in sum and gain.
    assert attribution.completeness_error < 0.02
    (exact,) = explain(
        method, network, [Request(images(1, 3)[0], Label(0), generator())], noise_std=0.0
    )
    assert exact.completeness_error < 1e-4


@EVERY
def test_a_constant_network_is_attributed_nothing(method):
    """Where no pixel matters, the attribution is zero and nothing is undefined."""
    said = about("explainers", method)
    if not said["needs"] or "convolutional" not in said["suits"]:
        pytest.skip("looks at no convolutional network")
    requests = [Request(images(1, 3)[0], Label(0), generator())]
    (attribution,) = explain(method, frozen(Linear(0.0)), requests)
    assert not attribution.values.any()
