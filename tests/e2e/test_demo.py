"""The demo study end to end, and its tables recomputed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.study

MODEL = "models/phantom-lesions/vit-tiny-phantom/seed-1"
BASELINES = {"tokencut": "TokenCut", "maskcut": "MaskCut", "micranet": "MICRA-Net"}
MAPS = "maps/phantom-lesions/vit-tiny-phantom/integrated-gradients/seed-1"


@pytest.fixture(scope="module")
def explained(demo) -> np.ndarray:
    """Return the rows of samples.csv that were explained."""
    samples = pd.read_csv(demo / "data/phantom-lesions/samples.csv").image_id
    maps = pd.read_csv(demo / MAPS / "0.csv").image_id
    return samples.reset_index().set_index("image_id")["index"][maps].to_numpy()


@pytest.fixture(scope="module")
def table(demo) -> pd.DataFrame:
    """Return Table 1 of the demo, all images, by row and metric."""
    return read_table(demo, "explainseg_ablation")


@pytest.fixture(scope="module")
def baselines(demo) -> pd.DataFrame:
    """Return Table 2 of the demo, all images, by row and metric."""
    return read_table(demo, "explainseg_baselines")


def read_table(demo: Path, name: str) -> pd.DataFrame:
    """Read a table, all images, by row and metric."""
    table = pd.read_csv(demo / f"tables/{name}.csv")
    return table[table.split == "all"].set_index(["row", "metric"])


def test_classifier_learns_the_phantoms(demo):
    """The tiny ViT reaches 0.95 validation accuracy on patches it has not seen."""
    card = json.loads((demo / MODEL / "card.json").read_text())
    assert card["best"]["validation_accuracy"] >= 0.95
    assert card["patches"]["validation"] >= 100


def test_xncut_beats_the_controls(table, demo):
    """XNCut's mean Dice is at least 20 points above each control, with p < 0.001."""
    ours = table.loc[("XNCut xai+ncut", "dice"), "value"]
    tests = pd.read_csv(demo / "tables/explainseg_ablation_tests.csv")
    tests = tests.set_index(["first", "second"])
    for control in ("Control centred disc", "Control Otsu on grey"):
        assert ours > table.loc[(control, "dice"), "value"] + 20
        assert tests.loc[("XNCut xai+ncut", control), "p_holm"] < 1e-3


def test_tables_are_what_a_plain_computation_gives(demo, table, baselines, explained):
    """Means recomputed pixel by pixel from the arrays on disk equal those of both tables."""
    truth = np.load(demo / "data/phantom-lesions/masks.npy").astype(bool)[explained]
    cells = [
        (table, "xai-ncut-crf", "XNCut xai+ncut"),
        (table, "xai-morphology", "C xai+morphology, before CRF"),
        (baselines, "xai-ncut-crf", "ExplainSeg (XNCut)"),
        (baselines, "centred-disc", "Control centred disc"),
        *((baselines, name, row) for name, row in BASELINES.items()),
    ]
    for means, segmenter, row in cells:
        masks = np.load(demo / f"masks/phantom-lesions/{segmenter}/seed-1/0.npy").astype(bool)
        dice, iou = [], []
        for mask, lesion in zip(masks, truth, strict=True):
            if mask.any() or lesion.any():
                both = np.count_nonzero(mask & lesion)
                iou.append(both / np.count_nonzero(mask | lesion))
                dice.append(2 * both / (np.count_nonzero(mask) + np.count_nonzero(lesion)))
        assert means.loc[(row, "dice"), "value"] == pytest.approx(100 * np.mean(dice), abs=1e-3)
        assert means.loc[(row, "miou"), "value"] == pytest.approx(100 * np.mean(iou), abs=1e-3)
        assert means.loc[(row, "dice"), "n"] == len(dice)
        assert means.loc[(row, "dice"), "n_undefined"] == len(masks) - len(dice)


def test_baselines_find_something_and_are_tested_against_xncut(demo, baselines):
    """Each baseline overlaps the lesions, and XNCut is compared with every other row, once."""
    rows = [*BASELINES.values(), "Control centred disc", "Control Otsu on grey"]
    assert list(dict.fromkeys(row for row, _ in baselines.index)) == ["ExplainSeg (XNCut)", *rows]
    for row in BASELINES.values():
        assert baselines.loc[(row, "dice"), "value"] > 10
    tests = pd.read_csv(demo / "tables/explainseg_baselines_tests.csv")
    assert (tests["first"] == "ExplainSeg (XNCut)").all()
    assert list(tests.second) == rows


@pytest.mark.parametrize("name", ["tokencut", "maskcut"])
def test_cuts_are_told_image_by_image(demo, name):
    """Every image has its eigengap and its objects; a mask is empty only where a fact says why."""
    masks = np.load(demo / f"masks/phantom-lesions/{name}/seed-1/0.npy")
    cuts = pd.read_csv(demo / f"masks/phantom-lesions/{name}/seed-1/0.csv")
    explained = pd.read_csv(demo / MAPS / "0.csv")
    assert cuts.image_id.tolist() == explained.image_id.tolist()
    assert cuts.objects.max() <= (1 if name == "tokencut" else 3)
    cut = cuts.problem.isna()
    assert (cuts.eigengap[cut] > 0).all()
    assert (cuts.objects[cut] >= 1).all()
    if name == "tokencut":
        np.testing.assert_array_equal(masks.any(axis=(1, 2)), cut)


def test_splits_add_up(demo):
    """The mean over all images is the mean of its splits weighted by their sizes."""
    table = pd.read_csv(demo / "tables/explainseg_ablation.csv")
    wide = table[table.metric == "dice"].pivot(index="row", columns="split", values=["value", "n"])
    parts = [wide["value", split] * wide["n", split] for split in ("train", "validation")]
    np.testing.assert_allclose(sum(parts) / wide["n", "all"], wide["value", "all"], atol=2e-4)


def test_tuning_saw_validation_images_only(demo):
    """The chosen settings are the best of those tried, and training images were not looked at."""
    samples = pd.read_csv(demo / "data/phantom-lesions/samples.csv")
    trials = pd.read_csv(demo / "tuning/phantom-lesions/xai-ncut/seed-1.csv")
    assert (trials.n <= (samples.split == "validation").sum()).all()
    for _, stage in trials.groupby("stage"):
        assert stage.dice.idxmax() == stage[stage.chosen].index.item()
        assert stage.default.sum() == 1


def test_maps_are_complete_and_finite(demo, explained):
    """Each explained image, and no other, has one finite map in 0…1 and its facts."""
    maps, rows = np.load(demo / MAPS / "0.npy"), pd.read_csv(demo / MAPS / "0.csv")
    assert maps.dtype == np.float16
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    np.testing.assert_array_equal(maps.max(axis=(1, 2)), 1)
    assert len(maps) == len(set(explained)) == 120
    assert set(rows.target) <= {"background", "lesion"}
    assert rows.completeness_error.median() < 0.2


def test_every_published_number_has_a_verdict(demo):
    """The claims list all published numbers; on phantoms none is called reproduced."""
    claims = pd.read_csv(demo / "tables/claims.csv")
    assert len(claims) == 137
    assert set(claims.verdict) == {"not comparable"}
    assert claims.reason.notna().all()


def test_figures_and_report_exist(demo):
    """The page is one file that asks no network for anything, and the figures are there."""
    page = (demo / "report.html").read_text()
    assert "XNCut" in page
    assert not any(f'{attribute}="http' in page for attribute in ("src", "href"))
    assert len(page) < 20e6
    assert "ExplainSeg (XNCut)" in page
    for figure in ("examples", "variants", "distributions", "training"):
        for suffix in ("png", "pdf"):
            assert (demo / f"figures/explainseg_{figure}.{suffix}").stat().st_size > 5000


def test_a_finished_study_has_nothing_to_do(demo, run_study):
    """A second call redoes no job."""
    said = run_study(demo.parent, "config/demo.yaml").stdout
    assert "Nothing to be done" in said
