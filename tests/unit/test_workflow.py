"""Error sentences of a configuration, with remedies, and of jobs."""

import os

import pytest

from segxai.workflow.config import config_problem, job_errors

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
