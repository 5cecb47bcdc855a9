"""Work on images in several processes: order, memory, BLAS threads."""

import os

import numpy as np
import pytest

from segxai.job.parallel import BLAS_THREADS, map_images


def test_items_are_made_while_they_are_needed():
    """Of many items a block is taken at a time: the first result comes before the last item."""
    taken = []

    def items():
        for k in range(100):
            taken.append(k)
            yield np.full(2, k)

    results = map_images(np.sum, items(), 100, 1, "sums")
    assert next(results) == 0
    assert len(taken) < 30
    assert list(results) == [2 * k for k in range(1, 100)]


def test_workers_keep_the_order():
    """Results come in the order of the items for any number of processes."""
    items = [np.full(3, k) for k in range(7)]
    for workers in (1, 2):
        assert [*map_images(np.sum, items, 7, workers, "sums")] == [3 * k for k in range(7)]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_worker_is_this_process_if_it_has_one_blas_thread(monkeypatch, threads):
    """A process that may use more threads leaves the work to one that may not."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, threads)
    ids = {*map_images(process_id, range(3), 3, 1, "ids")}
    assert len(ids) == 1
    assert (os.getpid() in ids) == (threads == "1")


def process_id(_) -> int:
    """Identify the process that does the work."""
    return os.getpid()
