"""Growth of planning: jobs, seconds and memory of `snakemake -n` for larger and larger studies.

    .venv/bin/python benchmarks/scale.py [datasets ...]

The first row is the full study of config/config.yaml. Each other row takes a number of copies of
the built-in phantoms (default 1, 2 and 4), and the numbers of networks, explainers, segmenters and
seeds in `SIZE`, as in docs/scale.md. The last row extrapolates the two largest ones linearly to 100
data sets. Seconds are processor time.
"""

import os
import re
import subprocess
import sys
import tempfile
from copy import deepcopy
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
SIZE = {"networks": 20, "explainers": 20, "segmenters": 10, "seeds": 5}
TARGET = 100


def copies(original: dict, name: str, count: int) -> dict:
    """Entries of the configuration under new names, each with its name as the title."""
    return {f"{name}-{i}": deepcopy(original) | {"title": f"{name} {i}"} for i in range(count)}


def synthetic_study(datasets: int) -> dict:
    """Overlay of both studies: `datasets` data sets each, with every other dimension at its size.

    ExplainSeg has one network and one explainer: its part has data sets × segmenters × seeds;
    that of SegX has data sets × networks × explainers × seeds.
    """
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    phantoms = {}
    for kind in ("lesions", "findings"):
        file = yaml.safe_load((ROOT / f"config/datasets/phantom-{kind}.yaml").read_text())
        entry = file["datasets"][f"phantom-{kind}"] | {"reader": f"phantom_{kind}"}
        phantoms[kind] = copies(entry, kind, datasets)
    networks = copies(config["networks"]["resnet50"], "network", SIZE["networks"])
    explainers = copies({"method": "grad_cam"}, "explainer", SIZE["explainers"])
    variants = copies(config["segmenters"]["xai-ncut"], "variant", SIZE["segmenters"])
    variants = {name: entry | {"role": "variant"} for name, entry in variants.items()}
    first = "variant-0"
    return {
        "seeds": list(range(1, SIZE["seeds"] + 1)),
        "datasets": phantoms["lesions"] | phantoms["findings"],
        "networks": networks,
        "explainers": explainers,
        "segmenters": variants,
        "studies": {
            "explainseg": {
                "datasets": list(phantoms["lesions"]),
                "segmenters": list(variants),
                "headline": first,
                "tables": {"explainseg_baselines": {"segmenters": {"first": first}}},
                "figures": {"explainseg_examples": {"segmenters": {"last": first}}},
            },
            "segx": {
                "datasets": list(phantoms["findings"]),
                "networks": list(networks),
                "explainers": list(explainers),
            },
        },
    }


def plan(overlay: dict) -> dict[str, float]:
    """Jobs of a study, and what planning them costs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.yaml")
        file.write_text(yaml.safe_dump(overlay), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"]
        command += ["--configfile", str(file), "--directory", folder]
        with Path(folder, "output.txt").open("w+", encoding="utf-8") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
            _, status, used = os.wait4(process.pid, 0)
            output.seek(0)
            text = output.read()
    if status:
        raise RuntimeError(text[-4000:])
    jobs = int(re.search(r"^total +(\d+)$", text, re.M)[1])
    return {
        "jobs": jobs,
        "seconds": used.ru_utime + used.ru_stime,
        "memory (MB)": used.ru_maxrss / 1024,
    }


def main() -> None:
    """Print the table."""
    sizes = [int(size) for size in sys.argv[1:]] or [1, 2, 4]
    rows = {"full study": plan({})}
    for size in sizes:
        rows[f"{size} data sets"] = plan(synthetic_study(size))
        print(rows, file=sys.stderr)
    if len(sizes) > 1:
        first, last = (pd.Series(rows[f"{size} data sets"]) for size in sizes[-2:])
        slope = (last - first) / (sizes[-1] - sizes[-2])
        rows[f"{TARGET} data sets, by a line"] = last + slope * (TARGET - sizes[-1])
    print(pd.DataFrame(rows).T.round(1).to_markdown())


if __name__ == "__main__":
    main()
