"""Name collisions within a run: files that overwrite each other, rows that look the same.

As in :mod:`segxai.workflow.studies`, all functions read a resolved configuration.
"""

import re
from collections.abc import Iterator
from itertools import product

from segxai.workflow import shown
from segxai.workflow.names import UNPRINTABLE, name_key
from segxai.workflow.studies import MEASURE, guidelines, score_cells, selected, tables, values

# Reserved names: files of every run, sections of its page, lines of its data summary.
TAKEN = {
    "classes": ("test", "total", "train", "validation"),
    "tables": ("claims", "cost", "data", "dataset_summary", "images", "results"),
    "datasets": ("downloads",),
}

Printed = list[tuple[str, str]]


def file_problems(config: dict) -> Iterator[str]:
    """Sentences about entries whose files would have the same name."""
    for name in config["explainers"]:
        if name in config["segmenters"]:
            yield f"Config keys explainers.{name} and segmenters.{name}: rename one of them."
    for key in ("tables", "figures"):
        names = [name for study in selected(config).values() for name in study[key]]
        names += guidelines(config) if key == "tables" else []
        for name in names:
            if names.count(name) > 1:
                yield f"Config key {key}.{name} is in two studies that are run: rename one."
    made = [*tables(config), *guidelines(config)]
    declared = {"tables": made, "datasets": config["datasets"]}
    for key, names in declared.items():
        tests = [f"{name}_tests" for name in names] if key == "tables" else []
        for name in names:
            if name in (*TAKEN[key], *tests):
                yield f"Config key {key}.{name}: other files of a run have this name: rename it."
    yield from _segmentation_problems(config)


def _segmentation_problems(config: dict) -> Iterator[str]:
    """Sentences about studies that need different contents of one score file."""
    declared: dict[str, tuple[str, tuple]] = {}
    for name, study in selected(config).items():
        for family, scores in study["scores"].items():
            # The study that declares a score file decides what it reads.
            own = (study["segmentation"], scores["needs"])
            for cell in score_cells(config, name, family) if scores["of"] == "maps" else []:
                other, same = declared.setdefault(cell["file"], (name, own))
                if same != own:
                    yield (
                        f"Config keys studies.{other}.scores.{family} and studies.{name}.scores."
                        f"{family} need another segmentation for the same file: rename one."
                    )


def title_problems(config: dict) -> Iterator[str]:
    """Sentences about entries whose titles look the same."""
    for group in _printed_together(config):
        known: dict[str, str] = {}
        for path, title in group:
            key = name_key(title)
            if not key or re.search(UNPRINTABLE, title):
                problem = "holds codes that are not text" if key else "is empty"
                yield f"Config key {path} {problem}: give a title that can be read."
            elif key in known:
                both = f"s {known[key]} and {path}" if known[key] != path else f" {path}"
                yield f"Config key{both} would print '{title}' twice: change one of the two."
            known[key] = path


def _printed_together(config: dict) -> Iterator[Printed]:
    """Titles that must differ, case aside, each with the key that gives it."""
    used = shown.used(config)
    for section, names in used.items():
        yield [(f"{section}.{name}.title", config[section][name]["title"]) for name in names]
    for name in used["datasets"]:
        path, classes = f"datasets.{name}.classes", config["datasets"][name]["classes"]
        yield [(path, text) for text in [*TAKEN["classes"], *classes]]
    made = tables(config)
    for name, study in selected(config).items():
        own = {table: spec for table, spec in made.items() if spec["study"] == name}
        headings = {t: "number" if spec["number"] else "title" for t, spec in own.items()}
        yield [(f"studies.{name}.tables.{t}.{key}", own[t][key]) for t, key in headings.items()]
        for table, spec in own.items():
            path = f"studies.{name}.tables.{table}"
            yield from _of_table(config, study, path, spec, used)
        path, examples = f"studies.{name}.examples.values", study["examples"] or {"values": []}
        shown_values = values(examples)
        yield [(path, " ".join(value.get(k, "") for k in MEASURE)) for value in shown_values]
        for key in ("title", "short"):
            yield [(path, value[key]) for value in shown_values if key in value]
        for figure, spec in study["figures"].items():
            titles = (spec["confidences"] or {}).items()
            path = f"studies.{name}.figures.{figure}.confidences"
            yield [(f"{path}.{metric}", title) for metric, title in titles]


def _of_table(
    config: dict, study: dict, path: str, spec: dict, used: dict[str, list[str]]
) -> Iterator[Printed]:
    """Columns and rows of a table: whole headings, since titles are joined in them."""
    numbers = shown.declared_values(spec)
    yield [(f"{path}.values", " ".join(filter(None, cell))) for cell, _ in numbers]
    columns = [title for _, title in numbers if title]
    yield [(f"{path}.values", title) for title in columns]
    titles = shown.titles(config, spec["datasets"])
    yield [
        (f"datasets.{name}.title", f"{titles[name]}, {column}")
        for name, column in product(titles, columns)
    ]
    names = shown.names(config, study)
    own = {key: [name for name in names[key] if name in used[f"{key}s"]] for key in names}
    own |= {"dataset": spec["datasets"], "segmenter": spec["segmenters"]}
    rows = product(*(own[key] for key in spec["rows"]))
    titled = (dict(zip(spec["rows"], row, strict=True)) for row in rows)
    yield [
        (
            ", ".join(f"{key}s.{name}.title" for key, name in keys.items()),
            shown.row_title(keys, spec["rows"], names),
        )
        for keys in titled
    ]
