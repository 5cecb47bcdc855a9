"""Source digests follow the logic behind a rule; config errors say what to change."""

import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from segxai.workflow.config import config_problem, job_errors, selection_problem
from segxai.workflow.digest import source_digest, source_files

FILES = {
    "scripts/cut.py": "from segxai.segment import ncut\n\nncut.cut(1)\n",
    "segxai/__init__.py": "",
    "segxai/segment/__init__.py": '"""Cuts."""\n',
    "segxai/segment/ncut.py": (
        '"""Cuts."""\nimport numpy as np\nfrom ..graph import affinity\n\n\n'
        'def cut(x):\n    """Cut x."""\n    return affinity(x)\n'
    ),
    "segxai/graph.py": (
        "def affinity(x):\n    from segxai.kernels import gauss\n\n    return gauss(x, 2)\n"
    ),
    "segxai/kernels.py": "def gauss(x, sigma):\n    return x / sigma\n",
    "segxai/unrelated.py": "answer = 42\n",
}


@pytest.fixture
def digest_with(tmp_path: Path):
    """Return a function that writes the toy study with some files replaced and digests it."""
    fresh = count()

    def write_and_digest(**changes: str) -> str:
        root = tmp_path / str(next(fresh))
        for name, text in (FILES | changes).items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return source_digest("cut", root)

    return write_and_digest


def test_source_files_finds_every_import_form(digest_with, tmp_path):
    """Packages, `from package import module`, relative and in-function imports are all found."""
    digest_with()
    assert set(source_files("cut", tmp_path / "0")) == {
        "cut",
        "segxai",
        "segxai.segment",
        "segxai.segment.ncut",
        "segxai.graph",
        "segxai.kernels",
    }


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scripts/cut.py", "cut(1)", "cut(2)"),
        ("segxai/segment/__init__.py", "\n", "\nlimit = 3\n"),
        ("segxai/segment/ncut.py", "affinity(x)", "-affinity(x)"),
        ("segxai/graph.py", "gauss(x, 2)", "gauss(x, 3)"),
        ("segxai/kernels.py", "x / sigma", "x / sigma**2"),
    ],
)
def test_digest_changes_with_logic(digest_with, file, old, new):
    """A change of logic in the script or any module it imports, however deep, is seen."""
    changed = FILES[file].replace(old, new)
    assert changed != FILES[file]
    assert digest_with() != digest_with(**{file: changed})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "segxai/kernels.py",
            "# A kernel.\ndef gauss(x, sigma):\n    return x / sigma  # narrow\n",
        ),
        (
            "segxai/kernels.py",
            '"""K."""\n\n\ndef gauss(x, sigma):\n    """G."""\n    return x / sigma\n',
        ),
        ("segxai/kernels.py", "def gauss(\n    x,\n    sigma,\n):\n    return (x / sigma)\n"),
        ("segxai/unrelated.py", "answer = 43\n"),
    ],
    ids=["comments", "docstrings", "layout", "unrelated module"],
)
def test_digest_ignores_what_is_not_logic(digest_with, file, text):
    """Comments, docstrings, layout and modules that are not imported leave the digest alone."""
    assert digest_with() == digest_with(**{file: text})


def test_digest_keeps_strings_that_are_not_docstrings(digest_with):
    """A second bare string is a statement: only the first one of a body is a docstring."""
    twice = {"segxai/unrelated.py": "", "segxai/kernels.py": '"""a"""\n"""b"""\n'}
    once = {"segxai/kernels.py": '"""a"""\n'}
    assert digest_with(**twice) != digest_with(**once)


def test_digest_survives_recursive_imports(digest_with):
    """Two modules that import each other do not hang the digest."""
    assert digest_with(**{"segxai/kernels.py": "from segxai import graph\n"})


def test_digest_names_a_missing_script(tmp_path):
    """A rule without its script is reported by the script's path."""
    with pytest.raises(FileNotFoundError, match=r"scripts/cut\.py is missing"):
        source_digest("cut", tmp_path)


def test_digest_names_a_missing_module(digest_with):
    """An import of a segxai module that does not exist is reported by module and file."""
    broken = {"segxai/graph.py": "import segxai.metric.overlap\n"}
    with pytest.raises(ModuleNotFoundError, match=r"segxai\.metric.*segxai/metric\.py is missing"):
        digest_with(**broken)


def test_workflow_module_is_stdlib_only():
    """segxai.workflow imports without site-packages, so parsing the Snakefile stays instant."""
    program = [sys.executable, "-S", "-c", "import segxai.workflow.config, segxai.workflow.digest"]
    subprocess.run(program, cwd=Path(__file__).resolve().parents[2], check=True)


TRAINING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["epochs"],
    "properties": {
        "epochs": {"type": "integer", "minimum": 1},
        "learning_rate": {"type": "number", "exclusiveMinimum": 0},
        "optimiser": {"enum": ["sgd", "adamw"]},
        "weights": {"type": ["string", "null"]},
    },
    "if": {"properties": {"optimiser": {"const": "sgd"}}, "required": ["optimiser"]},
    "then": {
        "required": ["learning_rate"],
        "propertyNames": {"enum": ["epochs", "learning_rate", "optimiser"]},
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "models": {"type": "object", "additionalProperties": {"$ref": "#/$defs/training"}},
        "seeds": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
        "depth": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]},
    },
    "$defs": {"training": TRAINING},
}


def test_valid_config_has_no_problem():
    """A configuration that satisfies its schema gives None."""
    config = {"models": {"vit": {"epochs": 3, "weights": None}}, "seeds": [1], "depth": "all"}
    assert config_problem(config, SCHEMA) is None


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"models": {"vit": {"epoch": 3}}},
            "Config key models.vit.epoch is unknown (did you mean 'epochs'?).",
        ),
        (
            {"zzz": 1},
            "Config key zzz is unknown (known here: models, seeds, depth).",
        ),
        (
            {"models": {"vit": {}}},
            "Config key models.vit.epochs is missing: it must be a whole number, at least 1.",
        ),
        (
            {"models": {"vit": {"epochs": 3, "optimiser": "sgd"}}},
            "Config key models.vit.learning_rate is missing: add it.",
        ),
        (
            {
                "models": {
                    "vit": {"epochs": 3, "optimiser": "sgd", "learning_rate": 1, "weights": None}
                }
            },
            'Config key models.vit got "weights" but must be one of "epochs", "learning_rate",'
            ' "optimiser".',
        ),
        (
            {"models": {"vit": {"epochs": "ten"}}},
            'Config key models.vit.epochs got "ten" but must be a whole number, at least 1.',
        ),
        (
            {"models": {"vit": {"epochs": True}}},
            "Config key models.vit.epochs got true but must be a whole number, at least 1.",
        ),
        (
            {"models": {"vit": {"epochs": 0}}},
            "Config key models.vit.epochs got 0 but must be a whole number, at least 1.",
        ),
        (
            {"models": {"vit": {"epochs": 1, "learning_rate": "1e-3"}}},
            'Config key models.vit.learning_rate got "1e-3" but must be a number, greater than 0'
            " (YAML reads 1e-3 as text, write 0.001).",
        ),
        (
            {"models": {"vit": {"epochs": 1, "optimiser": "adam"}}},
            'Config key models.vit.optimiser got "adam" but must be one of "sgd", "adamw"'
            " (did you mean 'adamw'?).",
        ),
        (
            {"models": {"vit": {"epochs": 1, "weights": 5}}},
            "Config key models.vit.weights got 5 but must be text or null.",
        ),
        (
            {"models": ["vit"]},
            'Config key models got ["vit"] but must be a mapping.',
        ),
        (
            {"seeds": [1, "two"]},
            'Config key seeds.1 got "two" but must be a whole number.',
        ),
        (
            {"seeds": []},
            "Config key seeds got [] but must be a list, with 1 or more items.",
        ),
        (
            {"depth": 1.5},
            'Config key depth got 1.5 but must be a whole number, at least 1 or "all".',
        ),
    ],
)
def test_problem_names_key_value_and_remedy(config, sentence):
    """Each kind of mistake gets one sentence: dotted path, what it got, what is allowed."""
    assert config_problem(config, SCHEMA) == sentence


STUDY = {
    "datasets": {"lesions": {"explain_on": "image", "patches": None}},
    "models": {
        "vit": {"architecture": "vit", "training": {"loss": "cross_entropy"}},
        "unet": {"architecture": "unet", "training": {"loss": "segmentation"}},
        "micranet": {"architecture": "micranet", "training": {"loss": "cross_entropy"}},
        "dino": {
            "architecture": "vit",
            "training": None,
            "pretrained": True,
            "weights": None,
            "normalisation": "pretraining",
        },
    },
    "baselines": {"tokencut": {"model": "dino"}, "micranet": {"model": "micranet"}},
    "explainers": {"ig": {}},
    "segmenters": {"cut": {"source": "relevance"}, "disc": {"source": "training masks"}},
    "explainseg": {
        "datasets": ["lesions"],
        "model": "vit",
        "explainer": "ig",
        "variants": ["cut"],
        "controls": ["disc"],
        "baselines": ["tokencut", "micranet"],
    },
    "segx": {
        "datasets": ["lesions"],
        "models": ["vit"],
        "explainers": ["ig"],
        "segmenter": "unet",
    },
}
UNTRAINED = {"architecture": "vit", "training": None, "pretrained": False, "weights": None}
OWN_CHANNELS = UNTRAINED | {"pretrained": True, "normalisation": "training"}


def test_defined_selection_has_no_problem():
    """A study that selects only what is defined, each in its role, gives None."""
    assert selection_problem(STUDY) is None


def test_a_study_needs_one_of_its_parts():
    """Either part may be left out by naming no data set, but not both."""
    without = {part: STUDY[part] | {"datasets": []} for part in ("explainseg", "segx")}
    for part, empty in without.items():
        assert selection_problem(STUDY | {part: empty}) is None
    assert "are both empty" in selection_problem(STUDY | without)


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("explainseg", {"datasets": ["lesion"]}, "'lesion'.*did you mean 'lesions'"),
        ("explainseg", {"model": "vat"}, "'vat', but models has only vit"),
        ("baselines", {"tokencut": {"model": "dina"}}, "'dina'.*did you mean 'dino'"),
        ("models", {"dino": UNTRAINED}, "models.dino.training is null.*set pretrained or weights"),
        ("models", {"dino": OWN_CHANNELS}, 'models.dino.normalisation got "training", but'),
        ("segx", {"datasets": ["lesion"]}, "key segx selects 'lesion'.*did you mean 'lesions'"),
        ("segx", {"models": ["vit", "unet"]}, "segx.models got 'unet', which is not a classifier"),
        ("segx", {"segmenter": "vit"}, "segx.segmenter got 'vit', which is not a unet"),
        ("segx", {"explainers": ["shape"]}, "'shape', but explainers has only ig"),
        ("explainseg", {"model": "dino"}, "models.dino.training is null.*the study's classifier"),
        ("baselines", {"micranet": {"model": "dino"}}, "models.dino.training is null, but"),
        ("explainseg", {"explainer": "zzz"}, "'zzz', but explainers has only ig"),
        ("explainseg", {"controls": ["disk"]}, "'disk'.*did you mean 'disc'"),
        ("explainseg", {"variants": ["disc"]}, "explainseg.variants got 'disc'"),
        ("explainseg", {"controls": ["cut"]}, "explainseg.controls got 'cut'"),
        (
            "datasets",
            {"lesions": {"explain_on": "patches", "patches": None}},
            'datasets.lesions.explain_on got "patches"',
        ),
    ],
)
def test_selection_problem_names_key_and_choice(section, change, expected):
    """A selection without definition, or in the wrong role, is named with what there is."""
    problem = selection_problem(STUDY | {section: STUDY[section] | change})
    assert re.search(expected, problem)


def test_errors_of_this_run_are_repeated(tmp_path):
    """Only logs of this run count, and of them only those whose last line is an error."""
    for name, last, written in (
        ("explain/a", "10:00:00 error: a.png: truncated; copy it again.", 1000),
        ("explain/old", "09:00:00 error: b.png: truncated; copy it again.", 500),
        ("train_model/a", "10:00:00 kept: epoch 3", 1000),
        ("predict", "", 1000),
    ):
        log = tmp_path / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text(f"09:59:00 no GPU found\n{last}\n")
        os.utime(log, (written, written))
    sentence = "a.png: truncated; copy it again."
    assert job_errors(tmp_path, 900) == [f"{tmp_path}/explain/a.log: error: {sentence}"]
