"""Facts that one plan keeps for the next, beside Snakemake's records (standard library only)."""

import contextlib
import json
import os
from pathlib import Path

FOLDER = Path(".snakemake")


def read(name: str) -> dict:
    """Facts kept under a name; empty if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((FOLDER / f"segxai-{name}.json").read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return facts
    return {}


def write(name: str, facts: dict) -> None:
    """Keep facts in a complete file; without write permission, keep nothing."""
    file = FOLDER / f"segxai-{name}.json"
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        FOLDER.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(facts), encoding="utf-8")
        temporary.replace(file)
