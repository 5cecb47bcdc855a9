"""Methods by file: schema and defaults come from the ABOUT of each file."""

from itertools import count
from pathlib import Path

import pytest

from segxai.workflow.config import config_problem
from segxai.workflow.plugins import KINDS, about, load, methods, resolve, schema

ABOUT = {
    "explainers": {
        "title": "Lime",
        "cites": "",
        "settings": {
            "samples": {"type": "integer", "minimum": 1, "default": 50, "description": "Samples"},
            "kernel": {"type": "number", "description": "Width of the kernel"},
        },
        "needs": ["forward"],
        "suits": ["convolutional"],
        "targets": ["label"],
        "signed": True,
        "complete": False,
    }
}
FRESH = count()


@pytest.fixture
def checkout(tmp_path):
    """Return a function that writes a checkout with one explainer, lime, of a given text."""

    def write(text: str = f"ABOUT = {ABOUT['explainers']}\n") -> Path:
        root = tmp_path / str(next(FRESH))
        for kind in KINDS:
            (root / "segxai" / kind).mkdir(parents=True)
        (root / "segxai/explainers/lime.py").write_text('"""Lime."""\n\n' + text)
        (root / "segxai/explainers/helper.py").write_text("def help(x):\n    return x\n")
        return root

    return write


def test_files_with_an_about_are_methods(checkout):
    """A file with an ABOUT is a method, others beside it are not."""
    root = checkout()
    assert methods("explainers", root) == ["lime"]
    assert methods("views", root) == []
    assert about("explainers", "lime", root) == ABOUT["explainers"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ABOUT = {'title': name()}\n", "ABOUT must be a literal"),
        ("ABOUT = {'title': 'Lime', 'cites': ''}\n", "ABOUT lacks 'settings'"),
        (f"ABOUT = {dict(list(ABOUT['explainers'].items())[:5])}\n", "ABOUT lacks 'targets'"),
    ],
)
def test_what_cannot_be_read_is_named(checkout, text, problem):
    """An ABOUT that is not a literal or lacks a key is named with its file."""
    with pytest.raises(ValueError, match=rf"lime\.py: {problem}"):
        about("explainers", "lime", checkout(text))


def test_a_method_without_file_is_named(checkout):
    """A method without a file is named with the existing ones."""
    with pytest.raises(ValueError, match=r"lame\.py: has no ABOUT; choose one of lime"):
        about("explainers", "lame", checkout())


def explainers(entry: dict, root: Path, name: str = "lime") -> str | None:
    """Say what is wrong with one explainer."""
    config = {"explainers": {name: entry}}
    part = schema(config, root)
    return config_problem(config, {**part, "required": []})


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"kernel": 0.5}, None),
        ({"kernel": 0.5, "method": "lime", "samples": 3, "precision": "bfloat16"}, None),
        ({}, "Config key explainers.lime.kernel is missing: it must be a number."),
        (
            {"kernel": 1, "sample": 3},
            "Config key explainers.lime.sample is unknown (did you mean 'samples'?).",
        ),
        (
            {"kernel": 1, "samples": 0},
            "Config key explainers.lime.samples got 0 but must be a whole number, at least 1.",
        ),
        (
            {"kernel": 1, "method": "line"},
            'Config key explainers.lime.method got "line" but must be one of "lime"'
            " (did you mean 'lime'?).",
        ),
        (None, "Config key explainers.lime got null but must be a mapping."),
    ],
)
def test_entries_are_checked_by_the_about_of_their_method(checkout, entry, sentence):
    """Settings are those of the file, and mistakes in them are named with what is allowed."""
    assert explainers(entry, checkout()) == sentence


def test_an_entry_with_another_name_needs_a_method(checkout):
    """Without a method, an entry is of the file of its name, with _ for -."""
    root = checkout()
    assert explainers({"kernel": 1}, root, "lime-small") == (
        'Config key explainers.lime-small.method is missing: it must be one of "lime".'
    )
    assert explainers({"kernel": 1, "method": "lime"}, root, "lime-small") is None


def test_resolving_fills_defaults(checkout):
    """A resolved entry has its method and every default, and keeps what is given."""
    given = {"explainers": {"lime": {"kernel": 0.5}}, "segmenters": {}, "seeds": [1]}
    resolved = resolve(given, checkout())
    assert resolved["explainers"]["lime"] == {
        "kernel": 0.5,
        "title": "lime",
        "method": "lime",
        "precision": "float32",
        "windows": None,
        "samples": 50,
    }
    assert given["explainers"]["lime"] == {"kernel": 0.5}
    assert resolved["seeds"] == [1]


def test_a_method_is_loaded_with_its_settings():
    """What a job calls is the module, with those entries of its definition that it takes."""
    definition = {"method": "ncut", "title": "Cut", "grid": 9, "view": "smoothed"}
    module, settings = load("segmenters", definition)
    assert module.__name__ == "segxai.segmenters.ncut"
    assert settings == {"grid": 9}
