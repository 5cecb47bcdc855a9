"""What is wrong with a configuration, or went wrong in a job, in one sentence.

Only the standard library is imported here (jsonschema inside the function that needs it), so
that ``snakemake -n`` stays instant.
"""

import difflib
import json
import re
import sys
from pathlib import Path

from segxai.workflow.yaml_keys import key_that_is_no_text

TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "greater than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "with {} or more items",
    "maxItems": "with {} or fewer items",
    "uniqueItems": "without repeated items",
    "minProperties": "with {} or more keys",
    "minLength": "with {} or more characters",
    "pattern": "matching {}",
}


def config_problem(config: dict, schema: dict) -> str | None:
    """Name the first thing wrong with a configuration, in one sentence for its author.

    Parameters
    ----------
    config : dict
        The merged configuration.
    schema : dict
        JSON Schema (draft 2020-12) that it must satisfy.

    Returns
    -------
    str or None
        The key's dotted path, what it got and what is allowed; for an unknown key, the nearest
        known one. None if the configuration is valid.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    if unnamed := key_that_is_no_text(config):
        return f"Config key {unnamed} is no text to YAML: put it between quotes."
    # JSON knows neither NaN nor infinity, and takes 2.0 for a whole number.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, value: type(value) is int, "number": lambda _, value: _finite(value)}
    )
    validator = extend(Draft202012Validator, type_checker=types)
    errors = list(validator(schema).iter_errors(config))
    if not errors:
        return None
    # A misspelt key is also a missing one; the misspelling is what its author wants to read.
    first = min(errors, key=lambda error: error.validator != "additionalProperties")
    return _sentence(best_match([first]))


def selection_problem(config: dict) -> str | None:
    """Name the first selection of a valid configuration that cannot be, in one sentence.

    A selected name has a definition, a variant sees an explanation and a control none, a network
    that is not trained here has weights from elsewhere, and no two methods write the same masks.
    """
    if not (config["explainseg"]["datasets"] or config["segx"]["datasets"]):
        return "Config keys explainseg.datasets and segx.datasets are both empty: name a data set."
    for part, chosen in _selections(config).items():
        for section, names in chosen.items():
            for name in names:
                if name not in config[section]:
                    known = ", ".join(config[section])
                    return (
                        f"Config key {part} selects '{name}', but {section} has only {known}"
                        f"{_nearest(name, config[section])}."
                    )
    checks = (_study_problem, _segx_problem, _network_problem, _mask_problem)
    return next(filter(None, (check(config) for check in checks)), None)


def _selections(config: dict) -> dict[str, dict[str, list[str]]]:
    """Names that each part of the study selects from each section of definitions."""
    study, aligned = config["explainseg"], config["segx"]
    baselines = (config["baselines"][name]["model"] for name in study["baselines"])
    return {
        "explainseg": {
            "datasets": study["datasets"],
            "models": [study["model"], *baselines],
            "explainers": [study["explainer"]],
            "segmenters": [*study["variants"], *study["controls"]],
        },
        "segx": {
            "datasets": aligned["datasets"],
            "models": [*aligned["models"], aligned["segmenter"]],
            "explainers": aligned["explainers"],
        },
    }


def _study_problem(config: dict) -> str | None:
    """Name the first segmenter in a role that it cannot have, or patches that are missing."""
    study = config["explainseg"]
    for role, names in (("variants", study["variants"]), ("controls", study["controls"])):
        for name in names:
            source = config["segmenters"][name]["source"]
            if (source in ("relevance", "fusion")) != (role == "variants"):
                return (
                    f"Config key explainseg.{role} got '{name}', whose source is {source}: "
                    "variants are cut from relevance or fusion, controls from anything else."
                )
    for name in study["datasets"]:
        dataset = config["datasets"][name]
        if dataset["explain_on"] == "patches" and dataset["patches"] is None:
            return f'Config key datasets.{name}.explain_on got "patches" but patches is null.'
    return None


def _segx_problem(config: dict) -> str | None:
    """Name the first network of SegX that is not of the kind that its place asks for."""
    aligned = config["segx"]
    for key, names, wanted in (
        ("models", aligned["models"], False),
        ("segmenter", [aligned["segmenter"]], True),
    ):
        for name in names:
            model = config["models"][name]
            segments = (model["training"] or {}).get("loss") == "segmentation"
            if (model["architecture"] == "unet") != wanted or segments != wanted:
                kind = "a unet with loss segmentation" if wanted else "a classifier with its loss"
                return f"Config key segx.{key} got '{name}', which is not {kind}."
    return None


def _network_problem(config: dict) -> str | None:
    """Name the first network without a way to weights, or trained otherwise on no data set."""
    for name, model in config["models"].items():
        for other in model.get("by_dataset", {}):
            if other not in config["datasets"]:
                hint = _nearest(other, config["datasets"])
                return f"Config key models.{name}.by_dataset.{other} names no data set{hint}."
        if model["training"] is not None:
            continue
        if not model["pretrained"] and model["weights"] is None:
            return (
                f"Config key models.{name}.training is null, so the network is used as published: "
                "set pretrained or weights."
            )
        if model["normalisation"] != "pretraining":
            return (
                f"Config key models.{name}.normalisation got {_shown(model['normalisation'])}, but "
                'a network that is used as published (training: null) needs "pretraining".'
            )
        if name in (config["explainseg"]["model"], config["baselines"]["micranet"]["model"]):
            return (
                f"Config key models.{name}.training is null, but it is the study's classifier: "
                "give it one."
            )
    return None


def _mask_problem(config: dict) -> str | None:
    """Name the first maker of masks with the name of another: both would write the same files."""
    cut = config["segmenters"]
    makers = [*cut, *(f"{name}-crf" for name in cut), *config["baselines"]]
    makers.append(config["segx"]["segmenter"])
    for name in makers:
        if makers.count(name) > 1:
            return (
                f"Config keys segmenters, baselines and segx.segmenter give two methods the name "
                f"'{name}' (refined masks have -crf added): rename one of them."
            )
    return None


def _finite(value) -> bool:
    """Whether a value is a number that arithmetic can use."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _sentence(error) -> str:
    """Put a validation error into words."""
    rule, got, schema = error.validator, error.instance, error.schema
    path = [str(part) for part in error.absolute_path]
    known = schema.get("properties", {})
    if rule == "additionalProperties":
        patterns = schema.get("patternProperties", {})
        unknown = next(
            str(key)
            for key in got
            if key not in known and not any(re.search(pattern, str(key)) for pattern in patterns)
        )
        hint = _nearest(unknown, known) or f" (known here: {', '.join(known) or 'no keys'})"
        return f"Config key {'.'.join([*path, unknown])} is unknown{hint}."
    if rule == "required":
        missing = next(key for key in schema["required"] if key not in got)
        # Keys that only some methods need are described elsewhere in the schema.
        remedy = f"it must be {_allowed(known[missing])}" if missing in known else "add it"
        return f"Config key {'.'.join([*path, missing])} is missing: {remedy}."
    hint = ""
    if rule == "enum" and isinstance(got, str):
        hint = _nearest(got, [value for value in schema["enum"] if isinstance(value, str)])
    elif rule == "type" and isinstance(got, str) and "number" in schema["type"]:
        hint = _number_hint(got)
    return f"Config key {'.'.join(path)} got {_shown(got)} but must be {_allowed(schema)}{hint}."


def _allowed(schema: dict) -> str:
    """Say what a schema allows."""
    if "const" in schema:
        return _shown(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(_shown, schema['enum']))}"
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return " or ".join(map(_allowed, schema[keyword]))
    types = schema.get("type", [])
    kinds = " or ".join(TYPES[kind] for kind in ([types] if isinstance(types, str) else types))
    bounds = [text.format(schema[keyword]) for keyword, text in BOUNDS.items() if keyword in schema]
    return ", ".join([kinds or schema.get("description", "another value"), *bounds])


def _shown(value) -> str:
    """Write a value as YAML would have it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _nearest(word: str, known) -> str:
    """Offer the known word nearest to a misspelt one, if any is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _number_hint(text: str) -> str:
    """Explain YAML's trap: ``1e-3`` is text to it, for want of a decimal point."""
    if re.fullmatch(r"[+-]?\d+e[+-]?\d+", text, flags=re.IGNORECASE):
        return f" (YAML reads {text} as text, write {float(text)})"
    return ""


def job_errors(logs: Path, since: float) -> list[str]:
    """Sentences in which jobs said why they failed: the last lines of their logs.

    Parameters
    ----------
    logs
        Folder of all log files.
    since
        Time of day, in seconds since 1970, before which logs are of no interest.
    """
    recent = (file for file in sorted(logs.rglob("*.log")) if file.stat().st_mtime >= since)
    last = ((file, file.read_text(encoding="utf-8").rstrip().split("\n")[-1]) for file in recent)
    return [f"{file}: {line.split(' ', 1)[1]}" for file, line in last if " error: " in line]
