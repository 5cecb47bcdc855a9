"""The demo study end to end, and its tables recomputed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segxai.workflow.shown import CELL as VALUE
from tests.e2e.conftest import DEMO

pytestmark = pytest.mark.study

DATA = "phantom-lesions"
CELL = f"{DATA}/vit-tiny-phantom"
MAPS = f"maps/{CELL}/integrated-gradients/seed-1"
CONTROLS = ["centred-disc", "otsu-grey"]
BASELINES = ["tokencut", "maskcut", "micranet"]
# What stands between a data set and a seed in the path of a mask.
PATHS = {
    "xai-ncut-crf": "vit-tiny-phantom/integrated-gradients/xai-ncut-crf",
    "xai-morphology": "vit-tiny-phantom/integrated-gradients/xai-morphology",
    "tokencut": "vit-tiny-phantom/tokencut",
    "maskcut": "vit-tiny-phantom/maskcut",
    "micranet": "micranet/micranet",
    "centred-disc": "centred-disc",
}


@pytest.fixture(scope="module")
def targets(demo) -> pd.DataFrame:
    """Return the explained targets."""
    return pd.read_csv(demo / f"targets/{CELL}/seed-1.csv")


@pytest.fixture(scope="module")
def truth(demo) -> np.ndarray:
    """Return the true mask of each image, bool: images without one in masks.csv show no lesion."""
    places = pd.read_csv(demo / f"data/{DATA}/masks.csv")
    stored = np.load(demo / f"data/{DATA}/masks.npy")
    samples = pd.read_csv(demo / f"data/{DATA}/samples.csv")
    dense = np.zeros((len(samples), *stored.shape[1:]), bool)
    dense[places.row] = stored[places.place]
    return dense


def read_table(demo: Path, name: str, split: str = "all") -> pd.DataFrame:
    """Read a split of a table by segmenter and metric."""
    table = pd.read_csv(demo / f"tables/{name}.csv")
    return table[table.split == split].set_index(["segmenter", "metric"])


def test_classifier_learns_the_phantoms(demo):
    """The tiny ViT reaches 0.95 accuracy on validation patches."""
    card = json.loads((demo / f"models/{CELL}/seed-1/card.json").read_text())
    assert card["best"]["validation_accuracy"] >= 0.95
    assert card["patches"]["validation"] >= 100


def test_xncut_beats_the_controls(demo):
    """XNCut's mean Dice is at least 20 points above each control, with p < 0.001."""
    means = read_table(demo, "explainseg_ablation").value
    tests = pd.read_csv(demo / "tables/explainseg_ablation_tests.csv")
    tests = tests.set_index(["first_segmenter", "second_segmenter"])
    for control in CONTROLS:
        assert means["xai-ncut-crf", "dice"] > means[control, "dice"] + 20
        assert tests.loc[("xai-ncut-crf", control), "p_holm"] < 1e-3


@pytest.mark.parametrize(
    ("name", "segmenters"),
    [
        ("explainseg_ablation", ["xai-ncut-crf", "xai-morphology", "centred-disc"]),
        ("explainseg_baselines", ["xai-ncut-crf", "centred-disc", *BASELINES]),
    ],
)
def test_tables_are_what_a_plain_computation_gives(demo, targets, truth, name, segmenters):
    """Means recomputed pixel by pixel from the arrays on disk equal those of the table."""
    table = read_table(demo, name)
    images = pd.read_csv(demo / f"targets/{DATA}/images.csv").row
    for segmenter in segmenters:
        masks = np.load(demo / f"masks/{DATA}/{PATHS[segmenter]}/seed-1.npy").astype(bool)
        rows = targets.row if "integrated-gradients" in PATHS[segmenter] else images
        expected = {"dice": [], "iou": [], "false_positive": [], "false_positive_area": []}
        for mask, lesion in zip(masks, truth[rows], strict=True):
            if lesion.any():
                both = np.count_nonzero(mask & lesion)
                areas = np.count_nonzero(mask) + np.count_nonzero(lesion)
                expected["iou"].append(both / np.count_nonzero(mask | lesion))
                expected["dice"].append(2 * both / areas)
            else:
                expected["false_positive"].append(np.count_nonzero(mask) > 0)
                expected["false_positive_area"].append(np.count_nonzero(mask) / mask.size)
        for metric, values in expected.items():
            cell = table.loc[(segmenter, metric)]
            assert cell.value == pytest.approx(100 * np.mean(values), abs=1e-5)
            assert cell.n == len(values)
            assert cell.n_undefined == len(masks) - len(values)


@pytest.mark.parametrize(
    "name",
    [
        *("explainseg_ablation", "explainseg_baselines"),
        *("segx_alignment", "segu_certainty", "segx_networks", "segx_doses", "segx_shortcut"),
    ],
)
def test_all_rows_are_means_over_the_same_images(demo, name):
    """Within a data set, network and value all rows have the same n, whatever their masks hold."""
    table = pd.read_csv(demo / f"tables/{name}.csv", keep_default_na=False, na_values=[])
    keys = ["dataset", "split", *VALUE]
    # Masks of images are all of the same images; each network explains the labels that it predicts.
    keys += [] if name.startswith("explainseg") else ["network"]
    assert (table.groupby(keys).n.nunique() == 1).all()
    assert (table.n.astype(int) > 0).any()


def test_images_with_and_without_a_lesion_have_their_own_columns(demo):
    """Overlap is over the images that show a lesion, false positives over all the others."""
    samples = pd.read_csv(demo / f"data/{DATA}/samples.csv").set_index("image_id")
    chosen = pd.read_csv(demo / f"targets/{DATA}/images.csv").image_id
    shown = (samples.mask_pixels[chosen] > 0).sum()
    assert 0 < shown < len(chosen)
    table = read_table(demo, "explainseg_ablation")
    for metric, n in (("iou", shown), ("false_positive", len(chosen) - shown)):
        cells = table.xs(metric, level="metric")
        assert set(cells.n) == {n}
        assert set(cells.n_undefined) == {len(chosen) - n}
    printed = (demo / "tables/explainseg_ablation.md").read_text()
    assert f" {shown} " in printed and f" {len(chosen) - shown} " in printed


def test_baselines_find_lesions_and_are_compared_with_xncut(demo):
    """Each baseline overlaps the lesions, and XNCut is compared with every other row, once."""
    table = read_table(demo, "explainseg_baselines").value
    rows = [*BASELINES, *CONTROLS]
    assert list(dict.fromkeys(row for row, _ in table.index)) == ["xai-ncut-crf", *rows]
    for row in BASELINES:
        assert table[row, "dice"] > 10
    tests = pd.read_csv(demo / "tables/explainseg_baselines_tests.csv")
    assert (tests.first_segmenter == "xai-ncut-crf").all()
    assert list(tests.second_segmenter) == rows


@pytest.mark.parametrize("name", ["tokencut", "maskcut"])
def test_cuts_have_their_facts_image_by_image(demo, name):
    """Every image has its eigengap and its objects; an empty mask has a fact about the reason."""
    masks = np.load(demo / f"masks/{CELL}/{name}/seed-1.npy")
    cuts = pd.read_csv(demo / f"masks/{CELL}/{name}/seed-1.csv")
    chosen = pd.read_csv(demo / f"targets/{DATA}/images.csv")
    assert cuts.image_id.tolist() == chosen.image_id.tolist()
    assert cuts.objects.max() <= (1 if name == "tokencut" else 3)
    cut = cuts.problem.isna()
    assert (cuts.eigengap[cut] > 0).all()
    assert (cuts.objects[cut] >= 1).all()
    if name == "tokencut":
        np.testing.assert_array_equal(masks.any(axis=(1, 2)), cut)


def test_splits_add_up(demo):
    """The mean over all images is the mean of its splits weighted by their sizes."""
    table = pd.read_csv(demo / "tables/explainseg_ablation.csv")
    wide = table[table.metric == "dice"]
    wide = wide.pivot(index="segmenter", columns="split", values=["value", "n"])
    parts = [wide["value", split] * wide["n", split] for split in ("train", "validation")]
    np.testing.assert_allclose(sum(parts) / wide["n", "all"], wide["value", "all"], atol=2e-4)


def test_tuning_saw_validation_images_only(demo):
    """The chosen settings are the best of those tried, and training images were not looked at."""
    samples = pd.read_csv(demo / f"data/{DATA}/samples.csv")
    stem = demo / f"tuning/{CELL}/integrated-gradients/xai-ncut/seed-1"
    trials = pd.read_csv(stem.with_suffix(".csv"))
    assert (trials.n <= (samples.split == "validation").sum()).all()
    assert trials.dice.idxmax() == trials[trials.chosen].index.item()
    assert trials.default.sum() == 1
    chosen = json.loads(trials.settings[trials.chosen].item())
    assert chosen == json.loads(stem.with_suffix(".json").read_text())


def test_maps_are_signed_finite_and_complete(demo, targets):
    """Each target, and no other, has one finite signed map; its sum is its gain."""
    maps, facts = np.load(demo / f"{MAPS}.npy"), pd.read_csv(demo / f"{MAPS}.csv")
    assert maps.dtype == np.float16
    assert maps.shape == (90, 2, 64, 64)
    assert np.isfinite(maps).all()
    assert facts.target_id.tolist() == targets.target_id.tolist()
    assert set(targets.label) <= {"background", "lesion"}
    signed, magnitude = maps.astype(float).transpose(1, 0, 2, 3)
    assert (np.abs(signed) <= magnitude + 1e-3).all()
    assert (signed.min(axis=(1, 2)) < 0).all()
    np.testing.assert_array_equal(magnitude.max(axis=(1, 2)), 1)
    # From the file alone, as far as half precision carries.
    error = np.abs(signed.sum(axis=(1, 2)) * facts.scale - facts.gain) / np.abs(facts.gain)
    assert error.median() < 0.2
    np.testing.assert_allclose(error, facts.completeness_error, atol=0.01)


def test_every_published_number_has_a_verdict(demo):
    """The claims list all published numbers; on phantoms none is called reproduced."""
    claims = pd.read_csv(demo / "tables/claims.csv")
    assert len(claims) == 137
    assert set(claims.verdict) == {"not comparable"}
    assert claims.reason.notna().all()


def test_figures_and_report_exist(demo):
    """The page is one file that loads nothing from a network, and the figures are there."""
    page = (demo / "report.html").read_text()
    assert "XNCut" in page
    assert not any(f'{attribute}="http' in page for attribute in ("src", "href"))
    assert len(page) < 20e6
    for figure in ("examples", "variants", "distributions", "training"):
        for suffix in ("png", "pdf"):
            assert (demo / f"figures/explainseg_{figure}.{suffix}").stat().st_size > 5000


def test_a_finished_study_has_nothing_to_do(demo, run_study, house):
    """A second call redoes no job."""
    output = run_study(demo.parent, DEMO, root=house)
    assert "Nothing to be done" in output


def test_results_of_another_layout_are_refused(run_study, tmp_path):
    """A folder of an older version is refused with one sentence, and nothing in it changes."""
    old = tmp_path / "results/models/phantom-lesions/vit-tiny-phantom/seed-1/weights.safetensors"
    old.parent.mkdir(parents=True)
    old.touch()
    output = run_study(tmp_path, DEMO, fails=True)
    sentences = [line for line in output.splitlines() if "another layout" in line]
    assert len(sentences) == 1
    assert "Traceback" not in output
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == [old]
