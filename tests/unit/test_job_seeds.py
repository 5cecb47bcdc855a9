"""Shards and the seed of each image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segxai.datasets.selection import shard_column
from segxai.job.seeds import image_seed


@given(n=st.integers(0, 300), shards=st.integers(1, 12))
def test_shards_are_a_partition(n, shards):
    """Shards are disjoint, in order, cover all rows, and differ in size by one at most."""
    column = shard_column(n, shards)
    parts = [np.flatnonzero(column == shard).tolist() for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_image_seed_depends_on_seed_and_name_only():
    """Other seeds and other names give other generators; the same pair the same one."""
    seeds = {image_seed(seed, name) for seed in range(20) for name in ("a", "b", "ä", "a1")}
    assert len(seeds) == 80
    assert image_seed(3, "cju0qkwl35") == image_seed(3, "cju0qkwl35")
    assert all(0 <= seed < 2**32 for seed in seeds)
