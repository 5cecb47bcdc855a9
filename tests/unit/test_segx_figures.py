"""The figures of SegX: what is chosen, and that what is drawn is what the tables hold."""

import re
import runpy

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from segxai.figures import explainseg as figures
from segxai.figures import segx as segx_figures
from segxai.figures import style
from segxai.stats.selective import aurc
from segxai.views.segx import iou_at, segx

TITLES = {"toy": "Toy"}
ROWS = ["resnet50 shap", "resnet50 gradcam"]
CLASSES = ["cyst", "nodule"]
PALETTE = {"shap": "#33DDFF", "gradcam": "#66FF99"}
SIDE = 40


def predictions(present, **columns) -> pd.DataFrame:
    """Make the scores of some predictions; the more confident, the earlier."""
    n = len(present)
    falling = np.linspace(0.9, 0.5, n)
    table = pd.DataFrame({"present": present, "truth_fraction": 0.1, "iou_segx": falling})
    return table.assign(**dict.fromkeys(style.CONFIDENCES, falling)).assign(**columns)


def test_cases_are_right_predictions_with_a_mask_and_the_surest_error():
    """Ranks pass over errors and empty truths; of the errors the most confident one is shown."""
    scores = predictions(
        present=[0, 1, 1, 1, 1, 0],
        truth_fraction=[0.1, 0.0, 0.1, 0.1, 0.1, 0.0],
        iou_segx=[0.9, np.nan, 0.2, 0.5, 0.4, np.nan],
        maximum_probability=[0.6, 0.99, 0.9, 0.9, 0.9, 0.8],
    )
    assert segx_figures.choose_cases(scores) == {"best": 3, "median": 4, "worst": 2, "error": 5}


@pytest.mark.parametrize(
    ("present", "chosen"),
    [([], {}), ([1], {"best": 0}), ([0], {"error": 0}), ([0, 0], {"error": 0})],
)
def test_cases_are_those_that_there_are(present, chosen, tmp_path):
    """No prediction at all, also read from a file without rows, or only right or wrong ones."""
    path = tmp_path / "scores.csv"
    predictions(present).to_csv(path, index=False)
    assert segx_figures.choose_cases(pd.read_csv(path)) == chosen


def write_study(folder, per_class: bool):
    """Write what the rules before the figure write: four images, of which the even are tested."""
    rng = np.random.default_rng(0)
    disc = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < 9
    truth = np.zeros((4, 2, SIDE, SIDE), np.uint8)
    truth[0, 1], truth[2, 0] = disc, np.roll(disc, 7, axis=0)
    segmentations = np.roll(truth[::2], 2, axis=3)
    if not per_class:
        truth, segmentations = truth.max(axis=1), segmentations.max(axis=1)
    names, splits = ["00", "01", "02", "NA"], ["test", "train"] * 2
    labels = ["nodule", "cyst", "cyst", "cyst"]
    table = pd.DataFrame({"image_id": names, "group": names, "split": splits, "label": labels})
    table.to_csv(folder / "samples.csv", index=False)
    np.save(folder / "images.npy", rng.integers(0, 255, (4, SIDE, SIDE, 3), np.uint8))
    np.save(folder / "truth.npy", truth)
    np.save(folder / "masks.npy", segmentations)
    scores = {}
    for name in PALETTE:
        maps = rng.random((2, SIDE, SIDE)).astype(np.float16)
        np.save(folder / f"{name}.npy", maps)
        # The label nodule of image 00 is right; of image 02 it is wrong.
        scores[name] = score(maps, truth[::2], segmentations, per_class)
        scores[name].to_csv(folder / f"{name}.csv", index=False)
    return scores


def score(maps, truth, segmentations, per_class) -> pd.DataFrame:
    """Score the predicted label nodule of both test images as the rule before does."""
    rows = []
    for k, saliency in enumerate(maps.astype(np.float32)):
        true, drawn = (one[k, 1] if per_class else one[k] for one in (truth, segmentations))
        known = true.any()
        rows.append(
            {
                "image_id": ["00", "02"][k],
                "target": "nodule",
                "present": 1 - k,
                "probability": 0.75,
                "truth_fraction": true.mean(),
                "iou_original": iou_at(saliency, true) if known else np.nan,
                "iou_segx": iou_at(segx(saliency, drawn), true) if known else np.nan,
                "c_iou": iou_at(saliency, drawn),
                "maximum_probability": 0.75,
            }
        )
    return pd.DataFrame(rows)


def draw_examples(checkout, folder, monkeypatch):
    """Run the script of the examples and return the figure that it saves."""
    drawn = []
    script = runpy.run_path(str(checkout / "scripts" / "draw_segx_examples.py"))
    monkeypatch.setitem(
        script["main"].__globals__,
        "save",
        lambda figure, path: [drawn.append(figure), path.touch()],
    )
    script["main"](
        samples=[folder / "samples.csv"],
        images=[folder / "images.npy"],
        truth=[folder / "truth.npy"],
        maps=[folder / f"{name}.npy" for name in PALETTE],
        masks=[folder / "masks.npy"],
        scores=[folder / f"{name}.csv" for name in PALETTE],
        titles=TITLES,
        classes={"toy": CLASSES},
        selections={"toy": {"split": "test", "count": None, "seed": 1, "shards": 1}},
        explainers=list(PALETTE),
        png=folder / "figure.png",
        pdf=folder / "figure.pdf",
    )
    return drawn[0]


@pytest.mark.parametrize("per_class", [False, True], ids=["one mask", "a mask per class"])
def test_examples_print_the_scores_of_what_they_show(per_class, checkout, tmp_path, monkeypatch):
    """Labels, masks, maps and scores of each line are those of one prediction."""
    scores = write_study(tmp_path, per_class)
    figure = draw_examples(checkout, tmp_path, monkeypatch)
    lines = np.reshape(figure.axes, (2, 6))
    assert [line[0].get_ylabel() for line in lines] == ["best", "error"]
    assert [line[0].get_xlabel() for line in lines] == ["nodule ✓ 0.75", "nodule ✗ 0.75"]
    assert [line[1].get_xlabel() for line in lines] == ["nodule", "cyst"]
    images = np.load(tmp_path / "images.npy")
    for place, line in enumerate(lines):
        np.testing.assert_array_equal(line[0].images[0].get_array(), images[2 * place])
        for k, (name, table) in enumerate(scores.items()):
            original, refined = line[2 + 2 * k : 4 + 2 * k]
            one = table.iloc[place]
            saliency = np.load(tmp_path / f"{name}.npy")[place]
            np.testing.assert_array_equal(original.images[1].get_array(), saliency)
            assert (np.asarray(refined.images[1].get_array()) > 0).mean() < 0.3
            expected = [one.iou_original, one.c_iou, one.iou_segx]
            expected = ["–" if np.isnan(value) else f"{value:.2f}" for value in expected]
            written = f"{original.get_xlabel()} {refined.get_xlabel()}"
            assert re.findall(r"\d\.\d\d|–", written) == expected
    # Where masks are per class, the absent label has none, and so has the map of SegX nothing.
    assert len(lines[1][1].lines) == (0 if per_class else 2)
    assert len(lines[1][3].patches) == (0 if per_class else 1)


def test_top_fraction_is_outlined():
    """The path on an original map encloses the 5 % of its pixels that are highest."""
    saliency = np.zeros((SIDE, SIDE))
    saliency[10:20, 10:18] = np.linspace(0.5, 1, 80).reshape(10, 8)
    _, blocks = segx_figures._grid([1], 1)
    segx_figures._map(blocks[0][0][0], saliency, np.zeros((SIDE, SIDE)), "#33DDFF")
    (patch,) = blocks[0][0][0].patches
    box = patch.get_path().get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == (9.5, 17.5, 9.5, 19.5)


def test_data_set_without_predictions_gets_a_sentence():
    """Nothing predicted in one data set: a sentence stands in its place."""
    figure = segx_figures.examples({"Toy": []}, PALETTE)
    written = [text.get_text() for text in figure.texts]
    assert written == ["Toy", "No label was predicted in any image."]


def curves(ax) -> dict[str, np.ndarray]:
    """Return the points of each labelled curve of a panel."""
    return {line.get_label(): np.transpose(line.get_data()) for line in ax.lines}


def test_risk_curves_are_those_of_the_metric():
    """The mean height of each curve is its AURC, ties included; all end at the error rate."""
    rng = np.random.default_rng(0)
    present = (rng.random(60) < 0.7).astype(int)
    scores = predictions(
        present,
        c_iou=np.where(rng.random(60) < 0.2, np.nan, rng.integers(0, 9, 60) / 9),
        c_auitc=rng.random(60),
        segmentation_confidence=0.5,
    ).assign(dataset="toy", row=ROWS[0])
    figure = segx_figures.risk_coverage(scores, TITLES, ROWS[:1])
    (ax,) = figure.axes
    errors = (present == 0).sum()
    assert ax.get_title() == f"Toy\nResNet-50 SHAP\nn = 60, {errors} errors"
    drawn = curves(ax)
    for name in segx_figures.RANKED:
        points = drawn[style.CONFIDENCES[name].label]
        expected = aurc(scores[name].fillna(0).to_numpy(), present)
        assert points[:, 1].mean() == pytest.approx(100 * expected)
        assert points[-1] == pytest.approx((100, 100 * errors / 60))
    # All errors last: the closed form in `aurc`.
    last = np.arange(1, errors + 1)
    expected = (last / (60 - errors + last)).sum() / 60
    assert drawn["ideal"][:, 1].mean() == pytest.approx(100 * expected)
    assert (drawn["ideal"][: 60 - errors, 1] == 0).all()
    assert drawn["error rate"][:, 1] == pytest.approx(100 * errors / 60)


@pytest.mark.parametrize(("present", "rate"), [([1, 1, 1], 0), ([0, 0], 100)])
def test_risk_without_errors_or_without_right_predictions(present, rate):
    """With one outcome alone every curve lies on the error rate."""
    scores = predictions(present).assign(dataset="toy", row=ROWS[0])
    (ax,) = segx_figures.risk_coverage(scores, TITLES, ROWS[:1]).axes
    for points in curves(ax).values():
        assert points[:, 1] == pytest.approx(rate)
    low, high = ax.get_ylim()
    assert low < rate < high


def test_risk_of_a_row_without_predictions(tmp_path):
    """A row whose file has no rows keeps its panel, which says so."""
    scores = predictions([1, 0]).assign(dataset="toy", row=ROWS[0])
    left, right = segx_figures.risk_coverage(scores, TITLES, ROWS).axes
    assert len(left.lines) == len(segx_figures.RANKED) + 2
    assert not right.lines
    assert [text.get_text() for text in right.texts] == ["no label was\npredicted"]
    (alone,) = segx_figures.risk_coverage(scores.iloc[:0], TITLES, ROWS[:1]).axes
    assert alone.get_title().endswith("n = 0, 0 errors")


def dose_table() -> pd.DataFrame:
    """Make the table of doses: the unsorted doses of one kind, and the mask as it is."""
    rows = []
    for row in ROWS:
        for k, metric in enumerate(segx_figures.RESPONSES):
            for kind, radius, dice in [("erode", 8, 0.3), ("none", 0, 1.0), ("erode", 4, 0.7)]:
                value = k + dice / 10 + ROWS.index(row)
                rows.append(("toy", row, kind, radius, dice, metric, value, 7 + k))
    columns = ["dataset", "row", "kind", "radius", "dice", "metric", "value", "n"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(ci_low=table.value - 0.1, ci_high=table.value + 0.1)


def test_doses_draw_the_table():
    """Each panel holds its own metric and row, from the true mask to the heaviest damage."""
    own = {"dataset": "toy", "row": "unet", "metric": "dice", "value": 0.8}
    networks = pd.DataFrame([own | {"ci_low": 0.7, "ci_high": 0.9}, own | {"metric": "iou"}])
    table = dose_table()
    figure = segx_figures.doses(table, networks, TITLES, ROWS, "unet")
    assert len(figure.axes) == len(segx_figures.RESPONSES) * len(ROWS)
    panels = iter(figure.axes)
    for metric, (name, neutral) in segx_figures.RESPONSES.items():
        for row in ROWS:
            ax = next(panels)
            assert ax.get_ylabel() == (name if row == ROWS[0] else "")
            ours = table[(table.metric == metric) & (table.row == row)]
            ours = ours.sort_values("radius")
            drawn = curves(ax)
            np.testing.assert_allclose(drawn["eroded"], ours[["dice", "value"]])
            # Doses of other kinds were not asked for: their curves are the true mask alone.
            for start in ("shifted", "true mask"):
                np.testing.assert_allclose(drawn[start], ours[["dice", "value"]][:1])
            band = ax.collections[0].get_paths()[0].get_extents()
            assert (band.y0, band.y1) == pytest.approx((ours.ci_low.min(), ours.ci_high.max()))
            np.testing.assert_allclose(drawn["mean Dice of U-Net"][:, 0], 0.8)
            assert neutral in [line.get_ydata()[0] for line in ax.lines if line.get_ls() == "--"]
            assert ax.texts[0].get_text() == f"n = {ours.n.iloc[0]}"


def test_doses_without_rows():
    """Without a score or a segmenter to mark, the panels stay empty."""
    networks = pd.DataFrame(columns=["dataset", "row", "metric", "value", "ci_low", "ci_high"])
    figure = segx_figures.doses(dose_table().iloc[:0], networks, TITLES, ROWS[:1], "unet")
    for ax in figure.axes:
        assert all(len(points) <= 2 for points in curves(ax).values())
        assert not ax.texts


def test_training_draws_the_score_of_the_loss():
    """Sigmoid classifiers show macro F1, segmenters Dice, each in percent and by its own name."""
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": 1.0, "validation_loss": [0.5, 0.7]})
    classifier = history.assign(validation_accuracy=0.9, validation_f1=[0.6, 0.8])
    figure = figures.training(
        {"Toy, resnet50": [classifier], "Toy, unet": [history.assign(validation_dice=[0.3, 0.4])]},
        {"Toy, resnet50": "bce", "Toy, unet": "segmentation"},
    )
    scores = figure.axes[1::2]
    assert [ax.get_title() for ax in scores] == ["Toy, ResNet-50", "Toy, U-Net"]
    assert [ax.get_ylabel() for ax in scores] == ["macro F1, %", "Dice, %"]
    drawn = [curves(ax) for ax in scores]
    np.testing.assert_allclose(drawn[0]["validation score"], [[1, 60], [2, 80]])
    np.testing.assert_allclose(drawn[1]["validation score"], [[1, 30], [2, 40]])
    np.testing.assert_allclose(drawn[0]["epoch kept"], [[1, 60]])


@pytest.mark.parametrize("looks", [style.CONFIDENCES, style.DOSES], ids=["confidences", "doses"])
def test_curves_differ_for_every_eye(looks):
    """Curves of one figure differ in line as well as in colour, also to colour-blind eyes."""
    assert len({look.line for look in looks.values()}) == len(looks)
    rgb = np.array([to_rgb(look.colour) for look in looks.values()])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    # Machado, Oliveira & Fernandes, IEEE TVCG 15:1291, 2009: deuteranopia, severity 1.
    blind = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    for simulation in (np.eye(3), np.array(blind)):
        seen = np.clip(linear @ simulation.T, 0, 1)
        lab = rgb2lab(np.where(seen > 0.0031308, 1.055 * seen ** (1 / 2.4) - 0.055, 12.92 * seen))
        apart = deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(rgb), 1)]
        assert apart.min() > 8
