"""Configurations with mistakes: each is one sentence that names the key and what it may be."""

import copy
import math
import re
from functools import cache, reduce
from pathlib import Path

import pytest
import yaml

from segxai.workflow.config import problem_of, repeated_key
from segxai.workflow.plugins import resolve
from tests.hostile.refusal import require_sentence

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ["studies", "datasets", "networks", "explainers", "views", "segmenters", "metrics"]
SECTIONS = ["run", "seeds", *DEFINITIONS, "tuning", "statistics", "shard_size", "threads"]
NAN, INF = math.nan, math.inf
REMOVE = object()


def merge(target: dict, other: dict) -> dict:
    """Lay one configuration over another, as Snakemake does."""
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(target.get(key), dict)
        target[key] = merge(target[key], value) if both else value
    return target


@cache
def study() -> dict:
    """Return the full study's configuration."""
    paths = [
        *sorted(ROOT.glob("config/datasets/*.yaml")),
        *sorted(ROOT.glob("config/studies/*.yaml")),
    ]
    paths.append(ROOT / "config/config.yaml")
    return reduce(merge, (yaml.safe_load(path.read_text()) for path in paths), {})


def changed(path: str, value) -> dict:
    """Change, add or remove one key of the study, given by its dotted path."""
    config = copy.deepcopy(study())
    *parents, last = path.split("/")
    place = config
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    if value is REMOVE:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return config


def test_the_study_itself_has_no_problem():
    """What the cases below spoil is sound before."""
    assert problem_of(study()) is None


LESIONS, VIT = "datasets/phantom-lesions", "networks/vit-small-dino"
IG = "explainers/integrated-gradients"
MASKS, MAPS = "studies/explainseg", "studies/segx"
VALUES = {
    "run": [[], ["explain"], "segx", ["segx", "segx"], [1], None],
    "seeds": [[], [1, 1], [-1], [2**32], [1.0], ["1"], [True], [None], 1, None, {}, [NAN]],
    "shard_size": [0, -1, 1.0, 2.5, "2", "", True, None, NAN, INF, [1], {}],
    "threads/train": [0, -1, "all", None, 10**6],
    "threads/explain": [0, 1.5, [2]],
    "threads/segment": [0, NAN, {}],
    "statistics/resamples": [0, 99, -1, "many", 10**12, INF],
    "statistics/confidence": [0, 1, 95, "95 %", NAN, -INF],
    "statistics/seed": [-1, 2**40, "x"],
    "tuning/images": [0, -5, "all", None],
    "tuning/grid/ncut": [[], {"grid": []}, {"grid": 28}, {"grids": [28]}],
    "tuning/grid/ncut/sigma_relevance": [[NAN], [0], ["0.3"], [None], [[28]], 0.3],
    "tuning/grid/morphology/equalisation": [["yes"], [1], "none"],
    f"{MASKS}/datasets": ["kvasir-seg", ["kvasir"], ["kvasir-seg"] * 2, [1], None],
    f"{MASKS}/networks": [["vit"], "", None, 3, ["dino-small-16"], ["unet"]],
    f"{MASKS}/explainers": [["anchors"], "shap", None],
    f"{MASKS}/segmenters": [["no such"], ["xai-ncut"] * 2, "xai-ncut", [None], ["xai-ncut"]],
    f"{MASKS}/headline": ["no such", "unet", 3],
    f"{MASKS}/targets": ["pixel", "region", None],
    f"{MASKS}/split": ["all", "", 1],
    f"{MASKS}/images": [0, -1, "all", 1.5, {"kvasir": 3}, {"kvasir-seg": 0}],
    f"{MASKS}/scores/overlap/of": ["images", None],
    f"{MASKS}/scores/overlap/measure": [[], None, [{"reference": "truth"}], [{"metric": "iuo"}]],
    f"{MASKS}/tables/explainseg_ablation/scores": [["overlaps"], [], "overlap"],
    f"{MASKS}/tables/explainseg_ablation/rows": [["row"], [], None],
    f"{MASKS}/tables/explainseg_ablation/segmenters": [{"role": ["variant"]}, {"roles": ["x"]}],
    f"{MASKS}/tables/explainseg_ablation/values": [[{"metric": "iuo"}], [{"metrics": "iou"}], None],
    f"{MASKS}/figures/explainseg_distributions/tables": [["no such"], "explainseg_ablation"],
    f"{MASKS}/figures/explainseg_training/kind": ["pie", None],
    f"{MASKS}/tables/explainseg_ablation/tests/metric": ["dicez", ["dicez"], 3],
    f"{MASKS}/figures/explainseg_distributions/metric": ["dicez", 3],
    f"{MASKS}/examples/scores": [["overlaps"], [], "overlap"],
    f"{MASKS}/examples/rank": [{"metric": "dicez"}, {}, None],
    f"{MAPS}/examples/confidence": [{"metric": "entropyz"}, "entropy"],
    f"{MAPS}/figures/segu_risk_coverage/confidences": [{"entropyz": "entropy"}, ["entropy"]],
    f"{MAPS}/segmentation": ["no such", None, ["unet"]],
    f"{MAPS}/scores/doses/segmenters": [["no such"], "undamaged", [3]],
    f"{MAPS}/scores/alignment/measure": [
        [{"metric": "iou_at", "view": "segs"}],
        [{"metric": "iou_at", "view": "fused"}],
    ],
    f"{LESIONS}/reader": [3, None, [], "no_reader"],
    f"{LESIONS}/options": [{"masks": "boxes"}, None, []],
    f"{LESIONS}/path": [3, True, ["a"], {}],
    f"{LESIONS}/max_images": ["all", 0, 1, -1, 1.5, NAN],
    f"{LESIONS}/max_rejected": [-1, None, "none", 0.5],
    f"{LESIONS}/analysis_size": [0, 31, -64, 10**6, 64.0, "64", None, [64, 64]],
    f"{LESIONS}/classes": [[], ["lesion"], ["a", "a"], "lesion", [1, 2], None],
    f"{LESIONS}/channels": [[], "grey", [1], ["a", "a"]],
    f"{LESIONS}/display": [[0], [0, 1, -1], "rgb", [0, 1, 3]],
    f"{LESIONS}/patches": [{}, {"grid": 4}, 4, {"grid": 0, "negative_below": 0.1}],
    f"{LESIONS}/patches/negative_below": [-0.1, 1.1, NAN, "1 %"],
    f"{LESIONS}/split/validation": [0, -1, 0.2, "20 %", None],
    f"{LESIONS}/split/test": [-1, 0.5, "none"],
    f"{LESIONS}/split/seed": [-1, 2**32, None],
    f"{LESIONS}/split/by": ["patient", None, []],
    f"{LESIONS}/mask_mismatch": ["ignore", None, True],
    f"{LESIONS}/source": [None, [], {"url": "x"}, {"bucket": "https://x"}, {"urls": "x"}],
    f"{LESIONS}/source/images": [0, -1, 1e3, 10**12, None],
    f"{LESIONS}/source/size": [0, 10**6, "64"],
    "datasets/kvasir-seg/source": [{"bucket": "https://x"}, {"url": "x"}, {"urls": "x"}],
    "datasets/kvasir-seg/source/sha256": ["", "x" * 64, "A" * 64, None, "0" * 63],
    "datasets/kvasir-seg/source/bytes": [0, -1, "12 MB", 1.5],
    "datasets/ham10000/source/files": [[], {}, [{"name": "../x", "url": "u", "md5": "0" * 32}]],
    "datasets/cbis-ddsm/source/bucket": ["ftp://x", "", None],
    "datasets/cbis-ddsm/source/connections": [0, 33, 10**9, "4"],
    "datasets/cbis-ddsm/options/abnormalities": ["masses", None],
    f"{VIT}/architecture": [None, 3, []],
    f"{VIT}/arguments": [None, [], "depth=3"],
    f"{VIT}/pretrained": ["yes", 1, None],
    f"{VIT}/weights": [3, True, []],
    f"{VIT}/input_size": [0, 7, -224, 224.0, 10**6],
    f"{VIT}/normalisation": ["imagenet", None],
    f"{VIT}/head_features": [0, -1, "256"],
    f"{VIT}/unfreeze_blocks": [-1, "all", 1.5],
    f"{VIT}/scope": ["union"],
    f"{VIT}/training": [[], {}, "none"],
    f"{VIT}/training/loss": ["mse", None, "segmentation"],
    f"{VIT}/training/optimiser": ["rmsprop", "Adam", None],
    f"{VIT}/training/learning_rate": [0, -0.1, "1e-3", NAN, INF, None, 10**400],
    f"{VIT}/training/momentum": [1, -0.1, NAN],
    f"{VIT}/training/epochs": [0, -1, 1.5, "100", INF],
    f"{VIT}/training/patience": [0, "never"],
    f"{VIT}/training/batch_size": [0, -64, 64.0, None],
    f"{VIT}/training/decay_factor": [0, 1.1, NAN],
    f"{VIT}/training/augmentation": [None, {"flip": 2, "jitter": 0, "rotation": 0}],
    "networks/unet/training/cross_entropy_weight": [-1, 2, NAN, REMOVE],
    "networks/unet/training/loss": ["bce"],
    "networks/unet/scope": ["both", None, 1],
    "networks/unet/width": [0, "32", None],
    "networks/resnet50/by_dataset": [[], {"Ham": {}}, {"ham10000": {"epoch": 3}}, {"ham": {}}],
    "networks/dino-small-16/training": [{"epochs": 3}, False],
    "networks/dino-small-16/pretrained": [False],
    "networks/dino-small-16/normalisation": ["training"],
    f"{IG}/method": ["anchors", None],
    f"{IG}/steps": [0, -1, 1.5, "6", NAN],
    f"{IG}/noise_std": [-0.1, NAN, INF, "0,1"],
    f"{IG}/tolerance": [-1, NAN, "none"],
    f"{IG}/precision": ["float16", 32, None],
    f"{IG}/layer": ["features"],
    "explainers/shap/background": [0, "all"],
    "views/smoothed/clip_percentile": [0, 101, NAN],
    "views/smoothed/sigma": [-1, INF],
    "segmenters/xai-ncut/method": ["kmeans", None],
    "segmenters/xai-ncut/title": [None, 3],
    "segmenters/xai-ncut/role": [None, "variants"],
    "segmenters/xai-ncut/view": ["smooth", None],
    "segmenters/xai-ncut/network": ["unet"],
    "segmenters/xai-ncut/grid": [1, 101, 28.0, "28", None],
    "segmenters/xai-ncut/sigma_relevance": [0, -0.3, NAN, INF],
    "segmenters/xai-ncut/sigma_distance": [0, -1, "none"],
    "segmenters/xai-morphology/equalisation": ["yes", None],
    "segmenters/xai-morphology/max_hole": [-0.1, 2, NAN],
    "segmenters/xai-ncut-crf/of": ["no such", "otsu-grey", "fusion-ncut-crf", None],
    "segmenters/xai-ncut-crf/iterations": [-1, 1.5, INF],
    "segmenters/xai-ncut-crf/bilateral_srgb": [0, NAN],
    "segmenters/xai-ncut-crf/mask_weight": [-0.1, 1.1],
    "segmenters/tokencut/network": ["no such", None, 3, "unet"],
    "segmenters/tokencut/input_size": [0, None, REMOVE],
    "segmenters/tokencut/tau": [-2, 2, NAN],
    "segmenters/maskcut/max_objects": [0, 1.5, "all"],
    "segmenters/micranet/quantile": [-0.1, 1.1, NAN],
    "segmenters/unet/network": ["resnet50"],
    "segmenters/erode-4/kind": ["melt", REMOVE],
    "metrics/auitc_quantile/axis": ["rank", None],
    "metrics/iou_at/fraction": [0, 2, "5 %"],
}


@pytest.mark.parametrize("path", VALUES)
def test_wrong_values_are_named_with_their_key(path):
    """Wrong types, ends of ranges, NaN, infinity, empty and repeated lists name key and remedy."""
    last = path.split("/")[-1]
    for value in VALUES[path]:
        sentence = problem_of(changed(path, value))
        assert sentence is not None, value
        require_sentence(sentence)
        assert re.search(r"^Config keys? ", sentence), sentence
        assert last in sentence or path.split("/")[-2] in sentence, (value, sentence)
        assert re.search(
            r"must|is missing|is unknown|has only|needs|not|set|give|name|there is|remove", sentence
        )


def mappings(value, path=()):
    """Paths of all mappings of a configuration whose keys are fixed."""
    if isinstance(value, dict):
        if path[-1:] != ("arguments",):
            yield path
        for key, inner in value.items():
            yield from mappings(inner, (*path, key))


def test_the_table_covers_every_section():
    """No section of the configuration is left out above, nor one of another name in it."""
    assert {path.split("/")[0] for path in VALUES} == set(SECTIONS)


def is_free(path: tuple) -> bool:
    """Whether the keys of a mapping are names."""
    names = ("scores", "tables", "guidelines", "figures")
    if path[-1:] in (("by_dataset",), ("goals",)):
        return True
    return (len(path) == 1 and path[0] in DEFINITIONS) or (
        path[:1] == ("studies",) and len(path) == 3 and path[2] in names
    )


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_misspelt_keys_are_named(section):
    """A key with a letter too many, in any mapping of a section, is named with the right one."""
    config = study()
    places = [path for path in mappings(config) if (path[0] if path else "") == section]
    for path in places:
        place = reduce(lambda inner, key: inner[key], path, config)
        if is_free(path) or not place:
            continue
        # One key of each mapping: the others are in the same list.
        key = [*place][-1]
        sentence = problem_of(changed("/".join([*path, f"{key}z"]), place[key]))
        assert sentence is not None and sentence.startswith("Config key"), (path, key)
        named = f"{'.'.join([*path, key])}z", f'{".".join(path)} got "{key}z"'
        named += (f"{'.'.join(path)} names '{key}z'",)
        assert any(name in sentence for name in named), sentence
        require_sentence(sentence)


REQUIRED = ["run", "seeds", f"{MASKS}/networks", f"{LESIONS}/split/seed"]
REQUIRED += [f"{VIT}/training/epochs", "segmenters/xai-ncut/role", "segmenters/xai-ncut/view"]
REQUIRED += ["tuning/images", "statistics/seed", "shard_size", "threads/train", "metrics"]


@pytest.mark.parametrize("path", REQUIRED)
def test_missing_keys_are_named(path):
    """A required key that is not there is named with what it must be."""
    sentence = problem_of(changed(path, REMOVE))
    require_sentence(sentence)
    assert sentence.startswith(f"Config key {path.replace('/', '.')} is missing: ")


@pytest.mark.parametrize(
    "section", ["explainseg", "segx", "models", "segmentation", "baselines", "shards"]
)
def test_sections_of_former_versions_are_named(section):
    """A section that was renamed is named with its place now."""
    sentence = problem_of(study() | {section: {}})
    require_sentence(sentence)
    assert sentence.startswith(f"Config key {section} was renamed: move its keys to ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("datasets/Kvasir", {}),
        ("datasets/a_b", {}),
        ("datasets/../x", {}),
        ("networks/my model", {}),
        ("segmenters/ä", {}),
        ("explainers/", {}),
        ("networks/-x", {}),
    ],
)
def test_names_that_cannot_be_files_are_refused(path, value):
    """Names become parts of paths: capitals, spaces, dots and other letters are refused."""
    config = copy.deepcopy(study())
    section, _, name = path.partition("/")
    config[section][name] = value
    require_sentence(sentence := problem_of(config))
    assert f"Config key {section}.{name} is unknown" in sentence


def test_two_files_of_one_name_are_refused():
    """An explainer and a segmenter of one name, or two tables, would write the same files."""
    sentence = problem_of(changed("segmenters/shap", {"role": "control", "method": "otsu_grey"}))
    require_sentence(sentence)
    assert sentence == "Config keys explainers.shap and segmenters.shap: rename one of them."
    config = changed("studies/again", study()["studies"]["segx"]) | {"run": ["segx", "again"]}
    require_sentence(sentence := problem_of(config))
    assert re.fullmatch(
        r"Config key tables\.\w+ is in two studies that are run: rename one\.", sentence
    )


PLAIN = {"scores": ["overlap"], "rows": ["segmenter"], "splits": ["all"]}
IOU = {"metric": "iou", "reference": "truth"}
AGAIN = {"of": "maps", "measure": [{"metric": "iou_at", "view": "again", "reference": "truth"}]}
# A change, and the keys whose titles would look the same.
TITLES = {
    "variants": (
        {
            "segmenters": {
                "xai-ncut-crf": {"title": " xai+NCUT\n"},
                "xai-ncut": {"title": "XAI+ncut"},
            }
        },
        ["segmenters.xai-ncut.title", "segmenters.xai-ncut-crf.title"],
    ),
    "baseline and control": (
        {"segmenters": {"otsu-grey": {"title": "MaskCut"}}},
        ["segmenters.otsu-grey.title", "segmenters.maskcut.title"],
    ),
    "data sets of two studies": (
        {"datasets": {"ham10000": {"title": "kvasir-seg\u200b"}}},
        ["datasets.kvasir-seg.title", "datasets.ham10000.title"],
    ),
    "networks, one of a segmenter": (
        {"networks": {"micranet": {"title": "ResNet-50"}}},
        ["networks.micranet.title", "networks.resnet50.title"],
    ),
    "explainers in two forms of Unicode": (
        {"explainers": {"shap": {"title": "\u00e9"}, "gradcam": {"title": "e\u0301"}}},
        ["explainers.shap.title", "explainers.gradcam.title"],
    ),
    "metrics": (
        {"metrics": {"dice": {"title": "IOU"}}},
        ["metrics.iou.title", "metrics.dice.title"],
    ),
    "views of one method": (
        {
            "views": {"again": {"method": "segx"}},
            "studies": {"segx": {"scores": {"again": AGAIN}}},
        },
        ["views.segx.title", "views.again.title"],
    ),
    "studies": (
        {"studies": {"explainseg": {"title": "segx AND segu"}}},
        ["studies.explainseg.title", "studies.segx.title"],
    ),
    "numbers of tables": (
        {"studies": {"explainseg": {"tables": {"explainseg_baselines": {"number": "1"}}}}},
        ["tables.explainseg_ablation.number", "tables.explainseg_baselines.number"],
    ),
    "columns": (
        {
            "studies": {
                "explainseg": {
                    "tables": {
                        "explainseg_baselines": {
                            "values": [
                                {"metric": "iou", "reference": "truth", "title": "x"},
                                {"metric": "dice", "reference": "truth", "title": "X"},
                            ]
                        }
                    }
                }
            }
        },
        ["tables.explainseg_baselines.values"],
    ),
    "one number twice": (
        {
            "studies": {
                "explainseg": {
                    "tables": {
                        "explainseg_baselines": {
                            "values": [IOU | {"title": "x"}, IOU | {"metric": ["dice", "iou"]}]
                        }
                    }
                }
            }
        },
        ["tables.explainseg_baselines.values", "iou truth"],
    ),
    "rows of two words": (
        {
            "networks": {"resnet50": {"title": "A"}, "densenet121": {"title": "A B"}},
            "explainers": {"shap": {"title": "B C"}, "gradcam": {"title": "C"}},
        },
        ["networks.resnet50.title", "explainers.shap.title", "networks.densenet121.title"],
    ),
    "confidences": (
        {
            "studies": {
                "segx": {
                    "figures": {"segu_risk_coverage": {"confidences": {"entropy": "C_iou (SegU)"}}}
                }
            }
        },
        ["segu_risk_coverage.confidences.iou_at", "segu_risk_coverage.confidences.entropy"],
    ),
    "numbers of the browser": (
        {
            "studies": {
                "explainseg": {
                    "examples": {
                        "values": [
                            {"metric": "iou", "title": "x", "short": "y"},
                            {"metric": "dice", "title": "z", "short": "Y"},
                        ]
                    }
                }
            }
        },
        ["studies.explainseg.examples.values"],
    ),
    "classes": (
        {"datasets": {"kvasir-seg": {"classes": ["polyp", "Polyp "]}}},
        ["datasets.kvasir-seg.classes"],
    ),
    "a class called as a line of the summary": (
        {"datasets": {"kvasir-seg": {"classes": ["polyp", "Total"]}}},
        ["datasets.kvasir-seg.classes", "Total"],
    ),
    "one number of the browser twice": (
        {
            "studies": {
                "explainseg": {"examples": {"values": [IOU | {"title": "x"}, IOU | {"title": "y"}]}}
            }
        },
        ["studies.explainseg.examples.values", "iou"],
    ),
    "a title of blanks": (
        {"segmenters": {"maskcut": {"title": " \u00a0"}}},
        ["segmenters.maskcut.title", "is empty"],
    ),
    "a title with a code": (
        {"segmenters": {"maskcut": {"title": "a\x1b[31m"}}},
        ["segmenters.maskcut.title", "not text"],
    ),
}


@pytest.mark.parametrize("how", TITLES)
def test_two_things_of_one_printed_name_are_refused(how):
    """Titles that look the same, case and blanks aside, are refused."""
    change, keys = TITLES[how]
    require_sentence(sentence := problem_of(merge(copy.deepcopy(study()), copy.deepcopy(change))))
    assert all(key in sentence for key in keys), sentence
    assert re.search("change one of the two|give a title", sentence)


def test_titles_without_a_row_may_be_equal():
    """DINO's body inside TokenCut, and an unused explainer: their titles have no row."""
    config = copy.deepcopy(study())
    config["explainers"]["spare"] = {"method": "grad_cam", "title": "SHAP"}
    assert (
        config["networks"]["dino-small-16"]["title"]
        == config["networks"]["vit-small-dino"]["title"]
    )
    assert problem_of(config) is None


@pytest.mark.parametrize(
    ("section", "name"),
    [("tables", "explainseg_ablation_tests"), ("tables", "claims"), ("tables", "dataset_summary")],
)
def test_names_of_other_files_are_refused(section, name):
    """A table may not have the name of another's tests, nor of a file that every run has."""
    table = PLAIN | {"title": "x", "values": [IOU]}
    config = merge(copy.deepcopy(study()), {"studies": {"explainseg": {section: {name: table}}}})
    require_sentence(sentence := problem_of(config))
    assert f"Config key {section}.{name}: " in sentence and "rename it" in sentence


def test_titles_are_kept_as_they_are_read():
    """Line breaks of YAML and forms of Unicode are gone before anything is printed."""
    change = {"segmenters": {"maskcut": {"title": "Mask\n  Cut e\u0301\n"}}}
    config = merge(copy.deepcopy(study()), change)
    assert problem_of(config) is None
    assert resolve(config)["segmenters"]["maskcut"]["title"] == "Mask Cut \u00e9"


def test_one_score_file_has_one_segmentation():
    """Two studies may share a score file of maps only if they compare them with the same masks."""
    shared = study()["studies"]["segx"] | {"tables": {}, "figures": {}, "title": "Again"}
    again = changed("studies/again", shared) | {"run": ["segx", "again"]}
    assert problem_of(again) is None
    again["segmenters"]["other"] = again["segmenters"]["unet"] | {"title": "Another U-Net"}
    other = {"segmentation": "other", "segmenters": ["other"], "datasets": ["ham10000"]}
    again["studies"]["again"] = shared | other
    require_sentence(sentence := problem_of(again))
    assert re.fullmatch(
        r"Config keys studies\.segx\.scores\.(\w+) and studies\.again\.scores\.\1 need another "
        r"segmentation for the same file: rename one\.",
        sentence,
    )
    again["studies"]["again"]["datasets"] = ["phantom-findings"]
    assert problem_of(again) is None


def test_unused_studies_may_have_undefined_names():
    """A study that is not selected is checked for its keys only."""
    spare = study()["studies"]["segx"] | {"networks": ["of another overlay"]}
    assert problem_of(changed("studies/spare", spare)) is None
    sentence = problem_of(changed("studies/spare", spare) | {"run": ["spare"]})
    assert "studies.spare.networks selects 'of another overlay', but networks has only" in sentence


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        ("", 1, "1"),
        ("networks", None, "null"),
        (LESIONS, True, "true"),
        (f"{LESIONS}/source", 2.5, "2.5"),
        ("segmenters/xai-ncut", NAN, "NaN"),
    ],
)
def test_keys_that_are_not_text_are_named(path, key, shown):
    """YAML reads 1, null and on as no text, which no key is."""
    config = copy.deepcopy(study())
    reduce(lambda inner, name: inner[name], filter(None, path.split("/")), config)[key] = 1
    require_sentence(sentence := problem_of(config))
    assert f"{shown} is not text to YAML: put it in quotes" in sentence


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("shards: 1\nseeds: [1]\nshards: 2\n", "shards is given twice, again in line 3"),
        ("a: {b: 1, b: 2}\n", "b is given twice, again in line 1"),
        ("a:\n  - b: 1\n    b: 2\n", "b is given twice, again in line 3"),
        ("a: &x {b: 1}\nc: *x\na: 3\n", "a is given twice, again in line 3"),
    ],
)
def test_repeated_keys_are_named(text, key):
    """PyYAML would take the last of them without a word."""
    require_sentence(sentence := repeated_key(text))
    assert key in sentence and "keep one of them" in sentence


@pytest.mark.parametrize("text", ["", "a: 1\nb: {a: 2}\n", "a: &x {b: 1}\nc: *x\n", "- 1\n"])
def test_keys_of_different_mappings_may_be_the_same(text):
    """The same name at two places is not a repetition, nor is an alias."""
    assert repeated_key(text) is None


def test_every_file_of_the_checkout_gives_its_keys_once():
    """The configurations that are shipped repeat no key."""
    for path in sorted((ROOT / "config").rglob("*.yaml")):
        assert repeated_key(path.read_text()) is None, path
