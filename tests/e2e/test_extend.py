"""The recipes of docs/extend.md, each applied to a copy of the repository as it is printed."""

import contextlib
import hashlib
import json
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

from segxai.datasets.phantom_lesions import generate
from segxai.explain.maps import read_maps
from segxai.networks.network import Network
from segxai.views.smoothed import view as smoothed
from tests.e2e.conftest import DEMO, changed, jobs
from tests.e2e.recipes import read_recipes

pytestmark = pytest.mark.study

RECIPES = read_recipes(Path(__file__).resolve().parents[2] / "docs/extend.md")
LESIONS = "phantom-lesions/vit-tiny-phantom"
FINDINGS = "phantom-findings/resnet-tiny-phantom"


@pytest.fixture
def continued(demo, tmp_path) -> Path:
    """Return a copy of the finished demo to go on with."""
    return shutil.copytree(demo.parent, tmp_path / "continued")


@contextlib.contextmanager
def applied(title: str, house: Path):
    """Add the files of a recipe, which must be new, to the copy of the repository."""
    recipe = RECIPES[title]
    assert not [name for name in recipe.files if (house / name).exists()]
    with changed(house, recipe.files):
        yield recipe


def follow(title: str, house: Path, folder: Path) -> tuple[Path, str]:
    """Apply a recipe and run its command; return the results and the output.

    Existing files must not change, except the requested table.
    """
    before = digests(folder / "results")
    with applied(title, house) as recipe:
        program, *arguments = shlex.split(recipe.command)
        assert program == ".venv/bin/snakemake"
        arguments[arguments.index("--cores") + 1] = "2"
        arguments[arguments.index("--directory") + 1] = str(folder)
        assert DEMO in arguments
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--resources", "gpu=4"],
            cwd=house,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8000:]
    after = digests(folder / "results")
    other = {name for name, digest in before.items() if after.get(name) != digest}
    target = arguments[-1].removeprefix("results/").removesuffix(".csv")
    table = {f"{target}{end}" for end in (".csv", ".md", ".tex", "_tests.csv")}
    assert other <= {"config.yaml", "run.json", *table}
    return folder / "results", done.stdout


def digests(results: Path) -> dict[str, str]:
    """Hash each file of some results."""
    files = (path for path in results.rglob("*") if path.is_file())
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def rows_of(table: Path, **keys) -> set[str]:
    """Lines of a table that have these keys, as they stand in the file."""
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    chosen = pd.read_csv(table)
    for name, value in keys.items():
        chosen = chosen[chosen[name] == value]
    assert len(chosen) > 0
    return {lines[row] for row in chosen.index}


@pytest.mark.parametrize("title", RECIPES)
def test_recipe_is_short_and_in_the_house_style(title, house):
    """A recipe has at most 30 lines, fits the files as they are, and passes the linters."""
    assert len(RECIPES) == 4
    with applied(title, house) as recipe:
        assert recipe.length <= 30
        (module,) = (name for name in recipe.files if name.endswith(".py"))
        for command in (["check"], ["format", "--check"]):
            program = [sys.executable, "-m", "ruff", *command, module]
            linted = subprocess.run(program, cwd=house, capture_output=True, text=True)
            assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_data_set_is_added(house, continued):
    """A folder of PNG files is read whole, split by patient, explained, segmented and scored."""
    definition = RECIPES["A data set"].files["config/datasets/clinic.yaml"]
    (clinic,) = yaml.safe_load(definition)["datasets"].values()
    folder = continued / clinic["path"]
    generate(folder, images=clinic["n_images"], size=clinic["analysis_size"])
    drawn = pd.read_csv(folder / "labels.csv")
    labels = np.where(drawn.label == "lesion", "lesion", "healthy")
    patients = [f"patient {row // 2}" for row in range(len(drawn))]
    rows = pd.DataFrame({"name": drawn.image_id, "label": labels, "patient": patients})
    # The table's order is the study's, whatever the names are.
    rows = rows.sample(frac=1, random_state=0)
    rows.to_csv(folder / "labels.csv", index=False)

    results, output = follow("A data set", house, continued)

    assert jobs(output)["prepare_dataset"] == 1
    data = results / "data/clinic"
    samples = pd.read_csv(data / "samples.csv")
    assert samples.image_id.tolist() == rows.name.tolist()
    assert samples.label.tolist() == rows.label.tolist()
    assert samples.groupby("group").split.nunique().eq(1).all()
    assert (samples.split == "validation").sum() == clinic["split"]["validation"]
    places = pd.read_csv(data / "masks.csv")
    masks = np.load(data / "masks.npy")
    assert set(places.row) == set(np.flatnonzero(rows.label == "lesion"))
    for row, _, place in places.iloc[[0, -1]].itertuples(index=False):
        true = np.asarray(Image.open(folder / f"masks/{rows.name.iloc[row]}.png")) > 127
        np.testing.assert_array_equal(masks[place], true)
    cell = "clinic/vit-tiny-phantom/integrated-gradients/xai-ncut-crf"
    dice = pd.read_csv(results / f"scores/overlap/{cell}/seed-1.csv").query("metric == 'dice'")
    assert dice.image_id.tolist() == rows.name.tolist()
    assert dice.value.dropna().between(0, 1).all()
    assert dice.value.max() > 0


def test_an_explainer_is_added(house, continued):
    """Its maps are those of a plain computation, at one pass each; Table 3 gains its rows."""
    table = continued / "results/tables/segx_alignment.csv"
    before = rows_of(table)
    results, output = follow("An explainer", house, continued)
    assert set(jobs(output)) == {"explain", "gather_maps", "score_maps", "make_table"}
    assert before < rows_of(table)
    assert rows_of(table) - before == rows_of(table, explainer="input-gradient")

    stem = results / f"maps/{FINDINGS}/input-gradient/seed-1"
    maps = read_maps(stem.with_suffix(".npy"), stem.with_suffix(".csv"))
    assert (maps.table.gradients == 1).all()
    assert (maps.table.forwards == 0).all()
    assert maps.table.completeness_error.isna().all()
    others = np.load(results / f"maps/{FINDINGS}/shap/seed-1.npy")
    assert np.abs(maps.packed.astype(float) - others).mean() > 0.01

    data = results / "data/phantom-findings"
    config = yaml.safe_load((results / "config.yaml").read_text())
    network = Network.load(
        results / f"models/{FINDINGS}/seed-1/weights.safetensors",
        results / f"models/{FINDINGS}/seed-1/card.json",
        data / "statistics.json",
        config["networks"]["resnet-tiny-phantom"],
        3,
        torch.device("cpu"),
    )
    targets = pd.read_csv(results / f"targets/{FINDINGS}/seed-1.csv")
    images = np.load(data / "images.npy")
    for place in (0, len(maps) - 1):
        target = targets.iloc[place]
        x = network.inputs(images[target.row][None]).requires_grad_()
        (slope,) = torch.autograd.grad(network.module(x)[0, target.channel], x)
        plain = ((x - network.black()) * slope).detach()[0].numpy()
        largest = np.abs(plain).sum(axis=0).max()
        np.testing.assert_allclose(maps[place].signed, plain.sum(axis=0), atol=2e-3 * largest)
        magnitude = np.abs(plain).sum(axis=0)
        np.testing.assert_allclose(maps[place].magnitude, magnitude, atol=2e-3 * largest)


def test_a_segmenter_is_added(house, continued):
    """It is tuned over its grid; its masks hold each map's peak."""
    results, output = follow("A segmenter", house, continued)
    assert set(jobs(output)) == {"tune_segmenter", "segment_maps", "score_masks"}
    cell = f"{LESIONS}/integrated-gradients/xai-watershed/seed-1"
    trials = pd.read_csv(results / f"tuning/{cell}.csv")
    for high in (0.4, 0.6, 0.8):
        assert trials.settings.str.contains(f'"high": {high}').sum() >= 1
    chosen = json.loads((results / f"tuning/{cell}.json").read_text())
    masks = np.load(results / f"masks/{cell}.npy")
    stem = results / f"maps/{LESIONS}/integrated-gradients/seed-1"
    maps = read_maps(stem.with_suffix(".npy"), stem.with_suffix(".csv"))
    assert len(masks) == len(maps) > 10
    for mask, place in zip(masks, range(len(maps)), strict=True):
        grey = smoothed(maps[place], mask.shape, **chosen["view"])
        assert mask[grey >= chosen["segmenter"]["high"]].all()
        assert not mask[grey <= chosen["segmenter"]["low"]].any()
        assert 0 < mask.mean() < 1
    scores = pd.read_csv(results / f"scores/overlap/{cell}.csv")
    dice = scores[scores.metric == "dice"]
    assert len(dice) == len(masks)
    assert dice.value.dropna().between(0, 1).all()


def test_a_metric_is_added(house, continued):
    """Its scores are those of a plain computation, in files and a table of their own."""
    results, output = follow("A metric", house, continued)
    assert jobs(output) == {"score_masks": 2, "make_table": 1}
    cell = f"{LESIONS}/integrated-gradients/xai-ncut-crf/seed-1"
    scores = pd.read_csv(results / f"scores/precision/{cell}.csv")
    assert set(scores.metric) == {"precision"}
    masks = np.load(results / f"masks/{cell}.npy") > 0
    places = pd.read_csv(results / "data/phantom-lesions/masks.csv").set_index("row").place
    truth = np.load(results / "data/phantom-lesions/masks.npy") > 0
    targets = pd.read_csv(results / f"targets/{LESIONS}/seed-1.csv")
    assert scores.target_id.tolist() == targets.target_id.tolist()
    lesions = [truth[places[row]] if row in places.index else 0 * truth[0] for row in targets.row]
    # Without a lesion, precision is undefined.
    plain = [
        np.nan if not lesion.any() else lesion[mask].mean() if mask.any() else 0
        for mask, lesion in zip(masks, lesions, strict=True)
    ]
    np.testing.assert_allclose(scores.value, plain, atol=1e-8)
    table = pd.read_csv(results / "tables/explainseg_precision.csv").set_index("segmenter")
    assert table.value["xai-ncut-crf"] == pytest.approx(np.nanmean(plain))
