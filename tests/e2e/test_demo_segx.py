"""SegX and SegU in the demo study: what was learnt, and tables recomputed from the arrays."""

import json

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.study

DATA, CLASSIFIER = "phantom-findings", "resnet-tiny-phantom"
CLASSES = ["nodule", "cyst", "opacity", "fibrosis"]
EXPLAINERS = ["shap", "gradcam"]


def scores(demo, explainer: str, kind: str = "segx") -> pd.DataFrame:
    """Read the scores of each explained label."""
    return pd.read_csv(demo / f"scores/{kind}/{DATA}/{CLASSIFIER}/{explainer}/seed-1.csv")


def read_table(demo, name: str) -> pd.DataFrame:
    """Read a table by row and metric."""
    return pd.read_csv(demo / f"tables/{name}.csv").set_index(["row", "metric"])


@pytest.fixture(scope="module")
def samples(demo) -> pd.DataFrame:
    """Return the images of the data set by name."""
    return pd.read_csv(demo / f"data/{DATA}/samples.csv").set_index("image_id")


def top(saliency: np.ndarray) -> set[int]:
    """Flat indices of the 5 % most salient pixels above the lowest value, one after another."""
    flat = saliency.astype(float).ravel()
    order = sorted(range(flat.size), key=lambda place: (-flat[place], place))
    return {place for place in order[: round(0.05 * flat.size)] if flat[place] > flat.min()}


def overlap(one: set[int], mask: np.ndarray) -> float:
    """Intersection over union of flat indices and a mask."""
    other = set(np.flatnonzero(mask))
    return len(one & other) / len(one | other)


def test_both_networks_learn(demo):
    """On images that they have not seen, the classifier and the U-Net do what they are for."""
    table = read_table(demo, "segx_networks").value
    assert table[CLASSIFIER, "auroc"] > 0.9
    assert table[CLASSIFIER, "f1"] > 0.75
    assert table["unet", "dice"] > 0.6


def test_predictions_follow_the_best_thresholds(demo, samples):
    """A label is predicted where p > τ, and no other τ has a better F1 on validation images."""
    found = pd.read_csv(demo / f"predictions/{DATA}/{CLASSIFIER}/seed-1.csv")
    labels = samples[[f"label_{name}" for name in CLASSES]].to_numpy().ravel()
    assert (found.predicted == (found.probability > found.threshold)).all()
    assert (found.correct == (found.predicted == labels)).all()
    for name, rows in found.assign(label=labels).groupby("class"):
        held_out = rows[rows.split == "validation"]

        def f1(threshold, held_out=held_out):
            predicted = held_out.probability > threshold
            return 2 * (predicted & held_out.label).sum() / (predicted.sum() + held_out.label.sum())

        best = max(f1(p - 1e-12) for p in held_out.probability)
        assert f1(rows.threshold.iloc[0]) == pytest.approx(best), name


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_every_predicted_label_of_the_test_set_has_a_map(demo, explainer):
    """The maps are those of the predicted labels of test images, in order, and of no other."""
    found = pd.read_csv(demo / f"predictions/{DATA}/{CLASSIFIER}/seed-1.csv")
    asked = found[(found.split == "test") & (found.predicted == 1)]
    rows = pd.read_csv(demo / f"maps/{DATA}/{CLASSIFIER}/{explainer}/seed-1/0.csv")
    maps = np.load(demo / f"maps/{DATA}/{CLASSIFIER}/{explainer}/seed-1/0.npy")
    assert rows.image_id.tolist() == asked.image_id.tolist()
    assert rows.target.tolist() == asked["class"].tolist()
    assert len(maps) == len(rows) > 80
    assert (maps.max(axis=(1, 2)) == 1).mean() > 0.9
    unpredicted = (asked.image_id.nunique(), found[found.split == "test"].image_id.nunique())
    table = read_table(demo, "segx_networks").value
    assert table[CLASSIFIER, "no predicted label"] == unpredicted[1] - unpredicted[0]
    assert table[CLASSIFIER, "images"] == unpredicted[1]


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_alignment_is_what_a_plain_computation_gives(demo, samples, explainer):
    """IoU@5 % and c_IoU, pixel by pixel from the arrays on disk, are those of scores and tables."""
    found = scores(demo, explainer)
    maps = np.load(demo / f"maps/{DATA}/{CLASSIFIER}/{explainer}/seed-1/0.npy")
    truth = np.load(demo / f"data/{DATA}/masks.npy")
    test = samples.index[samples.split == "test"]
    masks = dict(zip(test, np.load(demo / f"masks/{DATA}/unet/seed-1/0.npy"), strict=True))
    for n, row in enumerate(found.itertuples()):
        true = truth[samples.index.get_loc(row.image_id), CLASSES.index(row.target)]
        assert row.present == true.any() == samples.loc[row.image_id, f"label_{row.target}"]
        segmented = masks[row.image_id]
        assert row.c_iou == pytest.approx(overlap(top(maps[n]), segmented), abs=1e-8)
        if true.any():
            assert row.iou_original == pytest.approx(overlap(top(maps[n]), true), abs=1e-8)
            refined = overlap(top(maps[n] * segmented), true)
            assert row.iou_segx == pytest.approx(refined, abs=1e-8)
        else:
            assert np.isnan(row.iou_original)
    table, name = read_table(demo, "segx_alignment"), f"{CLASSIFIER} {explainer}"
    for metric, column in (("iou@5% original", "iou_original"), ("auitc segx", "auitc_segx")):
        cell = table.loc[(name, metric)]
        assert cell.value == pytest.approx(found[column].mean(), abs=1e-4)
        assert cell.n == found[column].notna().sum()
        assert cell.n_undefined == (found.present == 0).sum()
    certainty = read_table(demo, "segu_certainty").value
    for metric, present in (("c_iou correct", 1), ("c_iou incorrect", 0)):
        mean = found[found.present == present].c_iou.mean()
        assert certainty[name, metric] == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_segx_raises_alignment(demo, explainer):
    """A good segmenter brings each explainer nearer to the findings, in IoU@5 % and AUITC."""
    table, name = read_table(demo, "segx_alignment"), f"{CLASSIFIER} {explainer}"
    for metric in ("iou@5%", "auitc"):
        original, refined = (table.loc[(name, f"{metric} {kind}")] for kind in ("original", "segx"))
        assert refined.ci_low > original.ci_high
    tests = pd.read_csv(demo / "tables/segx_alignment_tests.csv")
    assert (tests[tests["first"] == f"{name} segx"].p_holm < 1e-3).all()


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_segu_is_what_all_pairs_give(demo, explainer):
    """AUROC of telling errors is the share of pairs, right and wrong, in the right order."""
    found = scores(demo, explainer)
    table = read_table(demo, "segu_certainty").value
    right, wrong = found[found.present == 1], found[found.present == 0]
    assert len(wrong) >= 5
    for column in ("c_iou", "maximum_probability", "segmentation_confidence"):
        gap = right[column].to_numpy()[:, None] - wrong[column].to_numpy()
        share = (gap > 0).mean() + (gap == 0).mean() / 2
        cell = table[f"{CLASSIFIER} {explainer}", f"auroc {column}"]
        assert cell == pytest.approx(share, abs=1e-4)


def test_worse_segmentations_help_less(demo):
    """The true mask helps most, and the more it is eroded or shifted the less is left of it."""
    for explainer in EXPLAINERS:
        found = scores(demo, explainer, "doses")
        gain = (found.iou_segx - found.iou_original).groupby([found.kind, found.radius]).mean()
        for kind in ("erode", "shift"):
            by_dose = [gain["none", 0], *gain[kind]]
            assert by_dose == sorted(by_dose, reverse=True)
        assert gain["none", 0] > 0.2


def test_the_marker_is_seen_and_then_hidden(demo):
    """SegX leaves next to no relevance on the planted marker; what SegU makes of it is told."""
    table = read_table(demo, "segx_shortcut")
    for explainer in EXPLAINERS:
        cell = table.loc[f"{CLASSIFIER} {explainer}"]
        assert cell.n["marker relevance"] >= 5
        assert cell.value["marker relevance segx"] < 0.01
    told = json.loads((demo / "report/segx.json").read_text())["datasets"][0]
    verdicts = ("SegU shows the shortcut", "not visible in SegU", "SegU is misled by it")
    assert any(verdict in str(told) for verdict in verdicts)


def test_figures_of_segx_exist(demo):
    """Examples, risk–coverage, dose response and training are drawn, as PNG and as PDF."""
    for figure in ("segx_examples", "segu_risk_coverage", "segx_doses", "segx_training"):
        for suffix in ("png", "pdf"):
            assert (demo / f"figures/{figure}.{suffix}").stat().st_size > 5000
