"""Files of jobs: whole or not at all, numbers with nine digits."""

import numpy as np
import pandas as pd
import pytest

from segxai.job.files import atomic_path, read_facts, write_json, write_table


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    """An exception inside the block keeps what was there and removes the temporary file."""
    path = tmp_path / "deep" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_numbers_are_written_with_nine_digits(tmp_path):
    """Floats are rounded to nine digits, missing ones are empty, whole numbers stay whole."""
    table = pd.DataFrame({"image_id": ["a", "b"], "n": [1, 2], "value": [1 / 3, np.nan]})
    write_table(tmp_path / "deep" / "a.csv", table)
    assert (tmp_path / "deep/a.csv").read_text() == "image_id,n,value\na,1,0.333333333\nb,2,\n"


def test_facts_are_read_as_they_were_written(tmp_path):
    """JSON keeps any text, and ends with a line break."""
    write_json(tmp_path / "a.json", {"title": "Größe", "n": 3})
    assert read_facts(tmp_path / "a.json") == {"title": "Größe", "n": 3}
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")
