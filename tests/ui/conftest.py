"""A store in a folder of its own, and a server that all browser tests share."""

import pytest
from chromium import chromium, served
from handmade import HOSTILE, candidate, put, trace_of

from explorer.candidate import State
from explorer.store import Store


@pytest.fixture
def store(tmp_path):
    """Return an empty store."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Return the folder of the store that `site` serves."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def site(home):
    """Serve a store that holds two campaigns made by hand; gives the address and one's id."""
    store = Store(home / "campaigns.db")
    items = (candidate(1), candidate(4), candidate(2, State.FAILED, reason=HOSTILE))
    traces = {item.id: trace_of(item) for item in items[:2]}
    campaign = put(store, *items, name=HOSTILE, traces=traces)
    put(store, candidate(3), candidate(5), name="The other one")
    store.close()
    with served(home) as address:
        yield address, campaign


@pytest.fixture(scope="module")
def browser():
    """Run a browser for all tests of a file: a page takes long to be opened, so some share one."""
    with chromium() as program:
        yield program
