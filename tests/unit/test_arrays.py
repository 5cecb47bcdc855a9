"""Arrays on disk: broken ones are refused in one sentence."""

import numpy as np
import pytest

from segxai.images.arrays import read_array
from segxai.job.log import InputError


def test_broken_arrays_get_one_sentence(tmp_path):
    """Cut short, pickled and missing arrays each name the file and what to do."""
    path = tmp_path / "maps.npy"
    np.save(path, np.ones((40, 40), np.float16))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"maps\.npy: not a readable array.*delete it"):
        read_array(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable array"):
        read_array(path)
    with pytest.raises(InputError, match=r"absent\.npy"):
        read_array(tmp_path / "absent.npy")
