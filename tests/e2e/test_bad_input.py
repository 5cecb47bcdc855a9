"""Bad input to the running study: one sentence, a non-zero exit, nothing half-written."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from segxai.datasets.phantom_lesions import generate
from tests.e2e.conftest import DEMO

SAMPLES = "results/data/phantom-lesions/samples.csv"


def overlay(folder: Path, **dataset) -> Path:
    """Write an overlay that changes keys of the phantoms."""
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump({"datasets": {"phantom-lesions": dataset}}))
    return path


@pytest.fixture
def copy(tmp_path) -> Path:
    """Return a copy on disk in which one image is cut short and one mask is missing."""
    folder = tmp_path / "copy on disk"
    generate(folder, 12, 64)
    images, masks = (sorted((folder / part).iterdir()) for part in ("images", "masks"))
    images[3].write_bytes(images[3].read_bytes()[:200])
    masks[5].unlink()
    return folder


def test_unusable_images_stop_the_run_and_write_nothing(run_study, copy, tmp_path):
    """Each unusable file is named with its problem and remedy, and no table is left behind."""
    changes = overlay(tmp_path, path=str(copy), split={"validation": 4})
    output = run_study(tmp_path, DEMO, changes, targets=[SAMPLES], fails=True)
    assert "lesion-0003.png" in output
    assert "lesion-0005.png" in output
    # The output ends with the remedy.
    assert "max_rejected" in output.split("Exiting because")[1]
    left = [file for file in (tmp_path / "results/data").rglob("*") if file.is_file()]
    assert left == []


def test_tolerated_images_are_listed_with_their_reason(run_study, copy, tmp_path):
    """With `max_rejected` the run goes on, and rejected.csv names both files."""
    changes = overlay(tmp_path, path=str(copy), split={"validation": 4}, max_rejected=2)
    run_study(tmp_path, DEMO, changes, targets=[SAMPLES])
    rejected = pd.read_csv(tmp_path / "results/data/phantom-lesions/rejected.csv")
    assert rejected.file.tolist() == ["images/lesion-0003.png", "images/lesion-0005.png"]
    assert rejected.reason.str.len().min() > 20
    assert len(pd.read_csv(tmp_path / SAMPLES)) == 10


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": "/no/such/folder"}, "/no/such/folder: no such folder; check `path`"),
        ({"grid": 2}, "Config key datasets.phantom-lesions.grid is unknown"),
    ],
)
def test_wrong_configuration_is_one_sentence(run_study, tmp_path, changes, sentence):
    """A wrong path or key is named with its remedy."""
    changes = overlay(tmp_path, **{"source": {"images": 6, "size": 64}} | changes)
    output = run_study(tmp_path, DEMO, changes, targets=[SAMPLES], fails=True)
    assert sentence in output
    assert "Traceback" not in output
