"""Keys that YAML takes otherwise than their author meant: given twice, or read as no text."""

import json


def repeated_key(text: str) -> str | None:
    """Name the first key that a YAML file gives twice, in one sentence; None if there is none.

    YAML forbids it, and PyYAML takes the last of them without a word.
    """
    import yaml

    pending, seen = [([], yaml.compose(text, yaml.SafeLoader))], set()
    while pending:
        path, node = pending.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                name = [*path, str(key.value)]
                if key.value in keys:
                    line = key.start_mark.line + 1
                    return (
                        f"Config key {'.'.join(name)} is given twice, again in line {line}: keep "
                        "one of them."
                    )
                keys.add(key.value)
                pending.append((name, value))
        elif isinstance(node, yaml.SequenceNode):
            pending += [([*path, str(place)], item) for place, item in enumerate(node.value)]
    return None


def key_that_is_no_text(config: dict) -> str | None:
    """Dotted path of the first key that YAML did not read as text, such as 1, null or on."""
    pending = [([], config)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    return ".".join([*path, json.dumps(key, default=str)])
                pending.append(([*path, key], inner))
        elif isinstance(value, list):
            pending += [([*path, str(place)], item) for place, item in enumerate(value)]
    return None
