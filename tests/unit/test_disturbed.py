"""Explainers run again: noise, another class, random weights; the gate that follows from them."""

import json
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from scripts import disturb_explainer, explain, gather_shards
from segxai.datasets.selection import repeated_targets
from segxai.explain.disturbed import (
    again,
    cascade,
    distance,
    noisy,
    null,
    other_class,
    randomised,
    stages,
)
from segxai.explain.stream import Attribution, Request, gradients, stacked
from segxai.explain.target import Label
from segxai.images.arrays import read_array
from segxai.job.files import read_rows
from segxai.metrics.case import Case
from segxai.metrics.disturbance import Disturbance
from segxai.metrics.similarity import similarity
from segxai.networks.saving import save_weights
from segxai.stats.gate import randomisation_gate
from segxai.workflow.plugins import about, load
from tests.unit.toy_networks import FRESH, frozen, generator, images, timm_network, unet

BOOTSTRAP = {"resamples": 500, "confidence": 0.95, "seed": 1}


@pytest.mark.parametrize("seed", range(5))
def test_similarity_is_of_ranks(seed):
    """1 with itself and any increasing function of it, −1 with its reverse, the same both ways."""
    a, b = np.random.default_rng(seed).normal(size=(2, 9, 8))
    assert similarity(a, a) == similarity(a, np.exp(3 * a) + 7) == pytest.approx(1)
    assert similarity(a, -a) == pytest.approx(-1)
    assert similarity(a, b) == pytest.approx(similarity(b, a))
    assert distance(a, a) == 0
    assert distance(3 * b, b) == pytest.approx(2)


@pytest.mark.parametrize("value", [0, 1, np.nan, np.inf])
def test_what_is_undefined_is_nan(value):
    """A constant map, or one that is not finite, is like no other; a zero map has no distance."""
    a, same = np.random.default_rng(0).normal(size=(9, 8)), np.full((9, 8), float(value))
    assert np.isnan([similarity(a, same), similarity(same, a), null(same, [a, a])]).all()
    assert np.isnan(distance(a, same)) == (value != 1)
    assert np.isnan(null(a, []))


def test_null_is_a_quantile_of_what_other_images_share():
    """Of 19 equal maps and 1 of the reverse sign all are as like; of noise little is."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(32, 32))
    assert null(a, [*[a] * 19, -a]) == pytest.approx(1)
    assert 0.03 < null(a, rng.normal(size=(20, 32, 32))) < 0.12


SMALL = {"img_size": 64, "depth": 4}
NETWORKS = {
    "resnet10t": lambda **own: frozen(timm_network("resnet10t", **own), 64),
    "densenet121": lambda **own: frozen(timm_network("densenet121", **own), 64),
    "vit": lambda **own: frozen(timm_network("vit_tiny_patch16_224", arguments=SMALL, **own), 64),
    "unet": lambda **own: frozen(unet(**own), 64),
    "deep head": lambda **own: frozen(timm_network("resnet10t", head_features=8, **own), 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_divide_the_parameters(name):
    """Each parameter is in one stage: the head in the first, what sees the image in the last."""
    network = NETWORKS[name]()
    parts = stages(network)
    known = [parameter for parameter, _ in network.module.named_parameters()]
    assert sorted(name for part in parts for name in part) == sorted(known)
    classifier = network.module.pretrained_cfg["classifier"]
    assert set(parts[0]) == {name for name in known if name.startswith(f"{classifier}.")}
    sizes = [len(part) for part in parts[1:]]
    assert max(sizes) < 1.5 * min(sizes)
    first = {"vit": {"cls_token", "pos_embed", "patch_embed.proj.weight"}}
    assert first.get(name, {known[0]}) <= set(parts[-1])


def test_stages_go_from_the_output_to_the_input():
    """Up to each stage the output depends on its layers, and the features before it do not."""
    network = NETWORKS["unet"]()
    deepest = [
        min(int(name.split(".")[1]) for name in part if name.startswith("encoders"))
        for part in stages(network)
        if any(name.startswith("encoders") for name in part)
    ]
    assert deepest == sorted(deepest, reverse=True)
    assert deepest[-1] == 0
    up = [name for name in chain(*stages(network)) if name.startswith(("upsam", "decoders"))]
    assert [name.split(".")[:2] for name in up[:7:6]] == [["decoders", "3"], ["upsamplers", "3"]]


@pytest.mark.parametrize("name", ["resnet10t", "vit"])
def test_a_random_network_is_the_fresh_one(name):
    """After the last stage all weights are the fresh ones, and the trained ones are untouched."""
    network, x = NETWORKS[name](), images(8, 1, 64)
    before = network.outputs(x)
    fresh = NETWORKS[name](seed=3).module
    steps = list(cascade(network, fresh, x))
    outputs = [step.outputs(x) for step in steps]
    assert torch.equal(network.outputs(x), before)
    pairs = zip(outputs, [before, *outputs[:-1]], strict=True)
    assert all((a - b).abs().max() > 1e-3 for a, b in pairs)
    drawn = dict(fresh.named_parameters())
    for key, value in steps[-1].module.named_parameters():
        # A norm that begins as zero would switch its branch off.
        zero = drawn[key].ndim == 1 and not drawn[key].any() and key.endswith("weight")
        assert torch.equal(value, torch.ones_like(value) if zero else drawn[key])
    assert not any(part.training for part in steps[-1].module.modules())


def test_statistics_are_those_of_the_random_network():
    """What batch norms put out over the images has mean 0 and variance 1 in each channel."""
    network, x = NETWORKS["resnet10t"](), images(32, 2, 64)
    names = [*chain(*stages(network))]
    changed = randomised(network, timm_network("resnet10t", seed=5), names, x)
    norm, seen = changed.module.layer3[0].bn1, []
    norm.register_forward_hook(lambda *given: seen.append(given[-1].clone()))
    changed.outputs(x)
    deviation, mean = torch.std_mean(seen[0], dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=0.01, rtol=0)
    torch.testing.assert_close(deviation, torch.ones_like(mean), atol=0.01, rtol=0)


def linear(seed: int = 0, outputs: int = 3):
    """Freeze a network of one layer, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, outputs))


def slopes(network, requests):
    """Explain by the gradient."""
    for request in requests:
        values = gradients(network, stacked([request.inputs]), [request.target], 1)[0]
        yield Attribution(values, float("nan"), 1, 0)


def pixels(network, requests):
    """Explain by the image, whatever network or class."""
    for request in requests:
        yield Attribution(request.inputs, float("nan"), 0, 0)


def maps(explainer, network, requests):
    return [a.values.sum(dim=0).numpy() for a in explainer(network, requests)]


def test_a_gradient_is_lost_with_the_weights_and_an_image_is_not():
    """Of a network of one layer the first stage is all of it; the gate tells the two apart."""
    network, fresh = frozen(linear()), linear(1)
    assert stages(network) == [["1.weight", "1.bias"], [], [], [], []]
    asked = [Request(x, Label(k % 3), generator()) for k, x in enumerate(images(6, 0))]
    random = list(cascade(network, fresh, images(4, 1)))[-1]
    for explainer, kept in ((slopes, False), (pixels, True)):
        known, again = (maps(explainer, which, asked) for which in (network, random))
        alike = [similarity(a, b) for a, b in zip(known, again, strict=True)]
        nulls = [null(a, [b for b in known if b is not a]) for a in known]
        verdict = randomisation_gate(alike, nulls, np.arange(6), **BOOTSTRAP)
        assert verdict.passed == (not kept)
        assert verdict.mean == pytest.approx(1 if kept else 0, abs=0.1)


def test_noise_is_of_two_grey_levels():
    """Pixels change by at most 2 of 255 grey levels, evenly, and as the seed says."""
    network, x = frozen(linear()), images(1, 0)[0]
    copies = noisy(network, x, seed=4)
    levels = (copies - x) * 255 * torch.tensor(network.std).view(-1, 1, 1)
    assert copies.shape == (5, 3, 32, 32)
    assert 1.99 < levels.abs().max() <= 2.001
    assert levels.std() == pytest.approx(4 / 12**0.5, rel=0.02)
    assert torch.equal(noisy(network, x, seed=4), copies)
    assert not torch.equal(noisy(network, x, seed=5), copies)


def test_the_explainers_own_draws_stay_the_same():
    """An explainer that draws gets the same numbers, and what it had drawn does not matter."""
    request = Request(images(1, 0)[0], Label(0), generator(9))
    first = torch.rand(3, generator=request.generator)
    for _ in range(2):
        repeated = again(request, target=Label(1))
        assert repeated.target == Label(1)
        assert torch.equal(torch.rand(3, generator=repeated.generator), first)


def test_the_other_class_is_the_most_probable_one():
    """Of logits that the image decides; a lone class has no other."""
    network, x = frozen(linear()), images(1, 0)[0]
    order = network.outputs(x[None])[0].argsort(descending=True).tolist()
    asked = [other_class(network, Request(x, Label(k), generator())) for k in order]
    assert asked == [Label(order[1]), Label(order[0]), Label(order[0])]
    lone = frozen(linear(outputs=1))
    assert other_class(lone, Request(x, Label(0), generator())) is None


def test_the_gate_needs_the_whole_interval_inside():
    """Wide intervals fail, as do reversed maps, and maps that are the same for all images."""
    groups, null_ = np.arange(8), np.full(8, 0.3)
    close = randomisation_gate(np.linspace(-0.1, 0.1, 8), null_, groups, **BOOTSTRAP)
    wide = randomisation_gate(np.linspace(-0.4, 0.9, 8), null_, groups, **BOOTSTRAP)
    reverse = randomisation_gate(np.full(8, -0.9), null_, groups, **BOOTSTRAP)
    assert (close.passed, wide.passed, reverse.passed) == (True, False, False)
    assert wide.low < wide.mean < wide.bound < wide.high
    assert not randomisation_gate(np.ones(8), np.ones(8), groups, **BOOTSTRAP).passed
    # Of one patient there is one draw, so no interval: more images do not make it narrower.
    ends = np.array([0.0] * 4 + [0.5] * 4)
    grouped = randomisation_gate(ends, null_, np.repeat([0, 1], 4), **BOOTSTRAP)
    assert (grouped.low, grouped.high, grouped.passed) == (0, 0.5, False)


def test_a_gate_without_numbers_is_not_passed():
    """Undefined values are left out; of none nothing is known."""
    nan, groups = np.full(4, np.nan), np.arange(4)
    verdict = randomisation_gate(nan, nan, groups, **BOOTSTRAP)
    assert not verdict.passed
    assert np.isnan(verdict[1:]).all()
    some = randomisation_gate([np.nan, 0, 0.1, 0], [0.5, np.nan, 0.5, 0.5], groups, **BOOTSTRAP)
    assert some.passed
    assert some.bound == 0.5


def test_few_images_of_each_study_are_explained_again():
    """Of each selection as many images as asked, all their targets, the same in any shard."""
    samples = pd.DataFrame({"image_id": [f"i{k}" for k in range(40)], "label": "a"})
    samples["split"] = ["train", "test"] * 20
    targets = pd.DataFrame({"image_id": np.repeat(samples.image_id[8:], 2)})
    every = {"split": None, "images": None, "seed": 1}
    few = repeated_targets(targets, samples, [every | {"split": "test"}], 5)
    assert few.image_id.value_counts().tolist() == [2] * 5
    assert set(few.image_id) <= set(samples.image_id[samples.split == "test"])
    both = repeated_targets(targets, samples, [every, every | {"split": "test"}], 5)
    assert set(few.image_id) < set(both.image_id)
    assert len(repeated_targets(targets, samples, [every], 100)) == len(targets)


CLASSIFIER = {
    **{"method": "timm_classifier", "architecture": "resnet10t", "arguments": {}},
    **{"head_features": None, "input_size": 32, "normalisation": "training"},
    **FRESH,
}
EXPLAINER = {"method": "grad_cam", "layer": "features", "precision": "float32", "batch_size": 4}
EXPLAINER["windows"] = None


@pytest.fixture
def study(tmp_path):
    """Write twelve images, a classifier of three classes, and two targets of each image."""
    rng = np.random.default_rng(0)
    names = [f"i{k}" for k in range(12)]
    samples = {"image_id": names, "split": ["train", "validation", "test"] * 4, "label": "a"}
    pd.DataFrame(samples).to_csv(tmp_path / "samples.csv", index=False)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8))
    (tmp_path / "statistics.json").write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    (tmp_path / "card.json").write_text(json.dumps({"outputs": 3}))
    save_weights(timm_network("resnet10t", 3), tmp_path / "weights.safetensors")
    targets = pd.DataFrame({"image_id": np.repeat(names, 2), "row": np.repeat(range(12), 2)})
    targets = targets.assign(channel=[0, 2] * 12, kind="label", shard=np.repeat([0, 1], 12))
    targets["target_id"] = targets.image_id + ":" + targets.channel.astype(str)
    targets.to_csv(tmp_path / "targets.csv", index=False)
    return tmp_path


def run_again(folder, monkeypatch, explainer=None):
    """Explain all targets, explain those of four images again, and read what is kept."""
    if explainer:
        for script in (explain, disturb_explainer):
            monkeypatch.setattr(script, "bound_explainer", lambda *_: (explainer, 32))
    files = ["samples", "targets", "images", "statistics", "weights", "card"]
    ends = [".csv", ".csv", ".npy", ".json", ".safetensors", ".json"]
    given = {name: folder / f"{name}{end}" for name, end in zip(files, ends, strict=True)}
    given |= {"network": CLASSIFIER, "explainer": EXPLAINER, "channels": ["r", "g", "b"]}
    given |= {"selections": [{"split": None, "images": None, "seed": 1}], "seed": 1, "threads": 1}

    def gathered(script, name, **more):
        parts = []
        for shard in (0, 1):
            parts.append([folder / f"{name}-{shard}.{end}" for end in ("npy", "csv")])
            made = dict(zip((name, "rows"), parts[-1], strict=True))
            script.main(**given, **more, shard=shard, **made)
        whole = folder / f"{name}.npy", folder / f"{name}.csv"
        gather_shards.main(*zip(*parts, strict=True), *whole)
        return whole

    maps, map_rows = gathered(explain, "maps")
    more = {"maps": maps, "map_rows": map_rows, "n_images": 4}
    array, rows = gathered(disturb_explainer, "disturbed", **more)
    return read_rows(rows), [Disturbance.of(row) for row in read_array(array)]


def values(disturbed: Disturbance) -> dict[str, float]:
    """What the metrics make of it."""
    measured = {}
    for name in ("max_sensitivity", "class_sensitivity", "draw_agreement", "randomisation"):
        said = about("metrics", name)["settings"]["images"]["default"]
        module, settings = load("metrics", {"method": name, "images": said})
        value = module.measure(Case(disturbed=disturbed), **settings)
        measured |= value if isinstance(value, dict) else {name: value}
    return measured


def test_the_wholly_random_network_has_the_name_of_the_metric():
    """It is the last stage; the others are numbered from the output on."""
    stages = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    disturbed = Disturbance(np.zeros(5), 1.0, 0.9, stages, 0.6)
    names = ["randomisation_1", "randomisation_2", "randomisation_3", "randomisation_4"]
    known = dict(zip([*names, "randomisation"], stages, strict=True)) | {"randomisation_null": 0.6}
    measured = values(disturbed)
    assert {name: measured[name] for name in known} == pytest.approx(known)


def test_an_image_passed_off_as_a_map_is_seen_through(study, monkeypatch):
    """It is the same for each class and for random weights; noise moves it by its own size."""
    rows, found = run_again(study, monkeypatch, pixels)
    assert len(rows) == 8
    measured = pd.DataFrame(map(values, found))
    kept = measured[["class_sensitivity", "randomisation", *(f"randomisation_{k}" for k in (1, 4))]]
    # The stored maps are in half precision, and so are those that are compared with them.
    np.testing.assert_allclose(kept, 1, atol=1e-6)
    assert measured.max_sensitivity.between(0, 0.1, inclusive="neither").all()
    assert (measured.randomisation_null < 0.2).all()
    gate = measured.randomisation, measured.randomisation_null, rows.target_id.str[:-2]
    assert not randomisation_gate(*gate, **BOOTSTRAP).passed


def noise(network, requests):
    """Explain by noise."""
    for request in requests:
        drawn = torch.randn(request.inputs.shape, generator=request.generator)
        yield Attribution(drawn, float("nan"), 0, 0)


def test_an_explainer_that_draws_is_drawn_anew(study, monkeypatch):
    """Of noise nothing is kept by other draws, and all by another class; slopes draw nothing."""
    for explainer, kept in ((noise, 0), (slopes, 1)):
        _, found = run_again(study, monkeypatch, explainer)
        measured = pd.DataFrame(map(values, found))
        np.testing.assert_allclose(measured.draw_agreement, kept, atol=0.15)
    _, found = run_again(study, monkeypatch, noise)
    assert [d.other_class for d in found] == pytest.approx([1] * 8)


def test_a_gradient_of_a_random_network_is_another(study, monkeypatch):
    """It passes the gate, tells classes apart, and moves with the input."""
    rows, found = run_again(study, monkeypatch, slopes)
    measured = pd.DataFrame(map(values, found))
    gate = measured.randomisation, measured.randomisation_null, rows.target_id.str[:-2]
    assert randomisation_gate(*gate, **BOOTSTRAP).passed
    assert (measured.class_sensitivity < 0.99).all()
    assert (measured.max_sensitivity > 0).all()


def test_the_gradient_of_a_linear_network_does_not_move(study, monkeypatch):
    """Max-sensitivity 0, to the last bit of what is stored."""
    network = frozen(linear())
    monkeypatch.setattr(explain.Network, "load", lambda *_: network)
    monkeypatch.setattr(disturb_explainer, "build_network", lambda *_: linear(1))
    _, found = run_again(study, monkeypatch, slopes)
    assert [disturbed.noise.max() for disturbed in found] == [0] * 8


def test_shards_do_not_matter(study, monkeypatch):
    """What is kept of Grad-CAM is the same in two shards and in one beside an empty one.

    Also of windows, whose maps are put together from several.
    """
    monkeypatch.setitem(EXPLAINER, "windows", {"grids": [1, 2], "overlap": 0.5})
    rows, two = run_again(study, monkeypatch)
    table = read_rows(study / "targets.csv")
    table.assign(shard=0).to_csv(study / "targets.csv", index=False)
    same, one = run_again(study, monkeypatch)
    pd.testing.assert_frame_equal(rows, same)
    assert [a.row().tobytes() for a in one] == [b.row().tobytes() for b in two]
    assert np.isfinite(np.stack([a.row() for a in one])).mean() > 0.5
