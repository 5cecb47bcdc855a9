"""Wall time of the demo by rule: run it in an empty folder and sum up its jobs.

    .venv/bin/python benchmarks/demo.py [folder of a finished demo]

Start-up is the time for loading the libraries of a rule's script, measured by loading it without
running it, times the number of its jobs.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DEMO = ["--cores", "2", "--resources", "gpu=4", "--configfile", "config/overlays/demo.yaml"]


def run_demo(folder: Path) -> float:
    """Run the demo in `folder` and return its wall time in seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", *DEMO, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def read_jobs(folder: Path) -> pd.DataFrame:
    """One row per job, from Snakemake's benchmark files: rule and seconds."""
    jobs = []
    for file in sorted((folder / "benchmarks").rglob("*.tsv")):
        rule = file.relative_to(folder / "benchmarks").parts[0].removesuffix(".tsv")
        jobs.append({"rule": rule, "seconds": pd.read_csv(file, sep="\t").s[0]})
    return pd.DataFrame(jobs)


def start_up(rule: str) -> float:
    """Shortest of three durations of loading a rule's script, in seconds."""
    script = "gather_shards" if rule.startswith("gather_") else rule
    load = f"import runpy, sys; sys.path.insert(0, '.'); runpy.run_path('scripts/{script}.py')"
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", load], cwd=ROOT, check=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print the table and the sums."""
    if len(sys.argv) > 1:
        folder, wall = Path(sys.argv[1]), None
    else:
        folder = Path(tempfile.mkdtemp(prefix="segxai-demo-"))
        wall = run_demo(folder)
    jobs = read_jobs(folder)
    table = jobs.groupby("rule").agg(jobs=("rule", "size"), seconds=("seconds", "sum"))
    table["start-up"] = [start_up(rule) for rule in table.index] * table.jobs
    table = table.sort_values("seconds", ascending=False)
    print(table.round(1).to_markdown())
    total = table.sum()
    print(
        f"\n{total.jobs:.0f} jobs take {total.seconds:.0f} s, of which {total['start-up']:.0f} s "
        "load libraries"
    )
    if wall is not None:
        print(f"{wall:.0f} s of wall time on 2 cores, taken for {50 * total.seconds / wall:.0f} %")


if __name__ == "__main__":
    main()
