"""Places that tests share: the checkout, and the real data beside it."""

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no defect: an example may take longer than Hypothesis' 200 ms.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


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
