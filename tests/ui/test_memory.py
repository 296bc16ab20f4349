"""Pages that were closed leave the server's memory."""

import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from weakref import ref

import pytest
from chromium import answers, served
from handmade import candidate, put

from explorer.ui.good_guest import CLOSED, Search

ROOT = Path(__file__).parents[2]


def test_closed_pages_do_not_add_up(store, tmp_path):
    """Of three pages that showed a campaign one at most stays, that which the server began with."""
    campaign = put(store, candidate(1), name="Looked at")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "benchmarks")))
    told = subprocess.run(
        [sys.executable, ROOT / "tests" / "ui" / "left_behind.py", campaign, "CaCu"],
        env=os.environ | {"HULLSCAPE_HOME": str(tmp_path), "PYTHONPATH": paths},
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    pages = json.loads(told)
    assert pages["seen"] >= 1
    assert pages["left"] <= 1


def test_a_server_may_build_its_first_page_in_advance(tmp_path):
    """`--warm` ends that page again before anybody asks; those who do are served."""
    with served(tmp_path, "--warm") as address:
        assert answers(address)
    assert "Traceback" not in (tmp_path / "server.log").read_text()


class Page:
    """Something that refers to itself, as pages do."""

    def __init__(self):
        self.itself = self


@pytest.mark.parametrize(("others", "closed"), [(0, 1), (30, CLOSED), (107, 54)])
def test_what_closed_pages_left_is_searched_for_seldom(monkeypatch, others, closed):
    """At once when nobody waits, else when it is worth it; before that no search finds it."""
    monkeypatch.setattr("explorer.ui.good_guest.AFTERWARDS", 0.0)
    search = Search()

    async def visit() -> list[bool]:
        for _ in range(others + closed):
            search.opened()
        page, there = Page(), []
        left = ref(page)
        search.keep()
        del page
        for _ in range(closed):
            gc.collect()
            there.append(left() is not None)
            search.ended()
            await asyncio.sleep(0.01)
        return [*there, left() is not None]

    try:
        assert asyncio.run(visit()) == [True] * closed + [False]
    finally:
        gc.unfreeze()
