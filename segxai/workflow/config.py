"""What is wrong with a configuration, or went wrong in a job, in one sentence.

Only the standard library is imported here (jsonschema inside the function that needs it), so
that ``snakemake -n`` stays instant.
"""

import difflib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from segxai.workflow.plugins import about, resolve, schema
from segxai.workflow.studies import reads, selected, values

# Sections of former versions, and where their keys are now.
RENAMED = {
    "explainseg": "studies.explainseg",
    "segx": "studies.segx",
    "models": "networks",
    "segmentation": "segmenters and views",
    "baselines": "segmenters",
    "shards": "shard_size",
}
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


def repeated_key(text: str) -> str | None:
    """Name the first key that a mapping in a YAML file gives twice, in one sentence.

    YAML forbids it, and PyYAML takes the last of them without a word.
    """
    import yaml

    class Strict(yaml.SafeLoader):
        def compose_mapping_node(self, anchor):
            node, names = super().compose_mapping_node(anchor), []
            for name, _ in node.value:
                if name.value in names:
                    raise ValueError(
                        f"Config key {name.value} is given twice, again in line "
                        f"{name.start_mark.line + 1}: keep one of them."
                    )
                names.append(name.value)
            return node

    try:
        yaml.compose(text, Strict)
    except ValueError as error:
        return str(error)
    return None


def problem_of(config: dict) -> str | None:
    """Name the first thing wrong with a merged configuration, in one sentence for its author."""
    for section, now in RENAMED.items():
        if section in config:
            return f"Config key {section} was renamed: move its keys to {now} (see CHANGELOG.md)."
    try:
        problem = config_problem(config, schema(config))
    except ValueError as error:
        return str(error)
    return problem or selection_problem(resolve(config))


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

    if unnamed := _key_that_is_not_text(config):
        return f"Config key {unnamed} is not text to YAML: put it in quotes."
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
    """Name the first selection of a resolved configuration that cannot be, in one sentence.

    A selected name has a definition, networks and explainers suit a study's targets, a network
    that is not trained here has weights from elsewhere, and no two files have the same name.
    """
    for where, section, names in _selections(config):
        for name in names:
            if name not in config[section]:
                known = ", ".join(config[section]) or "nothing"
                return (
                    f"Config key {where} selects '{name}', but {section} has only {known}"
                    f"{_nearest(name, config[section])}."
                )
    checks = (_display_problem, _segmenter_problem, _network_problem, _study_problem, _name_problem)
    return next(filter(None, (check(config) for check in checks)), None)


def _selections(config: dict):
    """Yield where something is selected, the section that must define it, and the names."""
    yield "run", "studies", config["run"]
    for name, entry in config["segmenters"].items():
        for key, section in (("view", "views"), ("of", "segmenters"), ("network", "networks")):
            if entry[key] is not None:
                yield f"segmenters.{name}.{key}", section, [entry[key]]
    for name, network in config["networks"].items():
        yield f"networks.{name}.by_dataset", "datasets", network["by_dataset"]
    for name in filter(config["studies"].get, config["run"]):
        study, path = config["studies"][name], f"studies.{name}"
        for kind in ("datasets", "networks", "explainers", "segmenters"):
            yield f"{path}.{kind}", kind, study[kind]
        for key in ("segmentation", "headline"):
            yield f"{path}.{key}", "segmenters", filter(None, [study[key]])
        yield f"{path}.images", "datasets", _keys(study["images"])
        for family, scores in study["scores"].items():
            below = f"{path}.scores.{family}"
            yield f"{below}.segmenters", "segmenters", scores["segmenters"] or []
            for measure in values({"values": scores["measure"]}):
                yield f"{below}.measure", "metrics", [measure["metric"]]
                yield f"{below}.measure", "views", filter(None, [measure.get("view")])


def _keys(value: object) -> list[str]:
    """Keys of a mapping; none of anything else."""
    return list(value) if isinstance(value, dict) else []


def _display_problem(config: dict) -> str | None:
    """Name the first data set that shows a channel which it does not have."""
    for name, dataset in config["datasets"].items():
        channels = dataset["channels"]
        if max(dataset["display"]) >= len(channels):
            return (
                f"Config key datasets.{name}.display got {_shown(dataset['display'])}, but the "
                f"channels are {', '.join(channels)}: it must name 0 to {len(channels) - 1}."
            )
    return None


def _segmenter_problem(config: dict) -> str | None:
    """Name the first segmenter that is made from what it cannot be made from."""
    for name, entry in config["segmenters"].items():
        if entry["of"] is not None and config["segmenters"][entry["of"]]["view"] is None:
            return (
                f"Config key segmenters.{name}.of got '{entry['of']}', which is not cut from maps: "
                "refine a segmenter that has a view."
            )
        if entry["network"] is not None:
            wanted = "segment" if "network" in reads(config, name) else "classify"
            if _task(config, entry["network"]) != wanted:
                return (
                    f"Config key segmenters.{name}.network got '{entry['network']}', but method "
                    f"{entry['method']} needs a network that can {wanted}."
                )
    return None


def _task(config: dict, network: str) -> str:
    """What a network does: classify or segment."""
    return about("networks", config["networks"][network]["method"])["task"]


def _network_problem(config: dict) -> str | None:
    """Name the first network without a way to weights, or whose loss is of another task."""
    for name, network in config["networks"].items():
        path, training = f"Config key networks.{name}", network["training"]
        if training is None and not network["pretrained"] and network["weights"] is None:
            return (
                f"{path}.training is null, so the network is used as published: "
                "set pretrained or weights."
            )
        if training is None and network["normalisation"] != "pretraining":
            return (
                f"{path}.normalisation got {_shown(network['normalisation'])}, but a network that "
                'is used as published (training: null) needs "pretraining".'
            )
        segments = _task(config, name) == "segment"
        if training is not None and (training["loss"] == "segmentation") != segments:
            kind = "only a segmenter" if not segments else "but a segmenter"
            return f'{path}.training.loss got "{training["loss"]}", {kind} needs "segmentation".'
    return None


def _study_problem(config: dict) -> str | None:
    """Name the first thing in a selected study that its other keys do not allow."""
    for name, study in selected(config).items():
        path, targets = f"Config key studies.{name}", study["targets"]
        task = {"label": "classify", "region": "segment"}[targets]
        for network in study["networks"]:
            if _task(config, network) != task or config["networks"][network]["training"] is None:
                return (
                    f"{path}.networks got '{network}', but targets: {targets} needs networks that "
                    f"{task} and are trained here."
                )
        for explainer in study["explainers"]:
            method = config["explainers"][explainer]["method"]
            if targets not in about("explainers", method)["targets"]:
                return (
                    f"{path}.explainers got '{explainer}', but method {method} cannot explain "
                    f"targets: {targets}."
                )
        if problem := _declared_problem(config, study, path):
            return problem
    return None


def _declared_problem(config: dict, study: dict, path: str) -> str | None:
    """Name the first table or figure of a study that is made from what it does not declare."""
    for key, known, of in (
        ("tables", study["scores"], lambda spec: spec["scores"]),
        ("figures", study["scores"], lambda spec: filter(None, [spec["scores"]])),
        ("figures", study["tables"], lambda spec: [*(spec["tables"] or []), spec["table"]]),
    ):
        for name, spec in study[key].items():
            for other in filter(None, of(spec)):
                if other not in known:
                    return _unknown(f"{path}.{key}.{name}", other, known)
    for other in (study["examples"] or {"scores": []})["scores"]:
        if other not in study["scores"]:
            return _unknown(f"{path}.examples.scores", other, study["scores"])
    measured = _measured(config, study)
    for key, metric in _named_metrics(study):
        if metric not in measured:
            return _unknown(f"{path}.{key}", metric, measured)
    if study["segmentation"] is None and _reads_segmentation(config, study):
        return f"{path}.segmentation is null, but its scores need one: name a segmenter."
    if study["headline"] and study["headline"] not in study["segmenters"]:
        return f"{path}.headline got '{study['headline']}', which is not among its segmenters."
    return None


def _unknown(path: str, name: str, known) -> str:
    """Say that a key names what its study does not have."""
    names = ", ".join(known) or "nothing"
    return f"{path} names '{name}', but there is only {names}{_nearest(name, known)}."


def _named_metrics(study: dict) -> Iterator[tuple[str, str]]:
    """Each metric that a study's tables, figures and examples name, with the key that names it."""
    examples = study["examples"] or {}
    declared = [(f"examples.{key}", examples.get(key) or {}) for key in ("rank", "confidence")]
    declared += [("examples.values", value) for value in examples.get("values", [])]
    for name, spec in study["tables"].items():
        declared += [(f"tables.{name}.values", value) for value in spec["values"]]
        declared.append((f"tables.{name}.tests", spec["tests"] or {}))
    for name, spec in study["figures"].items():
        declared.append((f"figures.{name}", {"metric": spec["metric"] or []}))
        confidences = list(spec["confidences"] or {})
        declared.append((f"figures.{name}.confidences", {"metric": confidences}))
    for path, value in declared:
        for key in ("metric", "with"):
            named = value.get(key) or []
            yield from ((path, name) for name in ([named] if isinstance(named, str) else named))


def _measured(config: dict, study: dict) -> list[str]:
    """Names of the values that a study's scores hold; a metric may give several."""
    names = {}
    for scores in study["scores"].values():
        for measure in values({"values": scores["measure"]}):
            said = about("metrics", config["metrics"][measure["metric"]]["method"])
            names |= dict.fromkeys(said.get("names", [measure["metric"]]))
    return list(names)


def _reads_segmentation(config: dict, study: dict) -> bool:
    """Whether a study's scores of maps need a segmentation that they do not name themselves."""
    for scores in study["scores"].values():
        for measure in values({"values": scores["measure"]}):
            view = measure.get("view")
            read = about("views", config["views"][view]["method"])["reads"] if view else []
            needed = "segmentation" in read or measure.get("reference") == "segmentation"
            if needed and not scores["segmenters"]:
                return True
    return False


def _name_problem(config: dict) -> str | None:
    """Name the first two things whose files would have the same name."""
    for name in config["explainers"]:
        if name in config["segmenters"]:
            return f"Config keys explainers.{name} and segmenters.{name}: rename one of them."
    for key in ("tables", "figures"):
        names = [name for study in selected(config).values() for name in study[key]]
        for name in names:
            if names.count(name) > 1:
                return f"Config key {key}.{name} is in two studies that are run: rename one."
    return None


def _key_that_is_not_text(value: object, path: tuple = ()) -> str | None:
    """Dotted path of the first key that YAML did not read as text, such as 1, null or on."""
    if isinstance(value, list):
        value = dict(zip(map(str, range(len(value))), value, strict=True))
    if not isinstance(value, dict):
        return None
    for name, inner in value.items():
        if not isinstance(name, str):
            return ".".join([*path, json.dumps(name, default=str)])
        if unnamed := _key_that_is_not_text(inner, (*path, name)):
            return unnamed
    return None


def _finite(value) -> bool:
    """Whether a value is a number that arithmetic can use."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _sentence(error) -> str:
    """Put a validation error into words."""
    rule, got, schema = error.validator, error.instance, error.schema
    path = [str(part) for part in error.absolute_path]
    if schema is False:
        return f"Config key {'.'.join(path)} has no meaning beside its other keys: it must go."
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
