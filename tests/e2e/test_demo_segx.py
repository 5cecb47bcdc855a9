"""SegX and SegU in the demo study: what was learnt, and tables recomputed from the arrays."""

import numpy as np
import pandas as pd
import pytest
from skimage.transform import resize

pytestmark = pytest.mark.study

DATA, CLASSIFIER = "phantom-findings", "resnet-tiny-phantom"
CLASSES = ["nodule", "cyst", "opacity", "fibrosis"]
EXPLAINERS = ["shap", "gradcam"]


def scores(demo, family: str, explainer: str) -> pd.DataFrame:
    """Read a score file; of what each row compares, an empty string where it has none."""
    file = demo / f"scores/{family}/{DATA}/{CLASSIFIER}/{explainer}/seed-1.csv"
    return pd.read_csv(file, dtype={"view": str, "reference": str}).fillna(
        {"view": "", "reference": ""}
    )


def measured(rows: pd.DataFrame, metric: str, view: str = "", reference: str = "") -> pd.Series:
    """Values of one metric by target, in the order of the file."""
    chosen = (rows.metric == metric) & (rows["view"] == view) & (rows.reference == reference)
    return rows[chosen].set_index("target_id").value


def cell(demo, table: str, **keys) -> pd.Series:
    """The one row of a table that has these keys; those that are not given are empty, or `all`."""
    rows = pd.read_csv(demo / f"tables/{table}.csv")
    empty = dict.fromkeys(("view", "reference", "with", "minus"))
    for name, value in (empty | {"where": "all"} | keys).items():
        rows = rows[rows[name].isna() if value is None else rows[name] == value]
    assert len(rows) == 1, keys
    return rows.iloc[0]


@pytest.fixture(scope="module")
def samples(demo) -> pd.DataFrame:
    """Return the images of the data set by name."""
    return pd.read_csv(demo / f"data/{DATA}/samples.csv").set_index("image_id")


@pytest.fixture(scope="module")
def targets(demo) -> pd.DataFrame:
    """Return the explained targets."""
    return pd.read_csv(demo / f"targets/{DATA}/{CLASSIFIER}/seed-1.csv")


@pytest.fixture(scope="module")
def truth(demo) -> dict:
    """Return the masks that are not empty, by row of samples.csv and class."""
    stored = np.load(demo / f"data/{DATA}/masks.npy")
    places = pd.read_csv(demo / f"data/{DATA}/masks.csv")
    return {(row, kind): stored[place] > 0 for row, kind, place in places.itertuples(index=False)}


def top(relevance: np.ndarray) -> set[int]:
    """Flat indices of the 5 % most relevant pixels above the lowest value, one after another."""
    flat = relevance.astype(float).ravel()
    order = np.argsort(-flat, kind="stable")[: round(0.05 * flat.size)]
    return {place for place in order.tolist() if flat[place] > flat.min()}


def overlap(pixels: set[int], mask: np.ndarray) -> float:
    """Intersection over union of flat indices and a mask."""
    other = set(np.flatnonzero(mask))
    return len(pixels & other) / len(pixels | other)


def test_both_networks_learn(demo):
    """The classifier and the U-Net work on test images."""
    table = {"table": "segx_networks", "split": "test"}
    assert cell(demo, **table, network=CLASSIFIER, metric="auroc").value > 0.9
    assert cell(demo, **table, network=CLASSIFIER, metric="f1").value > 0.75
    dice = cell(demo, **table, network="unet", metric="dice", reference="truth")
    assert dice.value > 0.6


def test_predictions_follow_the_best_thresholds(demo, samples):
    """A label is predicted where p > τ, and no other τ has a better F1 on validation images."""
    predictions = pd.read_csv(demo / f"predictions/{DATA}/{CLASSIFIER}/seed-1.csv")
    labels = samples[[f"label_{name}" for name in CLASSES]].to_numpy().ravel()
    assert (predictions.predicted == (predictions.probability > predictions.threshold)).all()
    assert (predictions.correct == (predictions.predicted == labels)).all()
    for name, rows in predictions.assign(label=labels).groupby("class"):
        held_out = rows[rows.split == "validation"]

        def f1(threshold, held_out=held_out):
            predicted = held_out.probability > threshold
            return 2 * (predicted & held_out.label).sum() / (predicted.sum() + held_out.label.sum())

        best = max(f1(p - 1e-9) for p in held_out.probability)
        assert f1(rows.threshold.iloc[0]) == pytest.approx(best), name


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_every_predicted_label_of_the_test_set_has_a_map(demo, targets, explainer):
    """The maps are those of the predicted labels of test images, in order, and of no other."""
    predictions = pd.read_csv(demo / f"predictions/{DATA}/{CLASSIFIER}/seed-1.csv")
    test = predictions[predictions.split == "test"]
    asked = test[test.predicted == 1]
    assert targets.image_id.tolist() == asked.image_id.tolist()
    assert targets.label.tolist() == asked["class"].tolist()
    assert targets.correct.tolist() == asked.correct.tolist()
    stem = demo / f"maps/{DATA}/{CLASSIFIER}/{explainer}/seed-1"
    maps, facts = np.load(f"{stem}.npy"), pd.read_csv(f"{stem}.csv")
    assert facts.target_id.tolist() == targets.target_id.tolist()
    assert len(maps) == len(facts) > 80
    assert (maps[:, 1].max(axis=(1, 2)) == 1).mean() > 0.9
    table = {"table": "segx_networks", "network": CLASSIFIER, "split": "test"}
    images, explained = test.image_id.nunique(), asked.image_id.nunique()
    assert cell(demo, **table, metric="images").value == images
    assert cell(demo, **table, metric="no_predicted_label").value == images - explained


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_alignment_is_what_a_plain_computation_gives(demo, samples, targets, truth, explainer):
    """IoU@5 % and c_IoU, pixel by pixel from the arrays on disk, are those of scores and tables."""
    alignment, certainty = (scores(demo, kind, explainer) for kind in ("alignment", "certainty"))
    original = measured(alignment, "iou_at", "relevance", "truth")
    refined = measured(alignment, "iou_at", "segx", "truth")
    agreement = measured(certainty, "iou_at", "relevance", "segmentation")
    maps = np.load(demo / f"maps/{DATA}/{CLASSIFIER}/{explainer}/seed-1.npy")
    chosen = pd.read_csv(demo / f"masks/{DATA}/unet/unet/seed-1.csv").image_id
    stored = np.load(demo / f"masks/{DATA}/unet/unet/seed-1.npy")
    masks = dict(zip(chosen, stored, strict=True))
    assert original.index.tolist() == targets.target_id.tolist()
    for magnitude, target in zip(maps[:, 1], targets.itertuples(), strict=True):
        true, segmented = truth.get((target.row, target.channel)), masks[target.image_id]
        shown = samples.loc[target.image_id, f"label_{target.label}"]
        assert target.correct == shown == (true is not None)
        relevance = resize(magnitude.astype(float), segmented.shape, order=1, mode="edge")
        relevance = (relevance / (relevance.max() or 1)).astype(np.float32)
        name = target.target_id
        assert agreement[name] == pytest.approx(overlap(top(relevance), segmented), abs=1e-8)
        if shown:
            assert original[name] == pytest.approx(overlap(top(relevance), true), abs=1e-8)
            plain = overlap(top(relevance * segmented), true)
            assert refined[name] == pytest.approx(plain, abs=1e-8)
        else:
            assert np.isnan(original[name])
    row = {"network": CLASSIFIER, "explainer": explainer, "statistic": "mean"}
    for metric, view in (("iou_at", "relevance"), ("auitc", "segx")):
        values = measured(alignment, metric, view, "truth")
        keys = row | {"metric": metric, "view": view, "reference": "truth"}
        mean = cell(demo, "segx_alignment", **keys)
        assert mean.value == pytest.approx(values.mean(), abs=1e-8)
        assert mean.n == values.notna().sum()
        assert mean.n_undefined == (targets.correct == 0).sum()
    keys = row | {"metric": "iou_at", "view": "relevance", "reference": "segmentation"}
    for where, correct in (("correct", 1), ("incorrect", 0)):
        mean = agreement[(targets.correct == correct).to_numpy()].mean()
        assert cell(demo, "segu_certainty", **keys, where=where).value == pytest.approx(mean)


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_segx_raises_alignment(demo, explainer):
    """A good segmenter brings each explainer nearer to the findings, in IoU@5 % and AUITC."""
    tests = pd.read_csv(demo / "tables/segx_alignment_tests.csv")
    for metric in ("iou_at", "auitc"):
        keys = {"explainer": explainer, "metric": metric, "reference": "truth"}
        original, refined = (
            cell(demo, "segx_alignment", **keys, view=view) for view in ("relevance", "segx")
        )
        assert refined.ci_low > original.ci_high
    assert (tests[tests.first_explainer == explainer].p_holm < 1e-3).all()


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_segu_is_what_all_pairs_give(demo, targets, explainer):
    """AUROC of failure detection is the share of pairs (correct, incorrect) in the right order."""
    certainty = scores(demo, "certainty", explainer)
    correct = (targets.correct == 1).to_numpy()
    assert (~correct).sum() >= 5
    for keys in (
        {"metric": "iou_at", "view": "relevance", "reference": "segmentation"},
        {"metric": "maximum_probability"},
        {"metric": "segmentation_confidence"},
    ):
        values = measured(certainty, **keys).to_numpy()
        gap = values[correct][:, None] - values[~correct]
        share = (gap > 0).mean() + (gap == 0).mean() / 2
        auroc = cell(demo, "segu_certainty", explainer=explainer, statistic="auroc", **keys)
        assert auroc.value == pytest.approx(share, abs=1e-8)


def test_worse_segmentations_help_less(demo):
    """The true mask helps most, and the more it is eroded or shifted the less is left of it."""
    for explainer in EXPLAINERS:
        doses = scores(demo, "doses", explainer)
        doses = doses[(doses.metric == "iou_at") & (doses.reference == "truth")]
        means = doses.groupby(["segmenter", "view"]).value.mean().unstack()
        gain = means.segx - means.relevance
        assert gain["undamaged"] > 0.2
        for kind, radii in (("erode", (4, 8, 16)), ("shift", (8, 16, 32, 64))):
            by_dose = [gain["undamaged"], *(gain[f"{kind}-{radius}"] for radius in radii)]
            assert by_dose == sorted(by_dose, reverse=True)


def test_the_marker_is_seen_and_then_hidden(demo):
    """Correct predictions rest on the planted marker; SegX leaves next to none of it."""
    for explainer in EXPLAINERS:
        keys = {"explainer": explainer, "metric": "relevance_mass", "reference": "marker"}
        original, refined = (
            cell(demo, "segx_shortcut", **keys, view=view, where="marked")
            for view in ("relevance", "segx")
        )
        area = cell(
            demo, "segx_shortcut", **keys | {"metric": "reference_fraction"}, where="marked"
        )
        assert original.n >= 5
        assert original.value > 5 * area.value
        assert refined.value < 0.01


def test_figures_of_segx_exist(demo):
    """Examples, risk–coverage, dose response and training are drawn, as PNG and as PDF."""
    for figure in ("segx_examples", "segu_risk_coverage", "segx_doses", "segx_training"):
        for suffix in ("png", "pdf"):
            assert (demo / f"figures/{figure}.{suffix}").stat().st_size > 5000
