"""Attributions on disk: what is kept of them, and how shards become one file."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import gather_shards
from segxai.explain.maps import COLUMNS, pack, read_maps
from segxai.job.files import write_table
from segxai.job.log import InputError


def sums(seed: int, size: int = 8, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Signed channel sum and sum of magnitudes of a random attribution."""
    values = np.random.default_rng(seed).normal(size=(3, size, size)).astype(np.float32) * scale
    return values.sum(axis=0), np.abs(values).sum(axis=0)


def written(folder, name: str, seeds) -> tuple[str, str]:
    """Write the maps of some seeds with their table."""
    packed = [pack(*sums(seed, scale=10.0**seed)) for seed in seeds]
    rows = [
        (f"i{seed}:x", f"i{seed}", scale, 0, 1.5, 0.1, 3, 2, 0.01, 10**9)
        for seed, (_, scale) in zip(seeds, packed, strict=True)
    ]
    array = np.array([part for part, _ in packed], np.float16).reshape(-1, 2, 8, 8)
    np.save(folder / f"{name}.npy", array)
    write_table(folder / f"{name}.csv", pd.DataFrame(rows, columns=COLUMNS))
    return str(folder / f"{name}.npy"), str(folder / f"{name}.csv")


@given(seed=st.integers(0, 99), exponent=st.integers(-20, 20))
def test_half_precision_keeps_three_digits_of_any_scale(seed, exponent):
    """Values come back to 2⁻¹¹ of the largest magnitude, whatever its unit."""
    signed, magnitude = sums(seed, scale=10.0**exponent)
    packed, scale = pack(signed, magnitude)
    assert packed.dtype == np.float16
    assert np.abs(packed).max() == 1
    for stored, exact in zip(packed, (signed, magnitude), strict=True):
        error = np.abs(stored.astype(np.float64) * scale - exact).max()
        assert error <= 2**-11 * magnitude.max()


def test_an_attribution_of_zero_is_stored_as_zero():
    """A zero attribution has scale 0 and no NaN."""
    packed, scale = pack(*np.zeros((2, 4, 4), np.float32))
    assert scale == 0
    assert not packed.any()


def test_completeness_can_be_recomputed_from_the_file(tmp_path):
    """The sum of a stored signed map is that of the attribution to a thousandth of its range."""
    maps = read_maps(*written(tmp_path, "maps", range(4)))
    assert len(maps) == 4
    for seed in range(4):
        signed, magnitude = sums(seed, scale=10.0**seed)
        stored = maps[seed]
        assert stored.signed.dtype == stored.magnitude.dtype == np.float32
        np.testing.assert_allclose(stored.magnitude, magnitude, atol=1e-3 * magnitude.max())
        assert stored.signed.sum() == pytest.approx(signed.sum(), abs=1e-3 * float(magnitude.sum()))


def test_maps_of_another_table_are_refused(tmp_path):
    """A table of another number of rows, or masks in the place of maps, name the file."""
    npy, _ = written(tmp_path, "maps", range(3))
    _, csv = written(tmp_path, "other", range(2))
    with pytest.raises(InputError, match=r"other\.csv: does not describe the maps in"):
        read_maps(npy, csv)
    np.save(tmp_path / "masks.npy", np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(InputError, match="does not describe"):
        read_maps(tmp_path / "masks.npy", csv)


def test_gathered_shards_are_what_one_shard_would_be(tmp_path):
    """Rows of all shards in order, byte for byte, also where some of them are empty."""
    whole = written(tmp_path, "whole", range(5))
    parts = [written(tmp_path, f"{i}", seeds) for i, seeds in enumerate(([0, 1], [], [2, 3, 4]))]
    arrays, tables = zip(*parts, strict=True)
    gather_shards.main(arrays, tables, tmp_path / "all.npy", tmp_path / "all.csv")
    assert (tmp_path / "all.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert (tmp_path / "all.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert len(read_maps(*whole)) == 5


def test_a_shard_with_another_number_of_rows_is_named(tmp_path):
    """An array and a table of two runs are not joined."""
    npy, _ = written(tmp_path, "a", range(3))
    _, csv = written(tmp_path, "b", range(2))
    with pytest.raises(InputError, match=r"b\.csv: describes 2 rows instead of 3; delete"):
        gather_shards.main([npy], [csv], tmp_path / "all.npy", tmp_path / "all.csv")
