"""Provenance of a run: the version of the source, and the machine."""

import os
import platform
import subprocess
from pathlib import Path

from segxai.workflow.digest import ROOT


def commit(root: Path = ROOT) -> str | None:
    """Version of the source by ``git describe``, or None without a commit."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        description = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return description.stdout.strip()


def hardware() -> str:
    """Processor, cores and memory of this machine, as far as known."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(text.partition(":")[2].strip() for text in lines if "model name" in text)
        pages, size = (os.sysconf(key) for key in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"))
        memory = f", {pages * size / 2**30:.0f} GiB of memory"
    except (OSError, StopIteration, ValueError):
        memory = ""
    return f"{name}, {os.cpu_count()} cores{memory}"
