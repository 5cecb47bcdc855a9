"""The reduced demo again: elsewhere, byte for byte, and after an interruption."""

import pandas as pd
import pytest

from tests.e2e.conftest import OVERLAYS, jobs

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
    said = run_study(tmp_path, *OVERLAYS, overlay, root=house, targets=["tables"], **elsewhere)
    # One shard of each explainer instead of two.
    assert jobs(said)["explain"] == 3
    files = compare(reduced, tmp_path / "results")
    assert files > 60


def test_interrupted_study_continues(run_study, house, continued):
    """Stopped after one of two shards, the study makes the other and what follows, and no more."""
    results = continued / "results"
    cell = "phantom-findings/resnet-tiny-phantom/gradcam"
    table = results / "tables/segx_alignment.csv"
    before, maps = table.read_bytes(), (results / f"maps/{cell}/seed-1.npy").read_bytes()
    missing = [f"maps/{cell}/seed-1.npy", f"maps/{cell}/seed-1.csv"]
    missing += ["tables/segx_alignment.csv", "tables/claims.csv"]
    missing += [
        f"scores/{family}/{cell}/seed-1.csv"
        for family in ("alignment", "certainty", "doses", "shortcut")
    ]
    for name in missing:
        (results / name).unlink()
    shard = [f"results/maps/{cell}/seed-1/0.npy"]
    run_study(continued, *OVERLAYS, root=house, targets=shard, options=["--notemp"])
    said = run_study(continued, *OVERLAYS, root=house, targets=["tables"])
    assert all((results / name).is_file() for name in missing)
    done = jobs(said)
    assert done.pop("make_table") >= 1
    assert done == {"explain": 1, "gather_maps": 1, "score_maps": 4, "check_claims": 1, "tables": 1}
    assert table.read_bytes() == before
    assert (results / f"maps/{cell}/seed-1.npy").read_bytes() == maps
    assert not (results / f"maps/{cell}/seed-1").exists()
