"""The figures: what is chosen, and that what is drawn is what scores and tables hold."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.draw import polygon2mask

from segxai.figures import style
from segxai.figures.agreement import agreement
from segxai.figures.distributions import distributions
from segxai.figures.dots import dots
from segxai.figures.examples import (
    ERROR,
    SEGMENTATION_MASK,
    Examples,
    choose,
    choose_predictions,
    rank,
    read_examples,
    score_key,
    write_examples,
)
from segxai.figures.front import front, undominated
from segxai.figures.map_examples import map_examples
from segxai.figures.map_grid import map_grid
from segxai.figures.mask_examples import mask_examples
from segxai.figures.outlines import outlines, svg_path
from segxai.figures.responses import responses
from segxai.figures.risk_coverage import risk_coverage
from segxai.figures.training import training
from segxai.stats.selective import aurc

TITLES = {"toy": "Toy"}
ROWS = {("resnet50", "shap"): "ResNet-50 SHAP", ("resnet50", "gradcam"): "ResNet-50 Grad-CAM"}
CONFIDENCES = {"iou_at": "SegU", "entropy": "entropy"}
SIMULATIONS = {
    "normal": np.eye(3),
    # Machado, Oliveira & Fernandes, IEEE TVCG 15:1291, 2009: severity 1.
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@given(st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), max_size=40), st.integers(3, 12))
def test_choice_spans_the_scores(scores, count):
    """Of defined scores, at most `count` are chosen, in order, with the extremes and the median."""
    scores = np.array(scores)
    defined = np.sort(scores[np.isfinite(scores)])
    chosen = choose(scores, count)
    assert len(chosen) == min(count, len(defined))
    assert (np.diff(chosen) > 0).all()
    if len(defined):
        values = scores[chosen]
        assert values.min() == defined[0]
        assert values.max() == defined[-1]
        assert defined[(len(defined) - 1) // 2] in values
        named = {name: scores[k] for k, name in enumerate(rank(scores)) if name}
        assert named["best"] == defined[-1]
        assert set(rank(scores)[chosen]) >= set(named)


def test_rank_names_best_median_and_worst():
    """The middle of an even number is the lower one; ties go to the first; NaN has no rank."""
    scores = np.array([0.4, np.nan, 0.9, 0.1, 0.1, 0.5])
    assert list(rank(scores)) == ["median", "", "best", "worst", "", ""]
    assert list(rank(np.array([0.3]))) == ["best"]


def test_chosen_predictions_are_confident_errors_and_span_the_correct_ones():
    """A third are the errors of the highest confidence; the others span correct ones with truth."""
    n = 40
    correct = np.arange(n) % 2 == 1
    score, confidence = np.linspace(0, 1, n), np.linspace(1, 0, n)
    confidence[0], score[1] = np.nan, np.nan
    places, ranks = choose_predictions(score, correct, confidence, 12)
    assert places[~correct[places]].tolist() == [2, 4, 6, 8]
    assert dict(zip(ranks, places, strict=True))[ERROR] == 2
    assert {3, 39} <= set(places) and 1 not in places and len(places) == 12
    for count in (0, 3):
        chosen = choose_predictions(score[:count], correct[:count], confidence[:count], 12)
        assert len(chosen[0]) == len(chosen[1])


@pytest.fixture
def panel():
    """Return three predictions with known scores, maps and masks; the last is an error."""
    table = pd.DataFrame({"rank": ["worst", "best", ERROR], "image_id": ["0003", "NA", "x"]})
    table = table.assign(study="s", dataset="toy", target_id="t", target="cyst", split="test")
    table["dice truth:a"] = [0.123, 0.987, np.nan]
    for key, value in (("iou_at relevance truth", 0.25), ("iou_at segx truth", 0.5)):
        table[f"{key}:a"] = [value, value / 2, np.nan]
    shape = (3, 40, 40)
    masks = np.tri(40, dtype=np.uint8)[None].repeat(3, axis=0)
    maps = np.zeros(shape, np.uint8)
    maps[:, 10:20, 2:10] = np.arange(150, 230).reshape(10, 8)
    return Examples(
        table=table.assign(label="cyst", correct=[1, 1, 0]),
        images=np.zeros((*shape, 3), np.uint8),
        truth=masks,
        maps={"a": maps},
        masks={"a": masks, SEGMENTATION_MASK: masks},
    )


def test_examples_survive_the_disk(panel, tmp_path):
    """Examples are read as they were written, with names like '0003' and 'NA' as text."""
    files = tmp_path / "examples.npz", tmp_path / "examples.csv"
    write_examples(panel, *files)
    again = read_examples(*files)
    pd.testing.assert_frame_equal(again.table, panel.table, check_dtype=False)
    assert list(again.masks) == list(panel.masks)
    np.testing.assert_array_equal(again.maps["a"], panel.maps["a"])


def test_mask_examples_are_reproducible(panel, tmp_path):
    """The best comes first with its own Dice, and the same input gives the same bytes."""
    files = {}
    for turn in "ab":
        score = score_key({"metric": "dice", "reference": "truth"})
        figure = mask_examples({"Toy": panel}, {"a": "A method"}, {"a": "#E69F00"}, score, "Dice")
        labels = [(ax.get_ylabel(), ax.get_xlabel()) for ax in figure.axes]
        assert [y for y, _ in labels if y] == ["best", "worst"]
        assert [x for _, x in labels if re.match(r"\d", x)] == ["98.7", "12.3"]
        for suffix in ("png", "pdf"):
            path = tmp_path / f"{turn}.{suffix}"
            style.save(figure, path)
            files.setdefault(suffix, []).append(path.read_bytes())
    for first, second in files.values():
        assert first == second
    # Text is kept as TrueType outlines, not as drawings of letters (Type 3).
    assert b"/FontFile2" in files["pdf"][0]
    assert b"/Type3" not in files["pdf"][0]


def test_map_examples_print_scores_and_outline_the_top(panel):
    """Scores stand below the map of their view; the path encloses the 5 % highest pixels."""
    values = [
        {"key": f"iou_at {view} truth", "short": "IoU", "view": view}
        for view in ("relevance", "segx")
    ]
    figure = map_examples({"Toy": panel}, {"a": "SHAP"}, {"a": "#33DDFF"}, values)
    lines = np.reshape(figure.axes, (3, 4))
    assert [line[0].get_ylabel() for line in lines] == ["best", "worst", "error"]
    assert lines[2][0].get_xlabel() == "cyst ✗"
    written = [[ax.get_xlabel() for ax in line[2:]] for line in lines]
    assert written == [["IoU 0.12", "IoU 0.25"], ["IoU 0.25", "IoU 0.50"], ["IoU –", "IoU –"]]
    (patch,) = lines[0][2].patches
    box = patch.get_path().get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == (1.5, 9.5, 9.5, 19.5)


def test_map_grid_has_each_map_of_each_ranked_prediction(panel):
    """Below the images their maps, in two blocks where that makes them larger; controls grey."""
    methods = list("abcdefghijkl")
    panel.maps.update({name: panel.maps["a"] // k for k, name in enumerate(methods, start=1)})
    figure = map_grid({"Toy": panel}, {name: f"Map {name}" for name in methods}, {"l"})
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["best\ncyst ✓", "worst\ncyst ✓", "error\ncyst ✗"] * 2
    corners = [tuple(np.round(ax.get_position().bounds[:2], 6)) for ax in figure.axes]
    shown = {at: ax.images[0].get_array() for at, ax in zip(corners, figure.axes, strict=True)}
    columns = sorted({x for x, _ in shown})
    lines = sorted({y for _, y in shown}, reverse=True)
    assert (len(columns), len(lines), len(shown)) == (6, 7, 42)
    for number, (column, place) in enumerate(zip(columns, [1, 0, 2] * 2, strict=True)):
        own = methods[:6] if number < 3 else methods[6:]
        expected = [panel.images[place], *(panel.maps[name][place] for name in own)]
        for line, picture in zip(lines, expected, strict=True):
            np.testing.assert_array_equal(shown[column, line], picture)
    inks = {text.get_text(): text.get_color() for text in figure.texts}
    assert (inks["Map k"], inks["Map l"]) == (style.INK, style.FAINT)


def test_data_set_without_predictions_gets_a_sentence(panel):
    """Nothing predicted in one data set: a sentence stands in its place."""
    empty = Examples(panel.table.iloc[:0], *(panel.images[:0], panel.truth[:0], {}, {}))
    for figure in (
        map_examples({"Toy": empty}, {"a": "SHAP"}, {"a": "#33DDFF"}, []),
        map_grid({"Toy": empty}, {"a": "SHAP"}, set()),
    ):
        written = [text.get_text() for text in figure.texts]
        assert written == ["Toy", "No label was predicted in any image."]


def test_colour_depends_on_role_and_place_only():
    """A method keeps its colour whatever comes after it; more methods take the first ones again."""
    rows = {f"method {k}": "variant" for k in range(len(style.PALETTE["variant"]))}
    many = style.colours(rows | {"c": "control", "one more": "variant"})
    assert style.colours(rows).items() <= many.items()
    assert len(set(style.colours(rows).values())) == len(rows)
    assert many["one more"] == many["method 0"]


def apart(colours: list[str], simulation) -> float:
    """Return the smallest ΔE2000 of two colours, as seen with a kind of colour vision."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    seen = np.clip(linear @ np.array(simulation).T, 0, 1)
    lab = rgb2lab(np.where(seen > 0.0031308, 1.055 * seen ** (1 / 2.4) - 0.055, 12.92 * seen))
    return deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(rgb), 1)].min()


@pytest.mark.parametrize("simulation", SIMULATIONS.values(), ids=SIMULATIONS)
def test_colours_differ_for_every_eye(simulation):
    """Methods' colours stay apart (ΔE2000 > 8) for every eye, and so do curves'."""
    assert apart([colour for shades in style.PALETTE.values() for colour in shades], simulation) > 8
    assert apart([look.colour for look in style.LOOKS], simulation) > 8
    assert len({look.line for look in style.LOOKS}) == len(style.LOOKS)


@pytest.mark.parametrize("corner", [(5, 7), (0, 0)])
def test_outline_encloses_the_mask(corner):
    """Filling the outline gives the mask back, also where it touches the edge of the image."""
    mask = np.zeros((20, 30), np.uint8)
    mask[corner[0] : corner[0] + 8, corner[1] : corner[1] + 12] = 1
    (polygon,) = outlines(mask)
    np.testing.assert_array_equal(polygon[0], polygon[-1])
    assert (polygon2mask(mask.shape, polygon[:, ::-1]) == mask).all()


def test_outline_has_holes_and_fits_the_view_box():
    """A hole is a path of its own; an SVG path counts pixels from their corner; none is empty."""
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 5:35] = 1
    mask[15:25, 15:25] = 0
    path = svg_path(mask)
    numbers = np.array(re.findall(r"[\d.]+", path), float)
    assert path.count("M") == path.count("Z") == 2
    assert (numbers.min(), numbers.max()) == (5, 35)
    assert svg_path(np.zeros((4, 4), np.uint8)) == ""


def test_distributions_show_means_and_n():
    """Every segmenter has its mean and n beside it; seeds of an image are one point."""
    rng = np.random.default_rng(0)
    names = {"a": "Method A", "b": "Method B"}
    scores = pd.DataFrame(
        [
            ("toy", name, seed, f"{k}", rng.random())
            for name in names
            for seed in (1, 2)
            for k in range(9)
        ],
        columns=["dataset", "segmenter", "seed", "image_id", "value"],
    )
    table = pd.DataFrame({"dataset": "toy", "segmenter": list(names), "value": [41.26, 7.0]})
    table = table.assign(ci_low=table.value - 1, ci_high=table.value + 1, n=9)
    (ax,) = distributions(scores, table, TITLES, names, style.colours(names), "Dice").axes
    assert [text.get_text() for text in ax.texts] == ["41.3\nn = 9", "7.0\nn = 9"]
    points = [c.get_offsets() for c in ax.collections if len(c.get_offsets()) == 9]
    means = scores[scores.segmenter == "a"].groupby("image_id", sort=False).value.mean()
    np.testing.assert_allclose(points[0][:, 0], 100 * means)


def test_training_marks_the_kept_epoch():
    """The marker sits at the least validation loss; the loss determines the drawn score."""
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.9, 0.5, 0.2]})
    history["validation_loss"] = [0.8, 0.4, 0.6]
    scored = history.assign(validation_accuracy=[0.6, 0.8, 0.9], validation_dice=[0.1, 0.2, 0.3])
    figure = training([("A", "cross_entropy", [scored]), ("B", "segmentation", [scored] * 2)])
    expected = [(2, 0.4), (2, 80.0), (2, 0.4), (2, 20.0)]
    for ax, point in zip(figure.axes, expected, strict=True):
        kept = next(line for line in ax.lines if line.get_label() == "epoch kept")
        assert (np.ravel(kept.get_xdata())[0], np.ravel(kept.get_ydata())[0]) == point
    assert [ax.get_ylabel() for ax in figure.axes[1::2]] == ["accuracy of patches, %", "Dice, %"]


def curves(ax) -> dict[str, np.ndarray]:
    """Return the points of each labelled curve of a panel."""
    return {line.get_label(): np.transpose(line.get_data()) for line in ax.lines}


def predictions(correct, **confidences) -> pd.DataFrame:
    """Make the confidences of some predictions of the first row; the earlier, the higher."""
    table = pd.DataFrame({"dataset": "toy", "network": "resnet50", "correct": correct})
    falling = np.linspace(0.9, 0.5, len(table))
    return table.assign(explainer="shap", **(dict.fromkeys(CONFIDENCES, falling) | confidences))


def test_risk_curves_are_those_of_the_metric():
    """The mean height of each curve is its AURC, ties included; all end at the error rate."""
    rng = np.random.default_rng(0)
    correct = (rng.random(60) < 0.7).astype(int)
    ties = np.where(rng.random(60) < 0.2, np.nan, rng.integers(0, 9, 60) / 9)
    scores = predictions(correct, iou_at=ties)
    left, right = risk_coverage(scores, TITLES, ROWS, CONFIDENCES).axes
    errors = (correct == 0).sum()
    assert left.get_title() == f"Toy\nResNet-50 SHAP\nn = 60, {errors} errors"
    drawn = curves(left)
    for name, label in CONFIDENCES.items():
        expected = aurc(scores[name].fillna(0).to_numpy(), correct)
        assert drawn[label][:, 1].mean() == pytest.approx(100 * expected)
        assert drawn[label][-1] == pytest.approx((100, 100 * errors / 60))
    # All errors last: the closed form in `aurc`.
    last = np.arange(1, errors + 1)
    assert drawn["ideal"][:, 1].mean() == pytest.approx(
        100 * (last / (60 - errors + last)).sum() / 60
    )
    # A row without predictions keeps its panel, with a note.
    assert not right.lines
    assert [text.get_text() for text in right.texts] == ["no label was\npredicted"]


def test_titles_keep_every_character(tmp_path):
    """Dollars do not begin a formula, and a name that begins with _ is in the legend, too."""
    names = {"iou_at": "_first_ $5 to $6", "entropy": r"$\frac{1$", "auitc": "a|b <c> & 5 %"}
    first = dict.fromkeys(list(ROWS)[:1], r"$\bad{$ row")
    scores = predictions([1, 1, 0], **dict.fromkeys(names, np.array([0.9, 0.7, 0.5])))
    figure = risk_coverage(scores, {"toy": "$toy$ {x} $"}, first, names)
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    (legend,) = figure.legends
    shown = [text.get_text().strip("\u200b") for text in legend.get_texts()]
    assert set(names.values()) <= set(shown)
    texts = figure.findobj(lambda part: isinstance(part, Text))
    assert not any(text.get_parse_math() for text in texts if "$" in text.get_text())


@pytest.mark.parametrize(("correct", "rate"), [([1, 1, 1], 0), ([0, 0], 100)])
def test_risk_without_errors_or_without_correct_predictions(correct, rate):
    """With one outcome alone every curve lies on the error rate."""
    first = dict(list(ROWS.items())[:1])
    (ax,) = risk_coverage(predictions(correct), TITLES, first, CONFIDENCES).axes
    for points in curves(ax).values():
        assert points[:, 1] == pytest.approx(rate)
    low, high = ax.get_ylim()
    assert low < rate < high


def test_responses_draw_the_table():
    """Each panel holds its own score and row, from the true mask to the heaviest damage."""
    rows = [
        ("toy", network, explainer, kind, radius, dice, column, statistic, k + dice / 10, 7 + k)
        for network, explainer in ROWS
        for k, (column, statistic) in enumerate([("gain", "difference"), ("AUROC", "auroc")])
        for kind, radius, dice in [("erode", 8, 0.3), ("erode", 0, 1.0), ("shift", 4, 0.7)]
    ]
    keys = ["dataset", "network", "explainer", "kind", "radius", "dice", "column", "statistic"]
    table = pd.DataFrame(rows, columns=[*keys, "value", "n"])
    table = table.assign(ci_low=table.value - 0.1, ci_high=table.value + 0.1)
    own = pd.DataFrame({"dataset": ["toy"], "value": 0.8, "ci_low": 0.7, "ci_high": 0.9})
    figure = responses(table, own, TITLES, ROWS, "U-Net")
    assert [ax.get_ylabel() for ax in figure.axes] == ["gain", "", "AUROC", ""]
    for ax, (k, neutral) in zip(figure.axes, [(0, 0), (0, 0), (1, 0.5), (1, 0.5)], strict=True):
        drawn = curves(ax)
        np.testing.assert_allclose(drawn["erode"], [[1, k + 0.1], [0.3, k + 0.03]])
        np.testing.assert_allclose(drawn["shift"], [[1, k + 0.1], [0.7, k + 0.07]])
        np.testing.assert_allclose(drawn["true mask"], [[1, k + 0.1]])
        np.testing.assert_allclose(drawn["mean Dice of U-Net"][:, 0], 0.8)
        assert neutral in [line.get_ydata()[0] for line in ax.lines if line.get_ls() == "--"]
        assert ax.texts[0].get_text() == f"n = {7 + k}"


def test_dots_are_the_numbers_of_the_table():
    """Methods in the order of the first panel, with their intervals; controls in grey."""
    rows = [("A", "a", 2.0), ("B", "b", 1.0), ("Noise", "noise", 3.0)]
    table = pd.DataFrame(rows, columns=["row", "explainer", "value"])
    table = table.assign(ci_low=table.value - 0.25, ci_high=table.value + 0.5, block="Data, Net")
    table = pd.concat(
        [table.assign(column="rank"), table.assign(column="gap", value=[1, np.nan, 2])]
    )
    first, second = dots(table, {"noise"}).axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["B", "A", "Noise"]
    lines = {bar.lines[0].get_color(): bar.lines[0] for bar in first.containers}
    (grey,) = lines.keys() & {style.FAINT}
    assert lines[grey].get_xydata().tolist() == [[3, 2]]
    assert sorted(map(tuple, lines[style.look(1).colour].get_xydata())) == [(1, 0), (2, 1)]
    segments = first.containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose(segments[0][:, 0], [2.75, 3.5])
    drawn = [bar.lines[0].get_xydata() for bar in second.containers]
    assert sum(map(len, drawn)) == 2


def test_agreement_writes_each_number_beside_its_family():
    """Families stand together; bold where the interval does not hold 0; W above the matrix."""
    families = {"gap": "faithfulness", "mass": "localisation", "n": "faithfulness"}
    taus = {("gap", "mass"): -0.2, ("gap", "n"): 0.75, ("mass", "n"): 0.5}
    rows = [
        {"row": a, "column": b, "family": family, "value": taus.get((a, b), taus.get((b, a), 1.0))}
        for a in families
        for b, family in families.items()
    ]
    table = pd.DataFrame(rows).assign(block="Toy, Net", statistic="agreement")
    table = table.assign(ci_low=table.value - 0.6, ci_high=table.value + 0.1)
    w = {"block": "Toy, Net", "statistic": "concordance", "row": "", "column": "W"}
    w = pd.DataFrame([w | {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75}])
    (ax,) = agreement(pd.concat([table, w])).axes
    assert ax.get_title(loc="left") == "Toy, Net\nW = 0.50 [0.25, 0.75]"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gap", "n", "mass"]
    cells = {text.get_position(): text for text in ax.texts[:9]}
    assert [cells[column, 0].get_text() for column in range(3)] == ["1.00", "0.75", "−0.20"]
    assert [cells[column, 0].get_weight() for column in range(3)] == ["bold"] * 3
    assert cells[2, 1].get_text() == cells[1, 2].get_text() == "0.50"
    assert cells[2, 1].get_weight() == "normal"
    lines = [line.get_xydata().tolist() for line in ax.lines]
    assert lines == [[[0, 1.5], [1, 1.5]], [[1.5, 0], [1.5, 1]]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_the_front_beats_all_others(points):
    """Who is not on it costs no less than one on it, is no better, and differs in one of both."""
    passes, scores = np.transpose(points).astype(float)
    on = undominated(passes, scores)
    for k in range(len(points)):
        better = (passes[on] <= passes[k]) & (scores[on] >= scores[k])
        differs = (passes[on] < passes[k]) | (scores[on] > scores[k])
        assert (better & differs).any() == (not on[k])


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_front_names_all_explainers_and_leaves_controls_out(direction):
    """The better end is the upper; no name lies on another one; a control is not on the front."""
    sign = 1 if direction == "higher" else -1
    values = {"cheap": (2, 0.2), "dear": (500, 0.9), "beaten": (800, 0.4), "noise": (0, 0.95)}
    values |= {f"other {k}": (2, 0.1 + k / 1000) for k in range(6)}
    rows = [(name, name, passes, sign * value) for name, (passes, value) in values.items()]
    table = pd.DataFrame(rows, columns=["explainer", "row", "passes", "value"])
    table = table.assign(block="Toy, Net", ci_low=table.value - 0.01, ci_high=table.value + 0.01)
    figure = front(table, {"noise"}, "gap", direction)
    (ax,) = figure.axes
    steps, best_control = (line.get_ydata() for line in ax.lines[:2])
    assert [sign * value for value in steps] == [0.2, 0.9, 0.9]
    assert [sign * value for value in best_control] == [0.95] * 2
    upper = ax.transData.transform([(1, sign * 0.9), (1, sign * 0.1)])[:, 1]
    assert upper[0] > upper[1]
    figure.draw_without_rendering()
    names = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert set(names) == set(values)
    boxes = list(names.values())
    assert not any(box.count_overlaps(boxes[k + 1 :]) for k, box in enumerate(boxes))
    inks = {text.get_text(): text.get_color() for text in ax.texts}
    assert inks["noise"] == style.FAINT and inks["beaten"] == style.INK


def test_front_without_a_score_is_empty():
    """Where no label was predicted, no explainer has a score, and the panel says so."""
    table = pd.DataFrame({"block": ["Toy, Net"], "explainer": "a", "row": "A", "passes": np.nan})
    (ax,) = front(
        table.assign(value=np.nan, ci_low=np.nan, ci_high=np.nan), set(), "gap", "higher"
    ).axes
    assert [text.get_text() for text in ax.texts] == ["no score"]
