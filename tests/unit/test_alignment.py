"""Tables of SegX and SegU against plain loops over rows, and what becomes of undefined scores."""

import runpy
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from segxai.job.files import read_scores
from segxai.stats import alignment as tables
from segxai.stats.bootstrap import bootstrap_mean, bootstrap_weighted
from segxai.stats.classification import multilabel_scores
from segxai.stats.networks import networks, recognition
from segxai.stats.selective import augrc, aurc, auroc
from segxai.stats.tables import claims, latex, printed
from segxai.stats.tests import holm
from tests.unit.reference import bootstrap_statistic

STATISTICS = {"resamples": 60, "confidence": 0.9, "seed": 3}
PUBLISHED = pd.DataFrame(
    [
        ("segx", "3", "toy", "net shap", "iou@5% segx", 0.25, "fraction"),
        ("segx", "4", "toy", "net shap", "c_iou correct", 0.5, "fraction"),
        ("segx", "3", "absent", "net shap", "iou@5% segx", 0.1, "fraction"),
    ],
    columns=["paper", "table", "dataset", "row", "metric", "value", "unit"],
)
KEY = ("toy", "net shap")
NUMBERS = [*tables.ALIGNMENT.values(), *tables.CONFIDENCES[:-1]]


def scores(n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Make scores of n labels, two for each image, three images to a group; every fifth is wrong.

    Confidences take few values, so that ties are the rule; wrong labels have no true mask.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(n)
    table = pd.DataFrame(rng.integers(0, 8, (n, len(NUMBERS))) / 8, columns=NUMBERS)
    table = table.assign(
        image_id=[f"{k:03d}" for k in number // 2],
        group=[f"g{k}" for k in number // 6],
        split="test",
        target=np.where(number % 2, "cyst", "nodule"),
        present=(number % 5 > 0).astype(float),
    )
    table.loc[table.present == 0, list(tables.ALIGNMENT.values())] = np.nan
    return table


def values(table: pd.DataFrame) -> pd.DataFrame:
    """Cells of one data set and row by metric."""
    return table.set_index("metric")


def pairwise(confidence, correct) -> float:
    """AUROC by comparing every right prediction with every wrong one."""
    pairs = list(product(confidence[correct == 1], confidence[correct == 0]))
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def test_weights_count_predictions():
    """Each area with weights is that of the predictions repeated, 0 times and ties included."""
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(0, 5, 14) / 4, rng.random(14) < 0.6
    weights = rng.integers(0, 4, (30, 14))
    weights[0] = 0
    weights[1, ~correct] = 0
    for area in (auroc, aurc, augrc):
        found = area(confidence, correct, weights)
        assert found.shape == (30,)
        for one, times in zip(found, weights, strict=True):
            expected = area(confidence.repeat(times), correct.repeat(times))
            assert one == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert np.isnan(auroc(confidence, correct, weights)[:2]).all()


@pytest.mark.filterwarnings("error")
def test_weighted_bootstrap_is_the_bootstrap():
    """Statistics of weights have the value and interval that resampled rows give, one by one."""
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(40), rng.random(40) < 0.8
    groups = rng.integers(0, 9, 40)

    def measured(weights):
        mean = weights @ confidence / weights.sum(axis=1)
        nothing = np.full(len(weights), np.nan)
        return np.stack([auroc(confidence, correct, weights), mean, nothing], axis=1)

    found = np.transpose(bootstrap_weighted(measured, groups, 300, 0.9, 5))
    expected = bootstrap_statistic(auroc, (confidence, correct), groups, 300, 0.9, 5)
    np.testing.assert_allclose(found[0], expected)
    np.testing.assert_allclose(found[1], bootstrap_mean(confidence, groups, 300, 0.9, 5))
    assert np.isnan(found[2]).all()


def test_alignment_is_the_mean_of_each_column():
    """Each metric is the mean of its own column where defined, with the interval by groups."""
    table = scores()
    found = values(tables.alignment({KEY: table}, PUBLISHED, STATISTICS))
    assert list(found.index) == list(tables.ALIGNMENT)
    for metric, column in tables.ALIGNMENT.items():
        kept = [value for value in table[column] if value == value]
        assert found.value[metric] == pytest.approx(sum(kept) / len(kept))
        assert (found.n[metric], found.n_undefined[metric]) == (19, 5)
        bounds = bootstrap_mean(table[column], table.group, **STATISTICS)[1:]
        assert (found.ci_low[metric], found.ci_high[metric]) == bounds
    assert found.published["iou@5% segx"] == 0.25
    assert found.difference["iou@5% segx"] == found.value["iou@5% segx"] - 0.25
    assert found.published.notna().sum() == 1
    assert set(found.split) == {"test"}
    assert set(found.unit) == {"fraction"}
    assert set(found.table) == {"3"}


def test_only_test_images_count():
    """Rows of other subsets change nothing."""
    table = scores()
    other = scores(8, seed=9).assign(split="train")
    both = {KEY: pd.concat([table, other], ignore_index=True)}
    for make in (tables.alignment, tables.certainty):
        alone = make({KEY: table}, PUBLISHED, STATISTICS)
        pd.testing.assert_frame_equal(make(both, PUBLISHED, STATISTICS), alone)
    for compare in (tables.compare_alignment, tables.compare_certainty):
        pd.testing.assert_frame_equal(compare(both), compare({KEY: table}))


def test_alignment_tests_are_wilcoxons():
    """SegX is paired with the original by label; Holm's family is a data set and metric."""
    shap, cam = scores(), scores(seed=1)
    found = tables.compare_alignment({KEY: shap, ("toy", "net cam"): cam, ("b", "net"): cam})
    assert list(found.metric) == ["iou@5%"] * 2 + ["auitc"] * 2 + ["iou@5%", "auitc"]
    assert list(found["first"][:2]) == ["net shap segx", "net cam segx"]
    assert list(found.second[:2]) == ["net shap original", "net cam original"]
    right = shap[shap.present == 1]
    gap = (right.auitc_segx - right.auitc_original).to_numpy()
    one = found.iloc[2]
    assert (one.n, one.p) == (19, scipy_stats.wilcoxon(gap).pvalue)
    assert one.mean_difference == pytest.approx(gap.mean())
    np.testing.assert_allclose(found.p_holm[2:4], holm(found.p[2:4].to_numpy()))
    np.testing.assert_array_equal(found.p_holm[4:], found.p[4:])


def test_certainty_of_right_and_wrong():
    """Means of SegU split by the prediction; undefined scores are left out and counted."""
    table = scores()
    table.loc[[1, 2, 5], "c_iou"] = np.nan
    found = values(tables.certainty({KEY: table}, PUBLISHED, STATISTICS))
    for name, (which, present) in product(("c_iou", "c_auitc"), (("correct", 1), ("incorrect", 0))):
        own = [v for v, p in zip(table[name], table.present, strict=True) if p == present]
        kept = [value for value in own if value == value]
        cell = found.loc[f"{name} {which}"]
        assert cell.value == pytest.approx(sum(kept) / len(kept))
        assert (cell.n, cell.n_undefined) == (len(kept), len(own) - len(kept))
    assert found.n_undefined["c_iou correct"] == 2
    assert found.value["error rate"] == pytest.approx(5 / 24)
    assert found.published["c_iou correct"] == 0.5


def test_areas_of_each_confidence():
    """Each area is that of its own confidence, undefined ones last; so are the two gains."""
    table = scores()
    table.loc[[1, 2, 5], "c_iou"] = np.nan
    found = values(tables.certainty({KEY: table}, PUBLISHED, STATISTICS))
    columns = {name: table[name].fillna(-1).to_numpy() for name in tables.CONFIDENCES[:-1]}
    columns["c_iou"] = np.maximum(columns["c_iou"], 0)
    ranks = [scipy_stats.rankdata(columns[name]) for name in ("c_iou", "maximum_probability")]
    columns["c_iou+maximum_probability"] = sum(ranks) / 2
    correct = table.present.to_numpy()
    for name, confidence in columns.items():
        assert found.value[f"auroc {name}"] == pytest.approx(pairwise(confidence, correct))
        assert found.value[f"aurc {name}"] == pytest.approx(aurc(confidence, correct))
        assert found.value[f"augrc {name}"] == pytest.approx(augrc(confidence, correct))
        bounds = bootstrap_statistic(aurc, (confidence, correct), table.group, **STATISTICS)[1:]
        cell = found.loc[f"aurc {name}"]
        assert (cell.ci_low, cell.ci_high) == pytest.approx(bounds)
        assert cell.n_undefined == (3 if "c_iou" in name else 0)
        assert cell.n == 24 - cell.n_undefined

    def gain(one, other, right):
        return pairwise(one, right) - pairwise(other, right) if 0 < right.mean() < 1 else np.nan

    baseline = columns["maximum_probability"]
    for name in ("c_iou", "c_iou+maximum_probability"):
        pair = (columns[name], baseline, correct)
        expected = bootstrap_statistic(gain, pair, table.group, **STATISTICS)
        cell = found.loc[f"auroc {name} - maximum_probability"]
        assert (cell.value, cell.ci_low, cell.ci_high) == pytest.approx(expected)


def test_certainty_tests_are_mann_whitneys():
    """Right against wrong, undefined scores left out, Holm within a data set and metric."""
    shap, cam = scores(), scores(seed=1)
    shap.loc[[1, 2, 5], "c_iou"] = np.nan
    found = tables.compare_certainty({KEY: shap, ("toy", "net cam"): cam})
    one = found.iloc[0]
    assert (one["first"], one.second) == ("net shap correct", "net shap incorrect")
    assert (one.metric, one.n_first, one.n_second) == ("c_iou", 17, 4)
    kept = shap[shap.c_iou.notna()]
    assert one.effect == pytest.approx(pairwise(kept.c_iou.to_numpy(), kept.present.to_numpy()))
    right = kept.present == 1
    assert one.p == scipy_stats.mannwhitneyu(kept.c_iou[right], kept.c_iou[~right]).pvalue
    np.testing.assert_allclose(found.p_holm[[0, 2]], holm(found.p[[0, 2]].to_numpy()))


@pytest.mark.filterwarnings("error")
def test_only_right_predictions():
    """Nothing can be told apart: AUROC, its gain and the test are NaN, and counted; AURC is 0."""
    table = scores().query("present == 1")
    found = values(tables.certainty({KEY: table}, PUBLISHED, STATISTICS))
    for metric in ("auroc c_iou", "auroc c_iou - maximum_probability", "c_iou incorrect"):
        assert found.loc[metric, ["value", "ci_low", "ci_high"]].isna().all()
        assert found.n[metric] == 0
    assert found.n_undefined["auroc c_iou"] == 19
    assert found.value["aurc c_iou"] == found.ci_high["aurc c_iou"] == 0
    assert found.value["error rate"] == 0
    other = scores(seed=1)
    tests = tables.compare_certainty({KEY: table, ("toy", "net cam"): other})
    assert tests.p_holm[:2].isna().all()
    # A test that could not be made is not adjusted for.
    assert list(tests.p_holm[2:]) == list(tests.p[2:])


@pytest.mark.filterwarnings("error")
def test_no_label_predicted():
    """A file without rows still has its rows in every table: undefined, of no image."""
    nothing = {KEY: scores().iloc[:0], ("toy", "net cam"): scores()}
    for make in (tables.alignment, tables.certainty):
        found = make(nothing, PUBLISHED, STATISTICS)
        empty = found[found.row == "net shap"]
        assert empty.value.isna().all()
        assert (empty[["n", "n_undefined"]] == 0).all(axis=None)
        assert len(empty) == len(found) / 2
    for compare in (tables.compare_alignment, tables.compare_certainty):
        assert len(compare(nothing)) == 4
    cells = printed(
        tables.alignment(nothing, PUBLISHED, STATISTICS), {"toy": "Toy"}, tables.PRINTED_ALIGNMENT
    )
    assert (cells.loc["net shap"] == "undefined").all()


@pytest.mark.filterwarnings("error")
def test_single_group():
    """One group can only be drawn whole: intervals shrink to their values."""
    one = scores().assign(group="only")
    found = tables.certainty({KEY: one}, PUBLISHED, STATISTICS)
    np.testing.assert_allclose(found.ci_low, found.value)
    np.testing.assert_allclose(found.ci_high, found.value)


def test_two_seeds(tmp_path):
    """Seeds are read as one table; an image and label is one observation of the paired tests."""
    first, second = scores(), scores(seed=1)
    first.to_csv(tmp_path / "1.csv", index=False)
    second.to_csv(tmp_path / "2.csv", index=False)
    second.iloc[:0].to_csv(tmp_path / "3.csv", index=False)
    found = read_scores([tmp_path / f"{seed}.csv" for seed in (3, 1, 2)], [KEY] * 3)
    assert list(found) == [KEY]
    assert found[KEY].run.tolist() == [1] * 24 + [2] * 24
    assert found[KEY].image_id[0] == "000"
    assert found[KEY].c_iou.dtype == float
    table = values(tables.alignment(found, PUBLISHED, STATISTICS))
    both = pd.concat([first, second])
    assert table.value["auitc segx"] == pytest.approx(both.auitc_segx.mean())
    assert table.n["auitc segx"] == 38
    test = tables.compare_alignment(found).iloc[0]
    gap = (first.iou_segx + second.iou_segx - first.iou_original - second.iou_original) / 2
    assert test.n == 19
    assert test.p == pytest.approx(scipy_stats.wilcoxon(gap.dropna()).pvalue)
    nothing = read_scores([tmp_path / "3.csv"], [KEY])
    assert nothing[KEY].c_iou.dtype == float


def test_doses():
    """Gains and AUROCs are those of each dose alone, in the order of the file."""
    erased = scores(seed=1).assign(kind="erode", radius=4.0, dice=0.5)
    erased.loc[[0, 1], "c_iou"] = np.nan
    erased.loc[0, "dice"] = np.nan
    table = pd.concat([scores().assign(kind="none", radius=0.0, dice=1.0), erased])
    found = tables.doses({KEY: table}, STATISTICS)
    assert list(found.columns) == [
        *("dataset", "row", "kind", "radius", "dice", "metric"),
        *("value", "ci_low", "ci_high", "n"),
    ]
    assert list(found.kind) == ["none"] * 4 + ["erode"] * 4
    assert list(found.metric[:4]) == ["iou@5% gain", "auitc gain", "auroc c_iou", "auroc c_auitc"]
    dose = values(found[found.kind == "erode"])
    assert set(dose.dice) == {0.5}
    assert set(dose.radius) == {4}
    gaps = [b - a for a, b in zip(erased.iou_original, erased.iou_segx, strict=True) if a == a]
    assert dose.value["iou@5% gain"] == pytest.approx(sum(gaps) / len(gaps))
    assert dose.n["iou@5% gain"] == 19
    columns = erased.c_iou.fillna(0).to_numpy(), erased.present.to_numpy()
    assert dose.value["auroc c_iou"] == pytest.approx(pairwise(*columns))
    assert dose.n["auroc c_iou"] == 22
    bounds = bootstrap_statistic(auroc, columns, erased.group, **STATISTICS)[1:]
    assert tuple(dose.loc["auroc c_iou", ["ci_low", "ci_high"]]) == pytest.approx(bounds)
    nothing = tables.doses({KEY: table.iloc[:0]}, STATISTICS)
    assert list(nothing.columns) == list(found.columns)


def test_shortcut():
    """Shares of marked and right predictions alone; the AUROC falls with c_iou where marked."""
    table = scores().assign(marked=np.arange(24) % 3 % 2 == 1)
    rng = np.random.default_rng(2)
    for column in tables.ON_MARKER.values():
        table[column] = np.where(table.marked, rng.random(24), np.nan)
    table.loc[1, "marker_top"] = np.nan
    found = values(tables.shortcut({KEY: table}, STATISTICS))
    marked = table[table.marked & (table.present == 1)]
    assert len(marked) == 7
    for metric, column in tables.ON_MARKER.items():
        assert found.value[metric] == pytest.approx(np.nanmean(marked[column]))
        assert found.n[metric] == (6 if column == "marker_top" else 7)
    unmarked = table[~table.marked & (table.present == 1)]
    for name in ("c_iou", "c_auitc"):
        assert found.value[f"{name} marked"] == pytest.approx(marked[name].mean())
        assert found.value[f"{name} unmarked"] == pytest.approx(unmarked[name].mean())
    right = pd.concat([marked, unmarked])
    expected = pairwise(right.c_iou.to_numpy(), (~right.marked).to_numpy())
    assert found.value["auroc c_iou unmarked over marked"] == pytest.approx(expected)
    assert found.n["auroc c_iou unmarked over marked"] == 19


def predictions(n: int, seed: int) -> pd.DataFrame:
    """Make predictions of three classes for n images; the last class is absent and unpredicted."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).random((n, 3)) < [0.5, 0.3, 0]
    probability = np.round(rng.random((n, 3)), 1)
    predicted = probability > np.array([0.4, 0.7, np.nan])
    return pd.DataFrame(
        {
            "image_id": np.repeat([f"{k:02d}" for k in range(n)], 3),
            "split": np.repeat(np.where(np.arange(n) < 20, "test", "train"), 3),
            "class": np.tile(["b", "a", "c"], n),
            "probability": probability.ravel(),
            "predicted": predicted.ravel().astype(float),
            "correct": (predicted == truth).ravel().astype(float),
            "truth": truth.ravel(),
        }
    )


def matrix(table: pd.DataFrame, column: str) -> np.ndarray:
    """One column of predictions as images × classes."""
    return table[column].to_numpy().reshape(-1, 3)


def test_recognition_is_multilabel_scores():
    """For each sample, the scores of its images repeated as often as they count."""
    table = predictions(20, 1)
    probability, truth = matrix(table, "probability"), matrix(table, "truth").astype(bool)
    thresholds = np.array([0.4, 0.7, np.nan])
    weights = np.random.default_rng(3).integers(0, 4, (12, 20))
    weights[0] = weights[0] * ~truth[:, 0]
    found = recognition(probability, probability > thresholds, truth, weights)
    for one, times in zip(found, weights, strict=True):
        repeated = probability.repeat(times, axis=0), truth.repeat(times, axis=0)
        expected = multilabel_scores(*repeated, thresholds)[["accuracy", "f1", "auroc"]]
        np.testing.assert_allclose(one, expected.to_numpy().T, atol=1e-6)


def test_networks():
    """Scores of test images alone, macro averages and counts averaged over seeds."""
    runs = [predictions(26, seed) for seed in (1, 2)]
    table = pd.concat([one.assign(run=k) for k, one in enumerate(runs)]).drop(columns="truth")
    groups = pd.Series({f"{k:02d}": f"g{k // 2}" for k in range(26)})
    overlap = pd.DataFrame(
        {
            "group": list("aabbc"),
            "split": ["test"] * 4 + ["train"],
            "iou": [0.2, 0.4, 0.0, 0.6, 1.0],
            "dice": [0.3, 0.5, 0.0, np.nan, 1.0],
            "truth_fraction": [0.1, 0.1, 0.0, 0.1, 0.1],
        }
    )
    found = networks(
        {("toy", "net"): table}, {("toy", "unet"): overlap}, {"toy": groups}, STATISTICS
    )
    net, unet = (values(found[found.row == row]) for row in ("net", "unet"))
    thresholds = np.array([0.4, 0.7, np.nan])
    tests = [one[one.split == "test"] for one in runs]
    for metric in ("accuracy", "f1", "auroc"):
        each = [
            multilabel_scores(matrix(one, "probability"), matrix(one, "truth"), thresholds)
            for one in tests
        ]
        assert net.value[metric] == pytest.approx(
            np.mean([s[metric].mean() for s in each]), abs=1e-6
        )
        assert net.ci_low[metric] < net.value[metric] < net.ci_high[metric]
        assert net.n[metric] == 20
    assert list(net.n_undefined[:3]) == [0, 2, 2]
    silent = [(~(matrix(one, "predicted") == 1).any(axis=1)).sum() for one in tests]
    assert net.value["images"] == 20
    assert net.value["no predicted label"] == np.mean(silent) > 0
    assert net.value["no finding"] == (~matrix(tests[0], "truth").any(axis=1)).sum() > 0
    assert set(net.unit[3:]) == {"count"}
    assert net.ci_low[3:].isna().all()
    assert unet.value["iou"] == pytest.approx(0.4)
    assert (unet.value["dice"], unet.n["dice"], unet.n_undefined["dice"]) == (0.4, 2, 1)


def test_printed_for_papers():
    """Fractions have three decimals, the published value beside them; LaTeX escapes names."""
    table = tables.certainty({KEY: scores()}, PUBLISHED, STATISTICS)
    layout = printed(table, {"toy": "Toy"}, tables.PRINTED_CERTAINTY)
    cell = values(table).loc["c_iou correct"]
    assert layout.loc["net shap", "Toy, c_IoU, correct"] == (
        f"{cell.value:.3f} [{cell.ci_low:.3f}, {cell.ci_high:.3f}]; paper 0.500"
    )
    assert layout.shape == (1, len(tables.PRINTED_CERTAINTY))
    assert r"Toy, c\_IoU, correct" in latex(layout)


def test_claims_of_tables_3_and_4():
    """A test-set number is reproduced, differs in its own unit, is undefined, or was not run."""
    table = scores()
    table["iou_segx"] = 0.3
    ours = tables.alignment({KEY: table}, PUBLISHED, STATISTICS)
    wrong = table.assign(present=0.0)
    both = pd.concat([ours, tables.certainty({KEY: wrong}, PUBLISHED, STATISTICS)])
    found = claims(PUBLISHED, both, {}, {"toy": "a note"}, {})
    assert list(found.verdict) == ["differs", "not comparable", "not comparable"]
    assert found.reason[0] == ("ours is 0.050 higher, and theirs outside our interval; a note")
    assert list(found.reason[1:]) == ["undefined in this run; a note", "not part of this run"]
    same = PUBLISHED.assign(value=0.3)
    assert claims(same, ours, {}, {}, {}).verdict[0] == "reproduced"
    obstacles = {"net shap": "another network"}
    found = claims(PUBLISHED, ours, obstacles, {}, {}).iloc[0]
    assert (found.verdict, found.reason) == ("not comparable", "another network")


@pytest.fixture(scope="module")
def check_claims(checkout):
    """Return what the script check_claims defines."""
    return SimpleNamespace(**runpy.run_path(str(checkout / "scripts" / "check_claims.py")))


@pytest.mark.parametrize(
    ("row", "architecture", "pretrained", "said"),
    [
        ("resnet50 shap", "resnet50.tv_in1k", True, None),
        ("densenet121 gradcam", "densenet121.tv_in1k", True, None),
        ("resnet50 shap", "densenet121.tv_in1k", True, "not torchvision's ResNet-50"),
        ("densenet121 shap", "resnet10t", False, "not torchvision's DenseNet-121"),
        ("resnet50 gradcam", "resnet50.tv_in1k", False, "not from ImageNet's weights"),
        ("XNCut xai+ncut", "vit_small_patch16_224.dino", True, None),
        ("XNCut xai+ncut", "resnet50.tv_in1k", True, "not DINO ViT-S/16"),
        ("MaskCut", "vit_small_patch16_224.dino", True, "not DINO ViT-B/8 or ViT-S/8"),
        ("MICRA-Net", "micranet", False, "F-actin"),
    ],
)
def test_networks_that_differ(check_claims, row, architecture, pretrained, said):
    """A network is the paper's if its architecture is, and it starts from pretrained weights."""
    network = {"architecture": architecture, "pretrained": pretrained, "weights": None}
    reason = check_claims.network_differs(row, network)
    assert reason is None if said is None else said in reason
    if said and "weights" in said:
        assert check_claims.network_differs(row, network | {"weights": "a.safetensors"}) is None


def test_parts_of_a_data_set(check_claims):
    """The part of a data set that was used or explained is told, all of it is not."""
    samples = pd.DataFrame({"split": ["train"] * 5 + ["test"] * 3})

    def explained(split, count):
        return check_claims.part_explained(samples, split, count)

    assert explained("test", None) == explained("test", 3) == explained(None, 8) == ""
    assert explained("test", 2) == "a seeded subset of 2 of 3 test images"
    assert explained(None, 4) == "a seeded subset of 4 of 8 images"
    counts = pd.DataFrame({"row": "total", "metric": ["images found", "images"]})
    counts = counts.assign(value=[384.0, 380.0], official=[np.nan, 1592.0])
    said = "the copy holds 384 of the 1,592 images of the data set"
    assert check_claims.part_held(counts) == said
    assert check_claims.part_held(counts.assign(official=[np.nan, 384.0])) == ""
    assert check_claims.part_held(counts.assign(official=np.nan)) == ""
    assert check_claims.part_held(counts.iloc[:0]) == ""
    assert check_claims.part_used(8, 0, None) == ""
    assert check_claims.part_used(8, 1, None) == "1 file is rejected"
    cut = check_claims.part_used(8, 1200, 9)
    assert cut == "the data set is cut to 8 images; 1,200 files are rejected"


def test_scripts_write_every_table(checkout, tmp_path):
    """From score files to CSV, Markdown, LaTeX and tests, as the rules call the scripts."""
    published = tmp_path / "published.csv"
    PUBLISHED.to_csv(published, index=False)
    scores().to_csv(tmp_path / "shap.csv", index=False)
    scores().iloc[:0].to_csv(tmp_path / "cam.csv", index=False)
    files, cells = [tmp_path / "shap.csv", tmp_path / "cam.csv"], [KEY, ("toy", "net cam")]
    main = runpy.run_path(str(checkout / "scripts" / "make_segx_tables.py"))["main"]
    for table, make in (("segx_alignment", tables.alignment), ("segu_certainty", tables.certainty)):
        outputs = {kind: tmp_path / f"{table}.{kind}" for kind in ("csv", "md", "tex", "tests")}
        main(files, cells, published, table, {"toy": "Toy"}, STATISTICS, **outputs)
        written = pd.read_csv(outputs["csv"], dtype={"table": str})
        expected = make(
            {KEY: scores(), ("toy", "net cam"): scores().iloc[:0]}, PUBLISHED, STATISTICS
        )
        pd.testing.assert_frame_equal(written, expected, check_dtype=False, atol=1e-4)
        assert "undefined" in outputs["md"].read_text()
        assert outputs["tex"].read_text().startswith(r"\begin{tabular}")
        assert len(pd.read_csv(outputs["tests"])) == 4
