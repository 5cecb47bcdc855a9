"""The cache that a killed job goes on from."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segxai.job.cache import image_cache, job_key

COLUMNS = ["image_id", "value"]


def image(index: int) -> tuple[list, list]:
    """Rows and facts of an image: one row, two or none."""
    rows = [np.full((2, 3), 10 * index + k, np.uint8) for k in range(index % 3)]
    return rows, [(f"i{index}", row[0, 0] / 7) for row in rows]


def write(folder, n, key="a", stop=None) -> list[int]:
    """Write `n` images, fail before image `stop`; return which ones were computed."""
    computed = []
    table = folder / "a.csv"
    with image_cache(folder / "a.npy", n, key, (2, 3), table=table, columns=COLUMNS) as cache:
        for index in range(cache.done, n):
            if index == stop:
                raise RuntimeError("killed")
            computed.append(index)
            cache.append(*image(index))
    return computed


def expected(n) -> tuple[np.ndarray, pd.DataFrame]:
    """What `write` must leave, without a cache."""
    rows = [row for index in range(n) for row in image(index)[0]]
    facts = [fact for index in range(n) for fact in image(index)[1]]
    return np.array(rows, np.uint8).reshape(-1, 2, 3), pd.DataFrame(facts, columns=COLUMNS)


def check(folder, n):
    """Compare the finished files with `expected`, and nothing lies beside them."""
    rows, facts = expected(n)
    np.testing.assert_array_equal(np.load(folder / "a.npy"), rows)
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "a.csv"), facts, rtol=1e-5, check_dtype=bool(len(facts))
    )
    assert sorted(file.name for file in folder.iterdir()) == ["a.csv", "a.npy"]


@given(n=st.integers(0, 9), stops=st.lists(st.integers(0, 8), max_size=3))
def test_failed_runs_are_continued(tmp_path_factory, n, stops):
    """Whenever it failed, the next run computes the rest alone, and the files are the same."""
    folder = tmp_path_factory.mktemp("cache")
    computed = []
    for stop in stops:
        if (computed and stop <= computed[-1]) or stop >= n:
            continue
        with pytest.raises(RuntimeError):
            write(folder, n, stop=stop)
        assert not (folder / "a.npy").exists()
        computed += range(len(computed), stop)
    assert computed + write(folder, n) == list(range(n))
    check(folder, n)


def test_killed_process_is_continued(tmp_path, checkout):
    """After SIGKILL every image that was handed over is there."""
    program = (
        "import sys, os, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from tests.unit import test_cache\n"
        "test_cache.image = lambda i, real=test_cache.image: "
        "os.kill(os.getpid(), 9) if i == 5 else real(i)\n"
        "test_cache.write(pathlib.Path(sys.argv[2]), 8)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, checkout, tmp_path], check=False)
    assert died.returncode == -signal.SIGKILL
    assert write(tmp_path, 8) == [5, 6, 7]
    check(tmp_path, 8)


def test_another_key_starts_afresh(tmp_path):
    """Rows of other settings are not taken over."""
    with pytest.raises(RuntimeError):
        write(tmp_path, 6, key="a", stop=4)
    assert write(tmp_path, 6, key="b") == list(range(6))
    check(tmp_path, 6)


@pytest.mark.parametrize("lost", [1, 12, 13])
def test_rows_that_were_lost_are_computed_again(tmp_path, lost):
    """A journal ahead of its array, as after a power cut, is believed as far as the rows go."""
    with pytest.raises(RuntimeError):
        write(tmp_path, 8, stop=6)
    partial = tmp_path / ".a.partial.npy"
    os.truncate(partial, partial.stat().st_size - lost)
    # The rows, six bytes each: image 1, twice image 2, image 4, twice image 5.
    assert write(tmp_path, 8) == ([5, 6, 7] if lost <= 12 else [4, 5, 6, 7])
    check(tmp_path, 8)


def test_a_line_cut_off_is_not_believed(tmp_path):
    """A journal that ends in the middle of a line counts the images before it."""
    with pytest.raises(RuntimeError):
        write(tmp_path, 8, stop=6)
    journal = tmp_path / ".a.partial.json"
    os.truncate(journal, journal.stat().st_size - 3)
    assert write(tmp_path, 8) == [5, 6, 7]
    check(tmp_path, 8)


def test_job_key_tells_jobs_apart(tmp_path):
    """Another setting, another file and another date make another key; the same job the same."""
    file = tmp_path / "weights"
    file.write_text("w")
    params = {"model": {"epochs": 3}, "code": "abc"}

    def key(**changes):
        return job_key(SimpleNamespace(input=[str(file)], params=params | changes))

    first = key()
    assert key() == first != key(code="def")
    os.utime(file, ns=(1, 1))
    assert key() != first
