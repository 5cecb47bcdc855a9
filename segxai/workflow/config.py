"""Sentences about errors of a configuration or of a job.

Only the standard library is imported here (jsonschema inside the function that needs it), so
that ``snakemake -n`` stays instant.
"""

import difflib
import json
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from segxai.workflow.collisions import file_problems, title_problems
from segxai.workflow.feasible import problems
from segxai.workflow.plugins import about, network_task, resolve, schema
from segxai.workflow.studies import drawn_tables, measures, reads, selected

# fmt: off
# Sections of former versions, and the present places of their keys.
RENAMED = {
    "explainseg": "studies.explainseg", "segx": "studies.segx", "models": "networks",
    "segmentation": "segmenters and views", "baselines": "segmenters", "shards": "shard_size",
}
TYPES = {
    "array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null",
    "number": "a number", "object": "a mapping", "string": "text",
}
# Most names that a sentence lists.
MANY = 20
BOUNDS = {
    "minimum": "at least {}", "maximum": "at most {}",
    "exclusiveMinimum": "greater than {}", "exclusiveMaximum": "less than {}",
    "minItems": "with {} or more items", "maxItems": "with {} or fewer items",
    "uniqueItems": "without repeated items", "minProperties": "with {} or more keys",
    "minLength": "with {} or more characters", "pattern": "matching {}",
}
# fmt: on


def repeated_key(text: str) -> str | None:
    """Name the first key that a mapping in a YAML file gives twice, in one sentence.

    YAML forbids it, but PyYAML silently takes the last one.
    """
    import yaml

    nodes = [yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))]
    for node in nodes:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        names = []
        for name, value in node.value if isinstance(node, yaml.MappingNode) else []:
            if name.value in names:
                line = name.start_mark.line + 1
                return (
                    f"Config key {name.value} is given twice, again in line {line}: keep one of "
                    "them."
                )
            names.append(name.value)
            inner.append(value)
        nodes += [value for value in inner if value not in nodes]
    return None


def problem_of(config: dict) -> str | None:
    """First error of a merged configuration, as one sentence for its author."""
    for section, now in RENAMED.items():
        if section in config:
            return f"Config key {section} was renamed: move its keys to {now} (see CHANGELOG.md)."
    try:
        return config_problem(config, schema(config)) or selection_problem(resolve(config))
    except ValueError as error:
        return str(error)


def config_problem(config: dict, schema: dict) -> str | None:
    """First violation of the schema by a configuration, as one sentence for its author.

    Parameters
    ----------
    config : dict
        The merged configuration.
    schema : dict
        JSON Schema (draft 2020-12) that it must satisfy.

    Returns
    -------
    str or None
        The key's dotted path, its value and the allowed ones; for an unknown key, the nearest known
        one. None if the configuration is valid.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    if unnamed := _key_that_is_not_text(config):
        return f"Config key {unnamed} is not text to YAML: put it in quotes."
    # JSON schema has neither NaN nor infinity, and accepts 2.0 as a whole number.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, value: type(value) is int, "number": lambda _, value: _finite(value)}
    )
    validator = extend(Draft202012Validator, type_checker=types)
    errors = list(validator(schema).iter_errors(config))
    if not errors:
        return None
    # A misspelt key is also a missing one; the misspelling is the more useful message.
    first = min(errors, key=lambda error: error.validator != "additionalProperties")
    return _sentence(best_match([first]))


def selection_problem(config: dict) -> str | None:
    """First impossible selection of a resolved configuration, as one sentence.

    Selected names must have a definition, networks and explainers must suit a study's targets,
    networks without training here need weights, and files, rows and columns must have different
    names.
    """
    checks = (
        _undefined,
        _segmenter_problems,
        _network_problems,
        _explainer_problems,
        _study_problems,
        _declared_problems,
        file_problems,
        title_problems,
        problems,
    )
    return next(chain.from_iterable(check(config) for check in checks), None)


def _undefined(config: dict) -> Iterator[str]:
    """Sentences about selected names without a definition, and missing channels."""
    for where, section, names in _selections(config):
        for name in names:
            if name not in config[section]:
                yield (
                    f"Config key {where} selects '{name}', but {section} has only "
                    f"{_known(name, config[section])}."
                )
    for name, dataset in config["datasets"].items():
        channels = dataset["channels"]
        if max(dataset["display"]) >= len(channels):
            yield (
                f"Config key datasets.{name}.display got {_shown(dataset['display'])}, but the "
                f"channels are {', '.join(channels)}: it must name 0 to {len(channels) - 1}."
            )


def _selections(config: dict) -> Iterator[tuple[str, str, list[str]]]:
    """Places of selections, the section that must define them, and the names."""
    yield "run", "studies", config["run"]
    for name, entry in config["segmenters"].items():
        for key, section in (("view", "views"), ("of", "segmenters"), ("network", "networks")):
            yield f"segmenters.{name}.{key}", section, _given(entry[key])
    for name, entry in config["views"].items():
        yield f"views.{name}.network", "networks", _given(entry.get("network"))
    for name, network in config["networks"].items():
        yield f"networks.{name}.by_dataset", "datasets", network["by_dataset"]
    for name in filter(config["studies"].get, config["run"]):
        study, path = config["studies"][name], f"studies.{name}"
        for kind in ("datasets", "networks", "explainers", "segmenters"):
            yield f"{path}.{kind}", kind, study[kind]
        for key in ("segmentation", "headline"):
            yield f"{path}.{key}", "segmenters", _given(study[key])
        images = study["images"]
        yield f"{path}.images", "datasets", images if isinstance(images, dict) else []
        for family, scores in study["scores"].items():
            below = f"{path}.scores.{family}"
            yield f"{below}.segmenters", "segmenters", scores["segmenters"] or []
            for measure in measures(scores):
                yield f"{below}.measure", "metrics", [measure["metric"]]
                yield f"{below}.measure", "views", _given(measure.get("view"))


def _given(value: str | None) -> list[str]:
    """A name, if given."""
    return [value] if value else []


def _segmenter_problems(config: dict) -> Iterator[str]:
    """Sentences about segmenters and views with unsuitable inputs, and unlabelled upper bounds."""
    for name, entry in config["segmenters"].items():
        if entry["of"] is not None and config["segmenters"][entry["of"]]["view"] is None:
            yield (
                f"Config key segmenters.{name}.of got '{entry['of']}', which is not cut from maps: "
                "refine a segmenter that has a view."
            )
        bound = {"view", "truth"} <= {*reads(config, name)}
        if bound != (entry["role"] == "bound"):
            fact = "sees the truth: set role: bound" if bound else "does not see the truth"
            yield (
                f'Config key segmenters.{name}.role got "{entry["role"]}", but method '
                f"{entry['method']} {fact}."
            )
    for kind in ("segmenters", "views"):
        for name, entry in config[kind].items():
            read = about(kind, entry["method"])["reads"]
            wanted = "segment" if "network" in read else "classify"
            network = config["networks"].get(entry.get("network"))
            if network is not None and network_task(network) != wanted:
                yield (
                    f"Config key {kind}.{name}.network got '{entry['network']}', but method "
                    f"{entry['method']} needs a network that can {wanted}."
                )


def _network_problems(config: dict) -> Iterator[str]:
    """Sentences about networks without a source of weights, or with the loss of another task."""
    for name, network in config["networks"].items():
        path, training = f"Config key networks.{name}", network["training"]
        segments = network_task(network) == "segment"
        if training is not None:
            if (training["loss"] == "segmentation") != segments:
                kind = "but a segmenter" if segments else "only a segmenter"
                yield f'{path}.training.loss got "{training["loss"]}", {kind} needs "segmentation".'
        elif not network["pretrained"] and network["weights"] is None:
            yield (
                f"{path}.training is null, so the network is used as published: "
                "set pretrained or weights."
            )
        elif network["normalisation"] != "pretraining":
            yield (
                f"{path}.normalisation got {_shown(network['normalisation'])}, but a network that "
                'is used as published (training: null) needs "pretraining".'
            )


def _explainer_problems(config: dict) -> Iterator[str]:
    """Sentences about windows of methods that look at no network."""
    for name, entry in config["explainers"].items():
        if entry["windows"] is not None and not about("explainers", entry["method"])["needs"]:
            yield (
                f"Config key explainers.{name}.windows is set, but method {entry['method']} does "
                "not look at a network, to which windows could be shown: set it to null."
            )


def _study_problems(config: dict) -> Iterator[str]:
    """Sentences about networks, explainers and views that a study's targets or scores forbid."""
    for name, study in selected(config).items():
        path, targets = f"Config key studies.{name}", study["targets"]
        task = {"label": "classify", "region": "segment"}[targets]
        for network in study["networks"]:
            definition = config["networks"][network]
            if network_task(definition) != task or definition["training"] is None:
                yield (
                    f"{path}.networks got '{network}', but targets: {targets} needs networks that "
                    f"{task} and are trained here."
                )
        for explainer in study["explainers"]:
            method = config["explainers"][explainer]["method"]
            if targets not in about("explainers", method)["targets"]:
                yield (
                    f"{path}.explainers got '{explainer}', but method {method} cannot explain "
                    f"targets: {targets}."
                )
            if targets == "region" and config["explainers"][explainer]["windows"] is not None:
                yield (
                    f"{path}.explainers got '{explainer}', which explains windows, but a region "
                    "(targets: region) is of the whole image: name one with windows: null."
                )
        for family, scores in study["scores"].items():
            for measure in measures(scores):
                read = _read_by_view(config, measure)
                if "keys" in read:
                    yield (
                        f"{path}.scores.{family}.measure got view '{measure['view']}', which reads "
                        "keys that scores are made without: name another view."
                    )
                needed = "segmentation" in read or measure.get("reference") == "segmentation"
                if needed and not (scores["segmenters"] or study["segmentation"]):
                    yield f"{path}.segmentation is null, but its scores need one: name a segmenter."


def _read_by_view(config: dict, measure: dict) -> list[str]:
    """Inputs of the view of a score besides the attribution."""
    view = measure.get("view")
    return about("views", config["views"][view]["method"])["reads"] if view else []


def _declared_problems(config: dict) -> Iterator[str]:
    """Sentences about tables, figures and examples with names that their study does not declare."""
    for name, study in selected(config).items():
        path, measured = f"Config key studies.{name}", _measured(config, study)
        known = {"scores": study["scores"], "tables": study["tables"], "metrics": measured}
        known["explainers"] = study["explainers"]
        for key, section, names in _declared(study):
            for other in names:
                if other not in known[section]:
                    there = _known(other, known[section])
                    yield f"{path}.{key} names '{other}', but there is only {there}."
        if study["headline"] and study["headline"] not in study["segmenters"]:
            yield f"{path}.headline got '{study['headline']}', which is not among its segmenters."


def _declared(study: dict) -> Iterator[tuple[str, str, list[str]]]:
    """Places where a study names its own scores, tables or metrics; the kind; and the names."""
    examples, measured = study["examples"] or {}, []
    for name, spec in study["tables"].items():
        yield f"tables.{name}", "scores", spec["scores"]
        measured += [(f"tables.{name}.values", value) for value in spec["values"]]
        measured.append((f"tables.{name}.tests", spec["tests"] or {}))
    for name, spec in study["guidelines"].items():
        yield f"guidelines.{name}", "scores", spec["scores"]
        yield f"guidelines.{name}", "explainers", [*spec["controls"], spec["usual"]]
        measured += [(f"guidelines.{name}.goals", goal) for goal in spec["goals"].values()]
    for name, spec in study["figures"].items():
        yield f"figures.{name}", "scores", _given(spec["scores"])
        yield f"figures.{name}", "tables", drawn_tables(spec)
        measured.append((f"figures.{name}", {"metric": spec["metric"]}))
        measured.append(
            (f"figures.{name}.confidences", {"metric": list(spec["confidences"] or [])})
        )
    yield "examples.scores", "scores", examples.get("scores", [])
    measured += [(f"examples.{key}", examples.get(key) or {}) for key in ("rank", "confidence")]
    measured += [("examples.values", value) for value in examples.get("values", [])]
    for path, value in measured:
        for named in (value.get("metric"), value.get("with")):
            yield path, "metrics", named if isinstance(named, list) else _given(named)


def _measured(config: dict, study: dict) -> list[str]:
    """Names of the values that a study's scores hold; a metric may give several."""
    names = {}
    for measure in chain(*map(measures, study["scores"].values())):
        facts = about("metrics", config["metrics"][measure["metric"]]["method"])
        names |= dict.fromkeys(facts.get("names", [measure["metric"]]))
    return list(names)


def _key_that_is_not_text(value: object, path: tuple = ()) -> str | None:
    """Dotted path of the first key that YAML did not read as text, such as 1, null or on."""
    if isinstance(value, list):
        value = {str(place): inner for place, inner in enumerate(value)}
    for name, inner in value.items() if isinstance(value, dict) else ():
        if not isinstance(name, str):
            return ".".join([*path, json.dumps(name, default=str)])
        if unnamed := _key_that_is_not_text(inner, (*path, name)):
            return unnamed
    return None


def _finite(value) -> bool:
    """Whether a value is a number that arithmetic can use."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _sentence(error) -> str:
    """Sentence about a validation error."""
    rule, got, schema = error.validator, error.instance, error.schema
    path = [str(part) for part in error.absolute_path]
    if schema is False:
        return f"Config key {'.'.join(path)} has no meaning beside its other keys: remove it."
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
        # The schema describes keys of single methods elsewhere.
        remedy = f"it must be {_allowed(known[missing])}" if missing in known else "add it"
        return f"Config key {'.'.join([*path, missing])} is missing: {remedy}."
    hint = ""
    if rule == "enum" and isinstance(got, str):
        hint = _nearest(got, [value for value in schema["enum"] if isinstance(value, str)])
    elif rule == "type" and isinstance(got, str) and "number" in schema["type"]:
        hint = _number_hint(got)
    return f"Config key {'.'.join(path)} got {_shown(got)} but must be {_allowed(schema)}{hint}."


def _allowed(schema: dict) -> str:
    """Text of the values that a schema allows."""
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
    """Value in YAML notation, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _known(word: str, known) -> str:
    """Existing names, of many the most like a misspelt one, with the nearest to it."""
    names, others = list(known), ""
    if len(names) > MANY:
        likest = difflib.get_close_matches(word, names, n=MANY, cutoff=0)
        names, others = likest, f" and {len(names) - MANY} others"
    return (", ".join(names) or "nothing") + others + _nearest(word, known)


def _nearest(word: str, known) -> str:
    """Offer the known word nearest to a misspelt one, if any is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _number_hint(text: str) -> str:
    """Explain YAML's trap: ``1e-3`` lacks a decimal point and is therefore text."""
    if re.fullmatch(r"[+-]?\d+e[+-]?\d+", text, flags=re.IGNORECASE):
        return f" (YAML reads {text} as text, write {float(text)})"
    return ""


def job_errors(logs: Path, since: float) -> list[str]:
    """Error sentences of failed jobs: the last lines of their logs.

    Parameters
    ----------
    logs
        Folder of all log files.
    since
        Seconds since 1970; earlier logs are ignored.
    """
    recent = (file for file in sorted(logs.rglob("*.log")) if file.stat().st_mtime >= since)
    last = ((file, file.read_text(encoding="utf-8").rstrip().split("\n")[-1]) for file in recent)
    return [f"{file}: {line.split(' ', 1)[1]}" for file, line in last if " error: " in line]
