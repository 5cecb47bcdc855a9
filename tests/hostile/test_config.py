"""Configurations with mistakes: each is one sentence that names the key and what it may be."""

import copy
import math
import re
from functools import cache, reduce
from pathlib import Path

import pytest
import yaml

from segxai.workflow.config import config_problem, selection_problem
from segxai.workflow.yaml_keys import repeated_key
from tests.hostile.refusal import require_sentence

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = list(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
NAN, INF = math.nan, math.inf
REMOVE = object()


def merge(target: dict, other: dict) -> dict:
    """Lay one configuration over another, as Snakemake does."""
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(target.get(key), dict)
        target[key] = merge(target[key], value) if both else value
    return target


@cache
def files() -> tuple[dict, dict]:
    """Return the full study's configuration and the schema."""
    paths = [*sorted((ROOT / "config/datasets").glob("*.yaml")), ROOT / "config/config.yaml"]
    config = reduce(merge, (yaml.safe_load(path.read_text()) for path in paths), {})
    schema = (ROOT / "config/schemas/config.schema.yaml").read_text()
    return config, yaml.safe_load(schema)


def problem(config: dict) -> str | None:
    """Say what the Snakefile would."""
    return config_problem(config, files()[1]) or selection_problem(config)


def changed(path: str, value) -> dict:
    """Change, add or remove one key of the study, given by its dotted path."""
    config = copy.deepcopy(files()[0])
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
    """What the cases below spoil is sound before, with either overlay."""
    assert problem(files()[0]) is None
    for name in ("demo", "samples"):
        overlay = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
        assert problem(merge(copy.deepcopy(files()[0]), overlay)) is None


LESIONS, VIT = "datasets/phantom-lesions", "models/vit-small-dino"
IG = "explainers/integrated-gradients"
VALUES = {
    "seeds": [[], [1, 1], [-1], [2**32], [1.0], ["1"], [True], [None], 1, None, {}, [NAN]],
    "shards": [0, -1, 1.0, 2.5, "2", "", True, None, NAN, INF, 10**9, [1], {}],
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
    "explainseg/datasets": ["kvasir-seg", ["kvasir"], ["kvasir-seg"] * 2, [1], None],
    "explainseg/model": ["vit", "", None, 3, ["vit-small-dino"], "dino-small-16"],
    "explainseg/explainer": ["lime", [], None],
    "explainseg/variants": [[], ["otsu-grey"], ["xai-ncut"] * 2, ["no such"], "xai-ncut"],
    "explainseg/controls": [["xai-ncut"], [None], ["no such"], {}],
    "explainseg/baselines": [["freesolo"], ["tokencut"] * 2, None],
    "segx/datasets": [["ham"], [""], "ham10000"],
    "segx/models": [[], ["unet"], ["resnet"], ["resnet50"] * 2],
    "segx/explainers": [[], ["grad-cam"], None],
    "segx/segmenter": ["resnet50", "no such", None, ["unet"]],
    "segx/mask_scope": ["both", None, 1],
    "segx/doses/erode": [[0], [-1], [4, 4], ["4"], [NAN], [INF], 4],
    f"{LESIONS}/reader": [3, None, []],
    f"{LESIONS}/path": [3, True, ["a"], {}],
    f"{LESIONS}/max_images": ["all", 0, 1, -1, 1.5, NAN],
    f"{LESIONS}/max_rejected": [-1, None, "none", 0.5],
    f"{LESIONS}/analysis_size": [0, 31, -64, 10**6, 64.0, "64", None, [64, 64]],
    f"{LESIONS}/classes": [[], ["lesion"], ["a", "a"], "lesion", [1, 2], None],
    f"{LESIONS}/patches": [{}, {"grid": 4}, 4, {"grid": 0, "negative_below": 0.1}],
    f"{LESIONS}/patches/negative_below": [-0.1, 1.1, NAN, "1 %"],
    f"{LESIONS}/split/validation": [0, -1, 0.2, "20 %", None],
    f"{LESIONS}/split/test": [-1, 0.5, "none"],
    f"{LESIONS}/split/seed": [-1, 2**32, None],
    f"{LESIONS}/split/by": ["patient", None, []],
    f"{LESIONS}/explain_on": ["pixels", None],
    f"{LESIONS}/explained_split": ["all", "", 1],
    f"{LESIONS}/explained_images": [1, 0, "all", NAN],
    f"{LESIONS}/mask_mismatch": ["ignore", None, True],
    f"{LESIONS}/source": [None, [], {"url": "x"}, {"bucket": "https://x"}, {"urls": "x"}],
    f"{LESIONS}/source/images": [0, -1, 1e3, 10**12, None],
    f"{LESIONS}/source/size": [0, 10**6, "64"],
    "datasets/kvasir-seg/source/sha256": ["", "x" * 64, "A" * 64, None, "0" * 63],
    "datasets/kvasir-seg/source/bytes": [0, -1, "12 MB", 1.5],
    "datasets/ham10000/source/files": [[], {}, [{"name": "../x", "url": "u", "md5": "0" * 32}]],
    "datasets/cbis-ddsm/source/bucket": ["ftp://x", "", None],
    "datasets/cbis-ddsm/source/connections": [0, 33, 10**9, "4"],
    "datasets/cbis-ddsm/abnormalities": ["masses", None],
    f"{VIT}/architecture": [None, 3, []],
    f"{VIT}/arguments": [None, [], "depth=3"],
    f"{VIT}/pretrained": ["yes", 1, None],
    f"{VIT}/weights": [3, True, []],
    f"{VIT}/input_size": [0, 7, -224, 224.0, 10**6],
    f"{VIT}/normalisation": ["imagenet", None],
    f"{VIT}/head_features": [0, -1, "256"],
    f"{VIT}/unfreeze_blocks": [-1, "all", 1.5],
    f"{VIT}/training": [[], {}, "none"],
    f"{VIT}/training/loss": ["mse", None, "segmentation"],
    f"{VIT}/training/optimiser": ["rmsprop", "Adam", None],
    f"{VIT}/training/learning_rate": [0, -0.1, "1e-3", NAN, INF, None, 10**400],
    f"{VIT}/training/momentum": [1, -0.1, NAN],
    f"{VIT}/training/epochs": [0, -1, 1.5, "100", INF],
    f"{VIT}/training/patience": [0, "never"],
    f"{VIT}/training/batch_size": [0, -64, 64.0, None],
    f"{VIT}/training/decay_factor": [0, 1.1, NAN],
    f"{VIT}/training/augmentation": [None, {}, {"flip": 2, "jitter": 0, "rotation": 0}],
    "models/unet/training/cross_entropy_weight": [-1, 2, NAN, REMOVE],
    "models/resnet50/by_dataset": [[], {"Ham": {}}, {"ham10000": {"epoch": 3}}, {"ham": {}}],
    "models/dino-small-16/training": [{"epochs": 3}, False],
    "models/dino-small-16/pretrained": [False],
    "models/dino-small-16/normalisation": ["training"],
    f"{IG}/method": ["lime", None, "gradient_shap"],
    f"{IG}/steps": [0, -1, 1.5, "6", NAN],
    f"{IG}/noise_std": [-0.1, NAN, INF, "0,1"],
    f"{IG}/tolerance": [-1, NAN, "none"],
    f"{IG}/precision": ["float16", 32, None],
    f"{IG}/layer": ["features"],
    "explainers/shap/background": [0, "all", REMOVE],
    "segmenters/xai-ncut/source": ["explanation", None],
    "segmenters/xai-ncut/method": ["kmeans", None],
    "segmenters/xai-ncut/row": [None, 3],
    "segmentation/ncut/grid": [1, 101, 28.0, "28", None],
    "segmentation/ncut/sigma_relevance": [0, -0.3, NAN, INF],
    "segmentation/ncut/sigma_distance": [0, -1, "none"],
    "segmentation/smoothing/clip_percentile": [0, 101, NAN],
    "segmentation/smoothing/sigma": [-1, INF],
    "segmentation/morphology/equalisation": ["yes", None],
    "segmentation/morphology/max_hole": [-0.1, 2, NAN],
    "segmentation/crf/iterations": [-1, 1.5, INF],
    "segmentation/crf/bilateral_srgb": [0, NAN],
    "segmentation/crf/mask_weight": [-0.1, 1.1],
    "baselines/tokencut/model": ["no such", None, 3],
    "baselines/tokencut/features": [None, {"input_size": 448}],
    "baselines/tokencut/cut/tau": [-2, 2, NAN],
    "baselines/tokencut/cut/bilateral": [[], {"sigma": 3}, True],
    "baselines/maskcut/cut/max_objects": [0, 1.5, "all"],
    "baselines/maskcut/cut/combine": ["all", None],
    "baselines/micranet/model": ["dino-small-16"],
    "baselines/micranet/cut/quantile": [-0.1, 1.1, NAN],
}


@pytest.mark.parametrize("path", VALUES)
def test_wrong_values_are_named_with_their_key(path):
    """Wrong types, ends of ranges, NaN, infinity, empty and repeated lists name key and remedy."""
    last = path.split("/")[-1]
    for value in VALUES[path]:
        said = problem(changed(path, value))
        assert said is not None, value
        require_sentence(said)
        assert re.search(r"^Config keys? ", said), said
        assert last in said or path.split("/")[-2] in said, (value, said)
        assert re.search(r"must|is missing|is unknown|has only|needs|not|are cut|set|give", said)


def mappings(value, path=()):
    """Paths of all mappings of a configuration whose keys are fixed."""
    if isinstance(value, dict):
        if path[-1:] != ("arguments",):
            yield path
        for key, inner in value.items():
            yield from mappings(inner, (*path, key))


def test_the_table_covers_every_section():
    """No section of the configuration is left out above."""
    assert {path.split("/")[0] for path in VALUES} == {*SECTIONS, "datasets"}


@pytest.mark.parametrize("section", ["", *SECTIONS, "datasets"])
def test_misspelt_keys_are_named(section):
    """A key with a letter too many, in any mapping of a section, is named with the right one."""
    config = files()[0]
    found = [path for path in mappings(config) if (path[0] if path else "") == section]
    for path in found:
        place = reduce(lambda inner, key: inner[key], path, config)
        free = path in ((name,) for name in ("datasets", "models", "explainers", "segmenters"))
        if free or not place:
            continue
        for key in place:
            said = problem(changed("/".join([*path, f"{key}z"]), place[key]))
            assert said is not None and said.startswith("Config key"), (path, key)
            named = f"{'.'.join([*path, key])}z", f'{".".join(path)} got "{key}z"'
            assert any(name in said for name in named), said
            require_sentence(said)


REQUIRED = ["seeds", "explainseg/model", "segx/doses/erode", f"{LESIONS}/split/seed"]
REQUIRED += [f"{VIT}/training/epochs", f"{IG}/precision", "segmenters/xai-ncut/row"]
REQUIRED += ["segmentation/crf", "baselines/tokencut", "tuning/images", "statistics/seed", "shards"]


@pytest.mark.parametrize("path", [*REQUIRED, "threads/train"])
def test_missing_keys_are_named(path):
    """A required key that is not there is named with what it must be."""
    said = problem(changed(path, REMOVE))
    require_sentence(said)
    assert said.startswith(f"Config key {path.replace('/', '.')} is missing: ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("datasets/Kvasir", {}),
        ("datasets/a_b", {}),
        ("datasets/../x", {}),
        ("models/my model", {}),
        ("segmenters/ä", {}),
        ("explainers/", {}),
        ("models/-x", {}),
    ],
)
def test_names_that_cannot_be_files_are_refused(path, value):
    """Names become parts of paths: capitals, spaces, dots and other letters are refused."""
    config = copy.deepcopy(files()[0])
    section, _, name = path.partition("/")
    config[section][name] = value
    require_sentence(said := problem(config))
    assert f"Config key {section}.{name} is unknown" in said


@pytest.mark.parametrize(
    "name", ["tokencut", "maskcut", "micranet", "unet", "xai-ncut-crf", "fusion-ncut-crf"]
)
def test_two_methods_of_one_name_are_refused(name):
    """Two methods of one name would write the same masks."""
    said = problem(changed(f"segmenters/{name}", files()[0]["segmenters"]["otsu-grey"]))
    require_sentence(said)
    assert re.search(
        f"Config keys segmenters, .* two methods the name '{name}'.*: rename one", said
    )


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        ("", 1, "1"),
        ("models", None, "null"),
        (LESIONS, True, "true"),
        (f"{LESIONS}/source", 2.5, "2.5"),
        ("segmentation/ncut", NAN, "NaN"),
    ],
)
def test_keys_that_are_no_text_are_named(path, key, shown):
    """YAML reads 1, null and on as no text, which no key is."""
    config = copy.deepcopy(files()[0])
    reduce(lambda inner, name: inner[name], filter(None, path.split("/")), config)[key] = 1
    require_sentence(said := problem(config))
    assert f"{shown} is no text to YAML: put it between quotes" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("shards: 1\nseeds: [1]\nshards: 2\n", "shards is given twice, again in line 3"),
        ("a: {b: 1, b: 2}\n", "a.b is given twice, again in line 1"),
        ("a:\n  - b: 1\n    b: 2\n", "a.0.b is given twice, again in line 3"),
        ("a: &x {b: 1}\nc: *x\na: 3\n", "a is given twice, again in line 3"),
    ],
)
def test_repeated_keys_are_named(text, key):
    """PyYAML would take the last of them without a word."""
    require_sentence(said := repeated_key(text))
    assert key in said and "keep one of them" in said


@pytest.mark.parametrize("text", ["", "a: 1\nb: {a: 2}\n", "a: &x {b: 1}\nc: *x\n", "- 1\n"])
def test_keys_of_different_mappings_may_be_the_same(text):
    """The same name at two places is no repetition, nor is an alias."""
    assert repeated_key(text) is None


def test_every_file_of_the_checkout_gives_its_keys_once():
    """The configurations that are shipped repeat no key."""
    for path in sorted((ROOT / "config").rglob("*.yaml")):
        assert repeated_key(path.read_text()) is None, path
