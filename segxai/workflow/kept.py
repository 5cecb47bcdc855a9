"""What a plan keeps for the next one beside Snakemake's own records: the standard library only."""

import contextlib
import json
import os
from pathlib import Path

FOLDER = Path(".snakemake")


def read(name: str) -> dict:
    """What was kept under a name; nothing from a damaged file."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((FOLDER / f"segxai-{name}.json").read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return facts
    return {}


def write(name: str, facts: dict) -> None:
    """Keep facts, whole or not at all; without the right to write, not at all."""
    file = FOLDER / f"segxai-{name}.json"
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        FOLDER.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(facts), encoding="utf-8")
        temporary.replace(file)
