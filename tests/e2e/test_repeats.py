"""The reduced demo again: elsewhere, byte for byte, and after an interruption."""

import numpy as np
import pytest

from tests.e2e.conftest import OVERLAYS, TARGETS

pytestmark = pytest.mark.study

KINDS = ("maps", "features", "masks")


def test_results_depend_on_nothing_but_the_study(run_study, reduced, tmp_path):
    """Other cores, shards, folder, locale and time zone: the same tables, weights, maps, masks."""
    overlay = tmp_path / "one-shard.yaml"
    overlay.write_text("shards: 1\n")
    elsewhere = {"cwd": tmp_path, "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"}
    run_study(tmp_path, *OVERLAYS, overlay, cores=2, targets=TARGETS, **elsewhere)
    other = tmp_path / "results"
    same = sorted((reduced / "tables").iterdir())
    same += sorted((reduced / "models").rglob("*.safetensors"))
    assert len(same) > 10
    assert [
        file.name
        for file in same
        if file.read_bytes() != (other / file.relative_to(reduced)).read_bytes()
    ] == []
    arrays = [file for kind in KINDS for file in reduced.glob(f"{kind}/**/0.npy")]
    assert len(arrays) > 10
    for first in arrays:
        shards = [np.load(first.with_name(f"{shard}.npy")) for shard in range(3)]
        whole = np.load(other / first.relative_to(reduced))
        assert whole.tobytes() == np.concatenate(shards).tobytes()


def test_interrupted_study_continues(run_study, reduced):
    """Stopped before its last masks, the study makes them and what comes after, and no more."""
    table = reduced / "tables/explainseg_ablation.csv"
    before = table.read_bytes()
    missing = [
        reduced / "masks/phantom-lesions/xai-ncut-crf/seed-1/1.npy",
        reduced / "scores/overlap/phantom-lesions/xai-ncut-crf/seed-1.csv",
        table,
        reduced / "tables/claims.csv",
    ]
    for file in missing:
        file.unlink()
    said = run_study(reduced.parent, *OVERLAYS, targets=TARGETS).stdout
    assert all(file.is_file() for file in missing)
    # Both tables hold XNCut.
    redone = {"refine_masks": 1, "score_masks": 1, "make_tables": 2, "check_claims": 1}
    for rule, times in redone.items():
        assert said.count(f"(Rule: {rule})") == times
    for kept in ("train_model", "explain", "tune_segmenter", "segment_relevance", "segment_tokens"):
        assert f"(Rule: {kept})" not in said
    assert table.read_bytes() == before
