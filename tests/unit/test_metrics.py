"""Contract of metrics; overlap against closed forms and a reference."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

from segxai.metrics.case import Case
from segxai.metrics.disturbance import NOISY, STAGES, Disturbance
from segxai.metrics.overlap import dice, iou
from segxai.metrics.scoring import Plan, measure_mask
from segxai.metrics.squares import Response, square_sets
from segxai.workflow.plugins import about, load, methods

METRICS = methods("metrics")
READ = {name: {*about("metrics", name)["reads"]} for name in METRICS}
OF_MAPS = [name for name in METRICS if "view" in READ[name]]
LOCATING = [name for name in OF_MAPS if "reference" in READ[name]]
COMPARING = [name for name in METRICS if READ[name] & {"reference", "instances"}]

FALSE_POSITIVES = ("false_positive", "false_positive_area")

FACTS = ("completeness_error", "gradients", "forwards", "seconds", "peak_bytes")

masks = arrays(bool, (3, 6, 5))


@given(masks, masks)
def test_overlap_agrees_with_torchmetrics(prediction, target):
    """IoU and Dice of each pair equal torchmetrics' Jaccard index and F1 where defined."""
    for p, t, i, d in zip(
        prediction, target, iou(prediction, target), dice(prediction, target), strict=True
    ):
        if not (p | t).any():
            assert np.isnan(i)
            assert np.isnan(d)
            continue
        pair = torch.from_numpy(p), torch.from_numpy(t)
        assert i == pytest.approx(binary_jaccard_index(*pair).item(), abs=1e-6)
        assert d == pytest.approx(binary_f1_score(*pair).item(), abs=1e-6)


@given(masks, masks)
def test_overlap_identities(prediction, target):
    """Dice = 2 IoU / (1 + IoU); both are symmetric, lie in 0…1, and are 1 for equal masks."""
    i, d = iou(prediction, target), dice(prediction, target)
    np.testing.assert_allclose(d, 2 * i / (1 + i))
    np.testing.assert_array_equal(i, iou(target, prediction))
    assert ((i[np.isfinite(i)] >= 0) & (i[np.isfinite(i)] <= 1)).all()
    full = prediction.any(axis=(1, 2))
    assert (dice(prediction, prediction)[full] == 1).all()


def test_overlap_of_known_squares():
    """Two 4×4 squares that share 2×4 pixels: IoU 8/24, Dice 16/32; one empty mask gives 0."""
    a, b = np.zeros((2, 10, 10), bool)
    a[2:6, 2:6] = b[4:8, 2:6] = True
    assert iou(a, b) == pytest.approx(8 / 24)
    assert dice(a, b) == pytest.approx(16 / 32)
    assert iou(a, np.zeros_like(a)) == dice(np.zeros_like(a), a) == 0


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (np.zeros((3, 4)), r"\(3, 4\)"),
        (np.full((4, 4), 255), "0 and 1"),
        (np.full((4, 4), 0.5), "0 and 1"),
    ],
)
def test_overlap_refuses_other_arrays_than_masks(prediction, words):
    """Other shapes, 0/255 masks and probabilities are refused, not silently scored."""
    with pytest.raises(ValueError, match=words):
        dice(prediction, np.zeros((4, 4), bool))


def measure(method: str, case: Case, **settings) -> dict[str, float]:
    """Values of a metric by name, with its default settings where none are given."""
    module, settings = load("metrics", defined(method) | settings)
    values = module.measure(case, **settings)
    return values if isinstance(values, dict) else {method: values}


def defined(method: str) -> dict:
    """Definition of a metric with its default settings."""
    facts = about("metrics", method)["settings"]
    return {"method": method} | {name: key["default"] for name, key in facts.items()}


def scored(method: str, case: Case, reference: str) -> list[float]:
    """Values of a metric as score files hold them."""
    asked = {"segmenter": "", "segmenter_definition": None, "view": None, "reference": reference}
    plan = Plan([asked | {"metric": {"name": method, **defined(method)}}])
    return [*measure_mask(case, plan).values()]


def random_case(seed: int) -> Case:
    """Draw a case with all that a metric may read; a map and masks of 20 × 30 pixels."""
    rng = np.random.default_rng(seed)
    mask, reference = (rng.random((2, 20, 30)) < 0.3).astype(np.uint8)
    return Case(
        view=rng.random((20, 30)) * (rng.random((20, 30)) < 0.8),
        within=mask if seed % 2 else None,
        mask=mask,
        reference=reference,
        validation_size=0.1,
        instances=rng.integers(0, 4, (20, 30)),
        probabilities=rng.random(3),
        thresholds=np.array([0.4, np.nan, 0.5]) if seed % 3 else np.full(3, np.nan),
        label=2,
        segmentation_confidence=rng.random(),
        attribution=rng.normal(size=(16, 16)),
        curves={("blur", 28, "probability"): rng.random((2, 29))},
        responses={"blur": Response(square_sets(seed), rng.normal(size=100))},
        disturbed=Disturbance(rng.random(NOISY), *rng.random(2).tolist(), rng.random(STAGES), 0.5),
        other_seeds=(rng.normal(size=(16, 16)), None),
        facts=dict.fromkeys(FACTS, rng.random()),
    )


@pytest.mark.parametrize("method", METRICS)
def test_about_of_a_metric_is_complete(method):
    """Direction, range and what is read are of the known kinds; several values have names."""
    facts = about("metrics", method)
    assert facts["direction"] in ("higher", "lower", "none")
    low, high = facts["range"]
    assert low is None or high is None or low < high
    of_case = {field.name for field in fields(Case)} | {"segmentation"}
    assert READ[method] and READ[method] <= of_case | {"absence"}
    assert facts["undefined"].endswith(".")
    assert list(measure(method, random_case(0))) == facts.get("names", [method])


def limits(method: str) -> tuple[float, float]:
    """Range of a metric; None is open."""
    low, high = about("metrics", method)["range"]
    return -np.inf if low is None else low, np.inf if high is None else high


@pytest.mark.parametrize("method", METRICS)
@pytest.mark.parametrize("seed", range(6))
def test_a_metric_stays_in_its_range(method, seed):
    """Every value of a random case is a defined float in the range of the metric's ABOUT."""
    low, high = limits(method)
    case = random_case(seed)
    for value in measure(method, case).values():
        assert type(value) is float
        assert low <= value <= high or "absence" in READ[method]
    if "absence" in READ[method]:
        nothing = replace(case, reference=np.zeros_like(case.reference))
        assert low <= measure(method, nothing)[method] <= high


@pytest.mark.parametrize("method", METRICS)
def test_a_metric_is_undefined_without_what_it_reads(method):
    """Without any of the inputs that it names a metric is NaN, and no error."""
    assert np.isnan([*measure(method, Case()).values()]).all()


@pytest.mark.parametrize("method", OF_MAPS)
def test_only_the_shape_of_a_map_counts(method):
    """A positive factor on the map changes no value."""
    case = random_case(1)
    scaled = Case(**{**vars(case), "view": 2.0**-20 * case.view})
    assert measure(method, scaled) == pytest.approx(measure(method, case), rel=1e-12)


@pytest.mark.parametrize("method", LOCATING)
def test_a_metric_of_maps_prefers_the_truth(method):
    """The truth as a map scores at least a random map, and this at least the inverse."""
    truth = np.zeros((40, 40), np.uint8)
    truth[10:18, 10:20] = 1  # exactly the top 5 %
    order = [truth.astype(float), np.random.default_rng(0).random((40, 40)), 1.0 - truth]
    (best,), (middle,), (worst,) = (
        measure(method, Case(view=view, reference=truth, validation_size=0.05)).values()
        for view in order
    )
    sign = {"higher": 1, "lower": -1}[about("metrics", method)["direction"]]
    assert sign * best >= sign * middle >= sign * worst
    assert best == pytest.approx(limits(method)[1 if sign > 0 else 0])


def test_an_empty_reference_has_a_size():
    """A reference without pixels covers 0 of the image, and has no ceiling."""
    empty = Case(reference=np.zeros((4, 5), np.uint8))
    assert measure("reference_fraction", empty) == {"reference_fraction": 0}
    assert np.isnan(measure("iou_ceiling", empty)["iou_ceiling"])


@pytest.mark.parametrize("method", COMPARING)
def test_the_reference_alone_decides_where_a_score_is_defined(method):
    """An overlap is scored where there is something to overlap, whatever a mask or map marks.

    Rows of a table are then means over the same images. Metrics of absence are defined where there
    is nothing, and none is where the outline is unknown.
    """
    square, empty = np.zeros((2, 20, 30), np.uint8)
    square[5:10, 5:11] = 1
    pixel = np.zeros_like(square)
    pixel[0, 0] = 1
    for name, reference in {"present": square, "empty": empty, "unknown": None}.items():
        defined = {"present": "absence" not in READ[method], "empty": "absence" in READ[method]}
        if method == "reference_fraction":
            defined["present"] = True
        for marked in (empty, pixel, square, np.ones_like(square)):
            shown = {"reference": reference, "instances": reference, "validation_size": 0.1}
            case = Case(view=marked.astype(float), mask=marked, **shown)
            values = scored(method, case, "truth")
            assert np.isfinite(values).tolist() == [defined.get(name, False)] * len(values)


@pytest.mark.parametrize("method", ["iou_at", "auitc"])
def test_an_empty_segmentation_agrees_with_no_map(method):
    """SegU is a certainty of every prediction: 0 where nothing is segmented, of any map."""
    empty = np.zeros((20, 30), np.uint8)
    for view in (np.zeros((20, 30)), np.ones((20, 30)), random_case(0).view):
        assert scored(method, Case(view=view, reference=empty), "segmentation") == [0]


def test_false_positives_of_known_masks():
    """6 of 600 pixels marked where nothing is: a false positive of 1 %; none marked: 0 and 0."""
    empty, marked = np.zeros((2, 20, 30), np.uint8)
    marked[0, :6] = 1
    for mask, expected in ((marked, [1, 0.01]), (empty, [0, 0])):
        case = Case(mask=mask, reference=empty)
        scores = [scored(name, case, "truth")[0] for name in FALSE_POSITIVES]
        assert scores == expected


def test_agreement_of_seeds_is_the_mean_over_those_that_predict_the_target():
    """An increasing function of the map has 1, noise about 0; absent and constant ones no share."""
    own, noise = np.random.default_rng(0).normal(size=(2, 64, 64))
    flat = np.zeros_like(own)

    def agreement(*others):
        return [*measure("seed_agreement", Case(attribution=own, other_seeds=others)).values()]

    assert agreement(np.exp(own), -own) == pytest.approx([0, 1])
    assert agreement(np.exp(own), None, None) == pytest.approx([1, 1 / 3])
    assert agreement(np.exp(own), noise)[0] == pytest.approx(0.5, abs=0.03)
    assert agreement(np.exp(own), flat) == pytest.approx([1, 1])
    assert agreement(flat, None) == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert agreement(None, None) == pytest.approx([np.nan, 0], nan_ok=True)


def test_energy_is_seconds_times_power():
    """2 s at 250 W are 500 J, at the default of 100 W 200 J."""
    case = Case(facts=dict.fromkeys(FACTS, 0.0) | {"seconds": 2.0})
    assert measure("cost", case, watts=250)["joules"] == 500
    assert measure("cost", case)["joules"] == 200


def test_confidences_of_one_label():
    """At odds divided by those of its threshold, a label's likelier outcome is its confidence."""
    case = Case(probabilities=np.array([0.6, 0.7]), thresholds=np.array([0.5, 0.2]), label=1)
    odds = 0.7 / 0.3 / (0.2 / 0.8)
    assert measure("probability", case) == {"probability": 0.7}
    assert measure("maximum_probability", case)["maximum_probability"] == pytest.approx(
        odds / (1 + odds)
    )
    assert 0 < measure("entropy", case)["entropy"] < 1
