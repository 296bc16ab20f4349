"""A store in a folder of its own."""

import pytest

from explorer.store import Store


@pytest.fixture
def store(tmp_path):
    """Return an empty store."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()
