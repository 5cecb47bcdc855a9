"""Layout of a results folder: the run that made it, and refusal of other layouts."""

import json
from pathlib import Path

from segxai.workflow.digest import ROOT
from segxai.workflow.provenance import commit, hardware

# To be raised when files under results/ change their meaning.
LAYOUT = 2
CONFIG = "config.yaml"
RUN = "run.json"
# Folders whose files have another meaning in another layout.
DERIVED = ("data", "models", "targets", "maps", "masks", "scores", "tables")


def problem(folder: Path) -> str | None:
    """Sentence why the results in a folder cannot be continued; None if they can.

    Results of another layout are refused: their files have the same names but other contents.
    """
    used = next((folder / name for name in DERIVED if (folder / name).is_dir()), None)
    if used is None:
        return None
    mark = folder / CONFIG
    if mark.is_file() and mark.read_text(encoding="utf-8").startswith(f"layout: {LAYOUT}\n"):
        return None
    return (
        f"{used}: was made by another version of segxai, whose files have another layout; move "
        f"{folder} away (the downloads in {folder}/raw may be moved back), or choose another "
        "folder by --directory."
    )


def write(config: dict, overlays: list[Path], folder: Path) -> None:
    """Write what a run is: its resolved configuration, the mark of its layout, and ``run.json``.

    The latter holds the overlays of the command line, the version of the source and the machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        # Folders outside the checkout name people.
        "overlays": [
            file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name
            for file in overlays
        ],
        "revision": commit(),
        "machine": hardware(),
    }
    for name, written in ((CONFIG, text(config)), (RUN, json.dumps(facts, indent=2) + "\n")):
        temporary = folder / f".{name}.new"
        temporary.write_text(written, encoding="utf-8")
        temporary.replace(folder / name)


def text(config: dict) -> str:
    """Resolved configuration of a run as YAML."""
    import yaml

    return yaml.safe_dump({"layout": LAYOUT, **config}, sort_keys=False, allow_unicode=True)


def without_folders(value: object) -> object:
    """Configuration or receipt with absolute paths cut to their last name: folders name people."""
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def downloads(source: dict) -> dict[str, dict]:
    """Downloaded files of a data set, by URL: bytes and checksum, as far as known."""
    files = source.get("files", [])
    if address := source.get("url") or source.get("bucket"):
        files = [*files, source | {"url": address}]
    return {
        file["url"]: {
            "contentSize": str(file.get("bytes", "")),
            # RO-Crate 1.1 lacks a term for checksums.
            "identifier": [f"{kind}:{file[kind]}" for kind in ("sha256", "md5") if kind in file],
        }
        for file in files
    }
