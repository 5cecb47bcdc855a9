"""Contract of readers: records of their classes, images of three axes, settings of ABOUT."""

import inspect
import shutil

import numpy as np
import pytest
import yaml

from segxai.datasets.reading import read_records
from segxai.workflow.plugins import about, load, methods
from tests.hostile.test_readers import SETS, write_set

READERS = methods("datasets")


@pytest.fixture
def definitions(checkout) -> dict:
    """Return the committed data sets by their reader."""
    files = (checkout / "config" / "datasets").glob("*.yaml")
    defined = [yaml.safe_load(file.read_text())["datasets"] for file in files]
    return {entry["reader"]: entry for entries in defined for entry in entries.values()}


def test_every_reader_has_a_fixture():
    """No reader is left out below."""
    assert set(SETS) == set(READERS)


@pytest.mark.parametrize("reader", READERS)
def test_settings_are_the_parameters(reader):
    """`ABOUT` describes exactly what `read` and `generate` take, with the same defaults."""
    module, facts = load("datasets", {"method": reader})[0], about("datasets", reader)
    functions = {"settings": module.read}
    functions |= {"source": module.generate} if "source" in facts else {}
    assert hasattr(module, "generate") == ("source" in facts)
    for key, function in functions.items():
        parameters = dict(list(inspect.signature(function).parameters.items())[1:])
        assert list(parameters) == list(facts[key])
        for name, parameter in parameters.items():
            described = facts[key][name]
            assert described["description"]
            assert described.get("default", inspect.Parameter.empty) == parameter.default


@pytest.mark.parametrize("reader", READERS)
def test_records_keep_the_contract(tmp_path, definitions, reader):
    """Unique names, labels of the data set's classes, images (H, W, C) of a known type."""
    folder = tmp_path / "set"
    if reader != "phantom_lesions":
        folder.mkdir()
    SETS[reader][0](folder)
    records = read_records(reader, folder)
    assert records and len({record.image_id for record in records}) == len(records)
    for record in records:
        assert record.labels <= set(definitions[reader]["classes"])
        assert record.group and record.image.is_relative_to(folder)
        image = record.load(["red", "green", "blue"])
        assert image.ndim == 3 and image.shape[2] == 3
        assert image.dtype in (np.uint8, np.uint16, np.float32)


ADDED = ["Thumbs.db", "desktop.ini", ".DS_Store", "Icon\r", "~$labels.csv"]


@pytest.fixture
def written(tmp_path):
    """Return a function that writes the data set of a reader and gives its folder."""
    return lambda reader: write_set(reader, tmp_path / "set")


@pytest.mark.parametrize("reader", READERS)
def test_files_of_systems_are_passed_over(written, reader):
    """What Windows and macOS add to each folder changes no record, and so no split."""
    folder = written(reader)
    before = read_records(reader, folder)
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for file in [path for path in place.iterdir() if path.is_file()]:
            shutil.copy(file, place / f"._{file.name}")
            (place / f"{file.name}:Zone.Identifier").write_text("[ZoneTransfer]")
        for name in ADDED:
            (place / name).write_bytes(b"\xd0\xcf\x11\xe0")
    shutil.copytree(folder, folder / "__MACOSX")
    assert read_records(reader, folder) == before


@pytest.mark.parametrize("reader", READERS)
def test_names_in_capitals_are_the_same_names(written, reader):
    """Images and masks with names in capitals are matched, and keep their names."""
    folder = written(reader)
    before = read_records(reader, folder)
    for file in [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".tif")]:
        file.rename(file.with_name(file.name.upper()))
    after = read_records(reader, folder)
    assert [record.image_id.lower() for record in after] == [r.image_id.lower() for r in before]
    for record, other in zip(after, before, strict=True):
        assert (record.label, record.group.lower()) == (other.label, other.group.lower())
        assert record.image.exists() and all(path.exists() for path in record.mask_paths)
        outlines = [finding.outline for finding in record.findings or ()]
        assert all(not hasattr(outline, "exists") or outline.exists() for outline in outlines)
