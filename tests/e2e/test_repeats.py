"""The demo again: elsewhere, byte for byte, and after an interruption."""

import shutil
import subprocess

import pandas as pd
import pytest

from tests.e2e.conftest import DEMO, jobs

pytestmark = pytest.mark.study

# What the chains of both studies end in.
TARGETS = [
    "results/scores/overlap/phantom-lesions/vit-tiny-phantom/integrated-gradients/xai-ncut-crf/seed-1.csv",
    "results/scores/certainty/phantom-findings/resnet-tiny-phantom/gradcam/seed-1.csv",
]
SAME = ("*.npy", "*.csv", "*.safetensors", "*.md", "*.tex")
# What differs by its nature: an attribution's cost, and the job that it is from.
OWN = {"maps": ["seconds", "peak_bytes"], "targets": ["shard"]}


def compare(first, second) -> int:
    """Check that two results hold the same arrays, tables and weights; count them."""
    files = {
        path.relative_to(first)
        for pattern in SAME
        for path in first.rglob(pattern)
        if path.relative_to(first).parts[0] not in ("raw", "examples")
    }
    for file in sorted(files):
        here, there = first / file, second / file
        if file.suffix == ".csv" and file.parts[0] in OWN:
            own = OWN[file.parts[0]]
            tables = (
                pd.read_csv(path).drop(columns=own, errors="ignore") for path in (here, there)
            )
            pd.testing.assert_frame_equal(*tables, check_exact=True)
        else:
            assert here.read_bytes() == there.read_bytes(), file
    return len(files)


@pytest.fixture(scope="module")
def locale(tmp_path_factory) -> dict[str, str]:
    """Make a locale that is neither English nor UTF-8; return the variables that choose it."""
    folder = tmp_path_factory.mktemp("locales")
    name = "tr_TR.ISO-8859-9"
    if program := shutil.which("localedef"):
        subprocess.run([program, "-f", "ISO-8859-9", "-i", "tr_TR", folder / name], check=False)
    return {"LOCPATH": str(folder), "LC_ALL": name}


def test_results_depend_on_nothing_but_the_study(run_study, house, demo, locale, tmp_path):
    """Other cores, shards, folders, locale, zone, no home: the same maps, masks, weights, scores.

    Names of folders hold what Python, a shell and Snakemake read as their own.
    """
    overlay = tmp_path / "shards.yaml"
    overlay.write_text("shard_size: 64\n")
    checkout = shutil.copytree(house, tmp_path / "a {} in 'a place' #1 %s")
    folder = tmp_path / 'a "run" {x}'
    elsewhere = {"cwd": tmp_path, "TZ": "Pacific/Kiritimati", **locale}
    # Not even root can write there. Snakemake itself needs a cache.
    elsewhere |= {"HOME": "/dev/null", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    printed = run_study(folder, DEMO, overlay, cores=1, root=checkout, targets=TARGETS, **elsewhere)
    # Two shards of each explainer instead of one.
    assert jobs(printed)["explain"] == 4
    assert compare(folder / "results", demo) > 20


def test_interrupted_study_continues(run_study, house, demo, tmp_path):
    """Stopped between a shard and its gathering, the study makes what follows, and no more."""
    folder = shutil.copytree(demo.parent, tmp_path / "interrupted")
    results = folder / "results"
    cell = "phantom-findings/resnet-tiny-phantom/gradcam/seed-1"
    table, maps = results / "tables/segx_alignment.csv", results / f"maps/{cell}.npy"
    missing = [maps, maps.with_suffix(".csv"), table, results / f"scores/alignment/{cell}.csv"]
    before = [file.read_bytes() for file in (table, maps)]
    for file in missing:
        file.unlink()
    study = {"root": house, "targets": [f"results/maps/{cell}/0.npy"]}
    run_study(folder, DEMO, options=["--notemp"], **study)
    study["targets"] = ["results/tables/segx_alignment.csv"]
    printed = run_study(folder, DEMO, **study)
    assert jobs(printed) == {"gather_maps": 1, "score_maps": 1, "make_table": 1}
    assert all(file.is_file() for file in missing)
    assert [file.read_bytes() for file in (table, maps)] == before
    assert not (results / f"maps/{cell}").exists()
