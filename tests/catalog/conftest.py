"""The shipped catalog, loaded once."""

import pytest

from tidegate.catalog import Catalog, load_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()
