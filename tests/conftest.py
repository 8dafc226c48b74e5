"""What every test may use."""

from pathlib import Path

import pytest
from hypothesis import settings

from rig.stores import postgres, valkey

__all__ = ["postgres", "valkey"]  # fixtures: servers that start when the first test asks for them

settings.register_profile("tidegate", deadline=None)  # a machine under load is no fault of an example's
settings.load_profile("tidegate")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The team's evaluation data beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not beside this checkout: nothing to compare with")
    return folder
