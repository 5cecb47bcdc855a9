"""Peak memory of every script of the demo with few and with many images.

    .venv/bin/python benchmarks/memory.py [images]

The demo of both studies runs with the given number of phantoms of 192 px (default 100) and with
four times as many, and the largest anonymous memory of each script, worker processes included, is
sampled 20 times a second. Anonymous memory is what a job allocates; pages of memory-mapped files
are left out, because the system takes them back when it needs them. The last column is the growth
per added image as a share of the image's bytes: 1 for a script that holds all images in memory, 0
for one that holds a fixed number of them. Linux only.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
SIDE = 192
SCRIPT = re.compile(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py")


def overlay(images: int) -> dict:
    """Configuration of the demo with a number of phantoms in each data set, all explained."""
    quarter = images // 4
    dataset = {"source": {"images": images, "size": SIDE}}
    networks = ("vit-tiny-phantom", "resnet-tiny-phantom", "unet", "micranet")
    return {
        "datasets": {
            "phantom-lesions": dataset | {"split": {"validation": quarter}},
            "phantom-findings": dataset | {"split": {"validation": quarter, "test": quarter}},
        },
        "studies": {"explainseg": {"images": None}, "segx": {"split": None}},
        "networks": {name: {"training": {"epochs": 2}} for name in networks},
        "explainers": {"integrated-gradients": {"steps": 4, "noise_samples": 2}},
        "segmenters": {name: {"input_size": 64} for name in ("tokencut", "maskcut")},
        "tuning": {"images": 4},
        "statistics": {"resamples": 200},
    }


def anonymous_bytes(process: psutil.Process) -> int:
    """Anonymous memory of a process and its children; 0 when it is gone."""
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            status = Path(f"/proc/{member.pid}/status").read_text(encoding="utf-8")
            total += 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])
    # A process that has ended lacks its file, line or entry.
    except (OSError, TypeError, psutil.Error):
        pass
    return total


def peaks(images: int) -> pd.Series:
    """Peak anonymous memory of each script in MB."""
    largest = defaultdict(int)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "memory.yaml")
        file.write_text(yaml.safe_dump(overlay(images)), encoding="utf-8")
        study = psutil.Popen(
            [
                *(sys.executable, "-m", "snakemake", "--cores", "1", "--directory", folder),
                *("--configfile", "config/overlays/demo.yaml", str(file)),
            ],
            cwd=ROOT,
        )
        while study.poll() is None:
            for process in study.children(recursive=True):
                try:
                    script = SCRIPT.search(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
                if script:
                    largest[script[1]] = max(largest[script[1]], anonymous_bytes(process))
            try:
                study.wait(0.05)
            except psutil.TimeoutExpired:
                continue
        if study.returncode:
            raise subprocess.CalledProcessError(study.returncode, "snakemake")
    return pd.Series(largest) / 1e6


def main(images: int) -> None:
    """Print the table."""
    table = pd.DataFrame({n: peaks(n) for n in (images, 4 * images)})
    growth = (table[4 * images] - table[images]) * 1e6 / (3 * images)
    table["of an image"] = growth / (3 * SIDE**2)
    print(table.sort_values("of an image").round(2).to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
