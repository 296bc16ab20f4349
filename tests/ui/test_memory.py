"""Pages that were closed leave the server's memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

from chromium import opened, served
from handmade import candidate, put

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


def test_a_server_may_build_its_first_page_in_advance(store, tmp_path):
    """`--warm` ends that page again before anybody asks; those who do are served."""
    campaign = put(store, candidate(1), name="Looked at")
    with served(tmp_path, "--warm") as address, opened(f"{address}?campaign={campaign}") as page:
        page.locator(".tabulator-row", has_text="000001").wait_for()
