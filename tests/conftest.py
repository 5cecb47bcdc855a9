"""What tests share: the checkout, the real data beside it, and how hypothesis behaves."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Side by side, processes with a thread for each core wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ |= dict.fromkeys(threads, "1")

# A busy machine is not a defect, and a test that passed once passes again.
settings.register_profile("segxai", deadline=None, derandomize=True)
settings.load_profile("segxai")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(checkout: Path) -> Path:
    """Return the folder of real data beside the checkout; skip the test where it is absent."""
    folder = checkout.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no shared/data beside the checkout")
    return folder
