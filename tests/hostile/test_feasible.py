"""Odd but plausible configurations: impossible ones are reported before a job, others planned."""

import copy
from functools import cache, partial

import pytest
from snakemake.utils import update_config

from segxai.workflow import shown, studies
from segxai.workflow.config import problem_of
from segxai.workflow.plugins import resolve
from tests.hostile.refusal import require_sentence
from tests.workflow.test_config import read_config

LESIONS, FINDINGS = "phantom-lesions", "phantom-findings"


def masks(**keys):
    return {"studies": {"explainseg": keys}}


def maps(**keys):
    return {"studies": {"segx": keys}}


def dataset(name, **keys):
    return {"datasets": {name: keys}}


def table(name, **keys):
    of = maps if name.startswith("seg") else masks
    return of(tables={name: keys})


def measure(**keys):
    """One more family of masks; the demo's data set lacks instances for it."""
    return masks(scores={"more": {"of": "masks", "measure": [keys]}})


def measure_map(**keys):
    return maps(scores={"more": {"of": "maps", "measure": [keys]}})


def explainers(**keys):
    """The study of explainers on the demo's data."""
    chosen = {"datasets": [FINDINGS], "networks": ["resnet50"], "explainers": ["gradcam", "edges"]}
    guided = {"explainers_guidelines": {"controls": ["edges"]}}
    return {
        "run": ["explainers"],
        "studies": {"explainers": chosen | {"guidelines": guided} | keys},
    }


def ordered(*values):
    return explainers(tables={"explainers_agreement": {"values": [*values]}})


def front(**keys):
    return explainers(figures={"explainers_front_blur": keys})


ABLATION, ALIGNMENT = "explainseg_ablation", "segx_alignment"
IOU = {"metric": "iou", "reference": "truth"}
GAP = {"metric": "gap_blur", "statistic": "agreement"}
AJI = {"metric": "aji", "reference": "instances"}
TEST = {"kind": "wilcoxon", "metric": "dice", "reference": "truth", "pairs": "all"}
NO_MASKS = masks(segmenters=["centred-disc"], headline=None)
# Overlay on the demo, the key that is at fault, and the remedy.
IMPOSSIBLE = {
    "no test images": (masks(split="test"), "explainseg.split", "split.test"),
    "no test images, maps": (dataset(FINDINGS, split={"test": 0}), "segx.split", "split.test"),
    "nothing to tune on": (
        {**masks(split="test"), **dataset(LESIONS, split={"test": 40})},
        "explainseg.split",
        "split: null",
    ),
    "trained images alone": (masks(split="train"), "explainseg.split", "split: null"),
    "no data set at all": (
        {"studies": {name: {"datasets": []} for name in ("explainseg", "segx")}},
        "datasets is empty",
        "name a data set",
    ),
    "no network": (masks(networks=[]), "explainseg.networks", "name one"),
    "no explainer": (masks(explainers=[]), "explainseg.explainers", "name one"),
    "no network for an explainer": (
        masks(explainers=["gradcam"]),
        "explainseg.explainers",
        "name such a network",
    ),
    "windows of a control": (
        {"explainers": {"random-pixels": {"windows": {"grids": [2]}}}},
        "random-pixels.windows",
        "null",
    ),
    "windows of regions": (
        {"run": ["regions"], "explainers": {"gradcam": {"windows": {"grids": [1, 2]}}}},
        "regions.explainers",
        "windows: null",
    ),
    "no grid of windows": (
        {"explainers": {"gradcam": {"windows": {"overlap": 0.5}}}},
        "gradcam.windows.grids",
        "a list",
    ),
    "no network of maps": (maps(networks=[]), "segx", "no rows"),
    "no method": (NO_MASKS, "explainseg.examples", "name one"),
    "a dose as segmentation": (maps(segmentation="undamaged"), "segx.segmentation", "scores"),
    "a dose among segmenters": (
        masks(segmenters=["erode-4"], headline=None),
        "explainseg.segmenters",
        "scores",
    ),
    "segmentations of masks": (
        masks(scores={"overlap": {"segmenters": ["erode-4"]}}),
        "overlap.segmenters",
        "null",
    ),
    "no dose": (maps(scores={"doses": {"segmenters": ["unet"]}}), "doses.segmenters", "damage"),
    "instances that are not there": (
        measure(**AJI) | dataset(LESIONS, instances=False),
        "more.measure",
        "needs: instances",
    ),
    "a marker that is not there": (
        {
            **dataset(FINDINGS, source={"shortcut": None}),
            **maps(scores={"shortcut": {"needs": None}}),
        },
        "shortcut.measure",
        "needs: shortcut",
    ),
    "a marker of masks": (measure(metric="iou", reference="marker"), "more.measure", "truth"),
    "instances of maps": (measure_map(**AJI), "more.measure", "another metric"),
    "no reference": (measure(metric="dice"), "more.measure", "give `reference`"),
    "no view": (measure_map(metric="iou_at", reference="truth"), "more.measure", "give `view`"),
    "a view of masks": (measure(**IOU, view="relevance"), "more.measure", "remove `view`"),
    "a map's metric of masks": (measure(metric="iou_at", reference="truth"), "more", "another"),
    "probabilities of masks": (measure(metric="entropy"), "more.measure", "another metric"),
    "a single seed": (measure_map(metric="seed_agreement"), "more.measure", "needs: seeds"),
    "seeds of masks": (measure(metric="seed_agreement"), "more.measure", "another metric"),
    "no confidence": (maps(segmentation="otsu-grey"), "certainty.measure", "by a network"),
    "another reference": (
        table(ABLATION, values=[{"metric": "iou", "reference": "instances"}]),
        f"{ABLATION}.values",
        "add it",
    ),
    "another view": (
        table(ALIGNMENT, values=[{"metric": "iou_at", "view": "smoothed", "reference": "truth"}]),
        f"{ALIGNMENT}.values",
        "add it",
    ),
    "of another family": (table(ALIGNMENT, values=[{"metric": "entropy"}]), ALIGNMENT, "add it"),
    "less what nobody measured": (
        table(ABLATION, values=[IOU | {"minus": {"reference": "instances"}}]),
        f"{ABLATION}.values",
        "add it",
    ),
    "no segmenter of the role": (
        table(ABLATION, segmenters={"roles": ["dose"]}, tests=None),
        ABLATION,
        "no rows",
    ),
    "a segmenter of no study": (table(ABLATION, segmenters=["unet"]), ABLATION, "has only"),
    "splits that nobody explains": (table(ALIGNMENT, splits=["train"]), "splits", "another"),
    "several methods in a row": (
        table(ALIGNMENT, rows=["network"]),
        f"{ALIGNMENT}.rows",
        "add it",
    ),
    "marked without marker": (
        table(ALIGNMENT, values=[IOU | {"where": "marked"}]),
        f"{ALIGNMENT}.values",
        "reference_fraction",
    ),
    "errors of masks": (
        table(ABLATION, values=[IOU | {"statistic": "auroc"}]),
        f"{ABLATION}.values",
        "add network",
    ),
    "a gain over no control": (
        table(ALIGNMENT, values=[IOU | {"metric": "iou_at", "view": "segx", "statistic": "gain"}]),
        f"{ALIGNMENT}.values",
        "guidelines",
    ),
    "a test of nothing": (table(ABLATION, tests=TEST | AJI), f"{ABLATION}.tests", "add it"),
    "a test of no role": (table(ABLATION, tests=TEST | {"roles": ["dose"]}), "tests.roles", "name"),
    "a test of three views": (
        table(ALIGNMENT, tests={"view": ["relevance", "segx", "segx_mask_first"]}),
        "tests.view",
        "name two",
    ),
    "a test of predictions": (
        table(ABLATION, tests=TEST | {"kind": "mann_whitney"}),
        f"{ABLATION}.tests",
        "add network",
    ),
    "a misspelt prediction": (
        table("segx_networks", predictions=["acc"]),
        "predictions",
        "accuracy",
    ),
    "predictions of no patches": (
        table("segx_networks", predictions=["accuracy", "patch_accuracy"]),
        "segx_networks.predictions",
        "patches",
    ),
    "examples ranked by nothing": (
        masks(examples={"rank": {"metric": "dice", "reference": "marker"}}),
        "explainseg.examples",
        "add it",
    ),
    "examples of no instances": (
        masks(examples={"scores": ["instances"], "rank": AJI, "values": [AJI | {"title": "A"}]})
        | dataset(LESIONS, instances=False),
        "examples.scores",
        "another family",
    ),
    "no examples": (masks(examples=None), "explainseg.examples", "declare"),
    "examples of maps": (
        masks(figures={"x": {"kind": "map_examples"}}),
        "figures.x",
        "not of maps",
    ),
    "examples of nothing": (
        masks(figures={"x": {"kind": "mask_examples", "segmenters": {"roles": ["dose"]}}}),
        "figures.x.segmenters",
        "name one",
    ),
    "responses of nothing": (masks(figures={"x": {"kind": "responses"}}), "x.table", "drawn from"),
    "distributions of nothing": (
        masks(figures={"x": {"kind": "distributions", "tables": [ABLATION]}}),
        "x.metric",
        "drawn from",
    ),
    "distributions of maps": (
        maps(figures={"x": {"kind": "distributions", "tables": [ALIGNMENT], "metric": "iou_at"}}),
        "x.tables",
        "rows",
    ),
    "risk of masks": (
        masks(figures={"x": {"kind": "risk_coverage", "scores": "overlap"}}),
        "x.scores",
        "of maps",
    ),
    "agreement with nothing": (ordered(GAP), "agreement.values", "two values or more"),
    "agreement among means": (
        ordered(GAP, GAP | {"metric": "gap_black"}, {"metric": "infidelity"}),
        "agreement.values",
        "a table of them alone",
    ),
    "concordance of nothing": (
        ordered({"statistic": "concordance"}),
        "agreement.values",
        "two values or more",
    ),
    "ranks without a better end": (
        ordered(
            GAP, {"metric": "reference_fraction", "reference": "truth"} | {"statistic": "rank"}
        ),
        "agreement.values",
        "name another",
    ),
    "agreement on some": (
        ordered(GAP | {"where": "correct"}, GAP | {"metric": "gap_black"}),
        "agreement.values",
        "remove `where`",
    ),
    "concordance of a metric": (
        ordered(GAP, GAP | {"metric": "gap_black"}, GAP | {"statistic": "concordance"}),
        "agreement.values",
        "remove `metric`",
    ),
    "a matrix of means": (
        explainers(figures={"x": {"kind": "agreement", "table": "explainers_ranks"}}),
        "x.table",
        "statistic: agreement",
    ),
    "dots of pairs": (
        explainers(figures={"x": {"kind": "dots", "table": "explainers_agreement"}}),
        "x.table",
        "another statistic",
    ),
    "a front of no mean": (front(metric="average_precision"), "front_blur.metric", "no mean"),
    "a front without a cost": (front(cost="explainers_ranks"), "front_blur.cost", "add it"),
    "a front of no table": (front(cost="costs"), "front_blur", "there is only"),
    "no segmentation to draw": (
        explainers(figures={"x": {"kind": "map_examples"}}),
        "explainers.segmentation",
        "name a segmenter",
    ),
    "errors of no confidence": (
        explainers(examples={"confidence": None}),
        "examples.confidence",
        "name one",
    ),
    "a bound that is not labelled": (
        {"segmenters": {"best-cluster": {"role": "variant"}}},
        "best-cluster.role",
        "role: bound",
    ),
    "a bound that sees nothing": (
        {"segmenters": {"xai-ncut": {"role": "bound"}}},
        "xai-ncut.role",
        "does not see the truth",
    ),
    "keys of no network": (
        {"views": {"diffused": {"network": "vit-tiny"}}},
        "views.diffused.network",
        "vit-tiny-phantom",
    ),
    "keys of a segmenter": (
        {"views": {"diffused": {"network": "unet"}}},
        "views.diffused.network",
        "can classify",
    ),
    "keys for scores of maps": (
        measure_map(metric="iou_at", view="diffused", reference="truth"),
        "more.measure",
        "another view",
    ),
    "nowhere": (dataset(LESIONS, path=""), f"{LESIONS}.path", "1 or more"),
}
POSSIBLE = {
    "one study without data sets": masks(datasets=[]),
    "two kinds of data sets": masks(datasets=[LESIONS, FINDINGS]),
    "maps of one class": {**maps(datasets=[LESIONS]), **dataset(LESIONS, split={"test": 60})},
    "test images, nothing to tune": {
        **masks(
            split="test",
            segmenters=["centred-disc", "otsu-grey", "maskcut"],
            headline=None,
            tables={
                ABLATION: {"segmenters": None, "tests": None},
                "explainseg_baselines": {"segmenters": None},
            },
            figures={
                "explainseg_examples": {"segmenters": None},
                "explainseg_variants": {"segmenters": None},
            },
        ),
        **dataset(LESIONS, split={"test": 60}),
    },
    "two seeds": {"seeds": [1, 2], **measure_map(metric="seed_agreement")},
    "no shortcut": dataset(FINDINGS, source={"shortcut": None}),
    "the segmenter explained": {"run": ["regions"]},
    "few images": masks(images=3),
    "explainers": explainers(),
    "windows": {"explainers": {"integrated-gradients": {"windows": {"grids": [1, 2]}}}},
    "Grad-CAM of MICRA-Net": masks(networks=["micranet"], explainers=["gradcam"]),
}
# What cuts features and shows masks by them is left out with its network.
CUT_FROM_MAPS = ["xai-ncut", "xai-ncut-crf", "centred-disc", "maskcut"]
update_config(POSSIBLE["Grad-CAM of MICRA-Net"], masks(segmenters=CUT_FROM_MAPS))
CUT_BY_KEYS = ["diffused-otsu-crf", "xai-clusters", "xai-clusters-crf", "best-cluster"]
POSSIBLE["keys of other networks"] = {
    **masks(segmenters=[*read_config()["studies"]["explainseg"]["segmenters"], *CUT_BY_KEYS]),
    "views": {"diffused": {"network": "dino-small-16", "input_size": 448}},
    "segmenters": {"xai-clusters": {"network": "vit-tiny-phantom", "input_size": 128}},
}


base = cache(partial(read_config, "config/overlays/demo.yaml"))


def demo(change) -> dict:
    """The demo's configuration with an overlay."""
    config = copy.deepcopy(base())
    update_config(config, copy.deepcopy(change))
    return config


@pytest.mark.parametrize(("change", "key", "remedy"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_configurations_are_reported_before_a_job(change, key, remedy):
    """Each is one sentence that names the key and a remedy, before any job."""
    require_sentence(sentence := problem_of(demo(change)) or "nothing")
    assert sentence.startswith("Config key") and key in sentence and remedy in sentence, sentence


@pytest.mark.parametrize("change", POSSIBLE.values(), ids=POSSIBLE)
def test_what_can_be_is_planned(change):
    """No configuration that passes the checks ends in a traceback when its files are listed."""
    assert problem_of(demo(change)) is None
    config = resolve(demo(change))
    assert shown.page(config)["tables"].keys() == studies.tables(config).keys()
    for name in studies.tables(config):
        assert studies.table_files(config, name)["scores"]
        assert shown.table_facts(config, name)["spec"]
    for name in studies.figures(config):
        assert shown.figure_facts(config, name)["spec"]
        shown.figure_files(config, name)
