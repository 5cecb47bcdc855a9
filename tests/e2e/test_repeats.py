"""The reduced demo again: elsewhere, byte for byte, and after an interruption."""

import shutil

import pandas as pd
import pytest

from tests.e2e.conftest import OVERLAYS, TARGETS, jobs

pytestmark = pytest.mark.study

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
            tables = (pd.read_csv(path).drop(columns=own) for path in (here, there))
            pd.testing.assert_frame_equal(*tables, check_exact=True)
        else:
            assert here.read_bytes() == there.read_bytes(), file
    return len(files)


def test_results_depend_on_nothing_but_the_study(run_study, house, reduced, tmp_path):
    """Other cores, shards, folder, locale and time zone: the same maps, masks, weights, tables."""
    overlay = tmp_path / "one-shard.yaml"
    overlay.write_text("shard_size: 64\n")
    elsewhere = {"cwd": tmp_path, "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"}
    said = run_study(
        tmp_path, *OVERLAYS, overlay, cores=1, root=house, targets=TARGETS, **elsewhere
    )
    # One shard of each explainer instead of two.
    assert jobs(said)["explain"] == 2
    assert compare(reduced, tmp_path / "results") > 60


def test_interrupted_study_continues(run_study, house, reduced, tmp_path):
    """Stopped after one of two shards, the study makes the other and what follows, and no more."""
    folder = shutil.copytree(reduced.parent, tmp_path / "interrupted")
    results = folder / "results"
    cell = "phantom-findings/resnet-tiny-phantom/gradcam/seed-1"
    table, maps = results / "tables/segx_alignment.csv", results / f"maps/{cell}.npy"
    missing = [maps, maps.with_suffix(".csv"), table, results / f"scores/alignment/{cell}.csv"]
    before = [file.read_bytes() for file in (table, maps)]
    for file in missing:
        file.unlink()
    study = {"root": house, "targets": [f"results/maps/{cell}/0.npy"]}
    run_study(folder, *OVERLAYS, options=["--notemp"], **study)
    said = run_study(folder, *OVERLAYS, **study | {"targets": TARGETS[2:3]})
    assert jobs(said) == {"explain": 1, "gather_maps": 1, "score_maps": 1, "make_table": 1}
    assert all(file.is_file() for file in missing)
    assert [file.read_bytes() for file in (table, maps)] == before
    assert not (results / f"maps/{cell}").exists()
