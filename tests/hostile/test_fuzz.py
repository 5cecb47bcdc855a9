"""Random damage to every kind of file: it is read or refused in one sentence, nothing else."""

import pytest

from tests.hostile.fuzz import fuzz, targets


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> list[str]:
    """Return what can be damaged."""
    return list(targets(tmp_path_factory.mktemp("targets")))


TARGETS = ["archives", "images", "dicom", "tables", "json", "arrays", "torch files", "safetensors"]


def test_every_target_is_damaged_below(names):
    """No kind of file is left out."""
    assert names == TARGETS


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_damage_is_read_or_refused(tmp_path, name):
    """Of 300 mutations none ends in another exception, takes long, or leaves a file behind."""
    counts = fuzz(name, tmp_path, range(300))
    assert counts["read"] + counts["refused"] >= 300
    assert counts["refused"] > 20
