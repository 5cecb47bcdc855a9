"""What every reader promises: records of its classes, images of three axes, settings as it says."""

import inspect

import numpy as np
import pytest
import yaml

from segxai.datasets.reading import read_records
from segxai.workflow.plugins import about, load, methods
from tests.hostile.test_readers import SETS

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
    module, said = load("datasets", {"method": reader})[0], about("datasets", reader)
    functions = {"settings": module.read}
    functions |= {"source": module.generate} if "source" in said else {}
    assert hasattr(module, "generate") == ("source" in said)
    for key, function in functions.items():
        parameters = dict(list(inspect.signature(function).parameters.items())[1:])
        assert list(parameters) == list(said[key])
        for name, parameter in parameters.items():
            described = said[key][name]
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
