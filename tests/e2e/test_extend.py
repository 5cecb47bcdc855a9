"""The recipes of docs/extend.md, each applied to a copy of the repository as it is printed."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from segxai.datasets.phantoms.lesions import write_phantom_lesions
from segxai.networks.network import Classifier
from segxai.views.grey import smooth
from segxai.views.relevance import relevance
from tests.e2e.recipes import read_recipes

pytestmark = pytest.mark.study

RECIPES = read_recipes(Path(__file__).resolve().parents[2] / "docs/extend.md")
# What comes after `results/` of a finished run that explainers and segmenters start from.
NEEDED = ("raw", "data", "models", "predictions", "maps")
PHANTOMS = "phantom-lesions"
NETWORK = "vit-tiny-phantom"


@pytest.fixture
def copy(checkout, tmp_path) -> Path:
    """Return a copy of all files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (checkout / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def copy_with_maps(copy, reduced) -> Path:
    """Return a copy of the repository with the reduced demo in it, up to its relevance maps."""
    for part in NEEDED:
        shutil.copytree(reduced / part, copy / "demo/results" / part)
    shutil.copytree(reduced.parent / ".snakemake/metadata", copy / "demo/.snakemake/metadata")
    return copy


def follow(title: str, copy: Path) -> tuple[Path, str]:
    """Apply a recipe and run its command on fewer images; return its target and what was said."""
    recipe = RECIPES[title]
    recipe.apply(copy)
    program, *arguments = shlex.split(recipe.command)
    assert program == ".venv/bin/snakemake"
    place = arguments.index("config/demo.yaml") + 1
    arguments.insert(place, "tests/e2e/reduced.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return copy / arguments[arguments.index("--directory") + 1] / arguments[-1], done.stdout


@pytest.mark.parametrize("title", RECIPES)
def test_recipe_is_short_and_in_the_house_style(title, copy):
    """A recipe has at most 30 lines, fits the files as they are, and passes the linters."""
    assert len(RECIPES) == 3
    recipe = RECIPES[title]
    assert recipe.length <= 30
    recipe.apply(copy)
    modules = [name for name, _, _ in recipe.files if name.endswith(".py")]
    assert len(modules) == 2
    for command in (["check"], ["format", "--check"]):
        program = [sys.executable, "-m", "ruff", *command, *modules]
        linted = subprocess.run(program, cwd=copy, capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_data_set_is_added(copy):
    """A folder of PNG files is read whole, split by patient, explained, segmented and scored."""
    definition = next(text for name, _, text in RECIPES["A data set"].files if "yaml" in name)
    (clinic,) = yaml.safe_load(definition)["datasets"].values()
    folder, size = copy / "runs" / clinic["path"], clinic["analysis_size"]
    write_phantom_lesions(folder, images=48, size=size)
    shown = pd.read_csv(folder / "labels.csv")
    labels = np.where(shown.label == "lesion", "lesion", "healthy")
    patients = [f"patient {row // 2}" for row in range(len(shown))]
    rows = pd.DataFrame({"name": shown.image_id, "label": labels, "patient": patients})
    # The table's order is the study's, whatever the names are.
    rows = rows.sample(frac=1, random_state=0)
    rows.to_csv(folder / "labels.csv", index=False)

    target, _ = follow("A data set", copy)

    data = target.parents[3].with_name("data") / "clinic"
    samples, masks = pd.read_csv(data / "samples.csv"), np.load(data / "masks.npy")
    assert samples.image_id.tolist() == rows.name.tolist()
    assert samples.label.tolist() == rows.label.tolist()
    assert samples.groupby("group").split.nunique().eq(1).all()
    assert (samples.split == "validation").sum() == clinic["split"]["validation"]
    for row in (0, len(rows) - 1):
        drawn = np.asarray(Image.open(folder / f"masks/{rows.name.iloc[row]}.png")) > 127
        np.testing.assert_array_equal(masks[row], drawn)
    scores = pd.read_csv(target)
    assert scores.image_id.tolist() == rows.name.tolist()
    assert scores.dice.dropna().between(0, 1).all()
    assert scores.dice.max() > 0


def test_an_explainer_is_added(copy_with_maps):
    """Its maps are those of a plain computation, at one pass each, and not those of others."""
    target, said = follow("An explainer", copy_with_maps)
    assert "rule train_model:" not in said
    results = target.parents[5]
    maps, facts = np.load(target), pd.read_csv(target.with_suffix(".csv"))
    assert len(maps) == len(facts) > 10
    assert (facts.gradients == 1).all()
    assert (facts.forwards == 0).all()
    assert facts.completeness_error.isna().all()
    others = np.load(results / f"maps/{PHANTOMS}/{NETWORK}/integrated-gradients/seed-1/0.npy")
    assert np.abs(maps.astype(float) - others).mean() > 0.01

    data = results / "data" / PHANTOMS
    samples = pd.read_csv(data / "samples.csv")
    model = yaml.safe_load((copy_with_maps / "config/demo.yaml").read_text())["models"][NETWORK]
    weights = results / f"models/{PHANTOMS}/{NETWORK}/seed-1/weights.safetensors"
    classifier = Classifier.load(weights, data / "statistics.json", model, 2, torch.device("cpu"))
    for place in (0, len(facts) - 1):
        row = samples.index[samples.image_id == facts.image_id[place]].item()
        x = classifier.inputs(np.load(data / "images.npy")[row], 1).requires_grad_()
        logit = classifier.network(x)[0, ["background", "lesion"].index(facts.target[place])]
        (slope,) = torch.autograd.grad(logit, x)
        plain = relevance(((x - classifier.black()) * slope).detach(), 1, maps.shape[1:])
        np.testing.assert_allclose(maps[place].astype(float), plain, atol=2e-3)


def test_a_segmenter_is_added(copy_with_maps):
    """It is tuned over its grid; its masks hold each map's peak and are not those of the cut."""
    target, said = follow("A segmenter", copy_with_maps)
    assert "rule explain:" not in said
    results = target.parents[4]
    trials = pd.read_csv(results / f"tuning/{PHANTOMS}/xai-watershed/seed-1.csv")
    for high in (0.4, 0.6, 0.8):
        assert trials.settings.str.contains(f'"watershed.high": {high}').sum() >= 1
    chosen = yaml.safe_load((results / f"tuning/{PHANTOMS}/xai-watershed/seed-1.json").read_text())
    masks = np.load(results / f"masks/{PHANTOMS}/xai-watershed/seed-1/0.npy")
    maps = np.load(results / f"maps/{PHANTOMS}/{NETWORK}/integrated-gradients/seed-1/0.npy")
    assert len(masks) == len(maps) > 10
    for mask, relevance_map in zip(masks, maps, strict=True):
        grey = smooth(relevance_map, **chosen["smoothing"])
        assert mask[grey >= chosen["watershed"]["high"]].all()
        assert not mask[grey <= chosen["watershed"]["low"]].any()
        assert 0 < mask.mean() < 1
    scores = pd.read_csv(target)
    assert len(scores) == len(pd.read_csv(results / f"data/{PHANTOMS}/samples.csv"))
    assert scores.dice.dropna().between(0, 1).all()
