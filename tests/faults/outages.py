"""Cut the page off its server, and measure how soon it is back by itself, and as it was.

`python tests/faults/outages.py --rounds 20 --seed 1 --json out.json` opens a campaign in Chromium
through a wire that can be cut, selects a crystal, cuts the wire or kills the server for some time,
and measures from the first answer of the server until the page shows what happened meanwhile. The
page is always older than its token (`--token` seconds), as after a night. Nobody clicks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "ui"))

from chromium import CHROMIUM, SWITCHES
from fault_machine import Machine, answers, kill_tree
from handmade import candidate, put
from wire import Wire

PATIENCE = 120.0
SOON = 5.0
"""Seconds after the server's return within which the page should be back."""
OUTAGES = ("cut 1", "cut 5", "cut 15", "cut 45", "kill 1")
"""What happens, and for how many seconds the server is away at least."""


def wait(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> float:
    """Wait until a condition holds; returns how long that took, seconds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what} did not come within {seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


class Visit:
    """A browser's page on a campaign, through a wire."""

    def __init__(self, page: Page, machine: Machine, wire: Wire, campaign: str) -> None:
        self.page, self.machine, self.wire, self.campaign = page, machine, wire, campaign

    def open(self) -> None:
        """Load the page, and select the second row."""
        self.page.goto(f"http://127.0.0.1:{self.wire.port}/app?campaign={self.campaign}")
        wait(lambda: self.rows().count() == 4, "the table")
        self.rows().nth(1).locator("[tabulator-field=formula]").click()
        wait(lambda: self.selected().count() == 1, "the selection")

    def rows(self) -> Any:
        """Return the rows of the table."""
        return self.page.locator(".tabulator-row")

    def selected(self) -> Any:
        """Return the selected row."""
        return self.rows().filter(has_text="●")

    def starred(self) -> int:
        """Return how many rows have a star."""
        return self.rows().filter(has_text="★").count()

    def view(self) -> dict[str, Any]:
        """Return what a person would miss."""
        numbers = self.selected().locator("[tabulator-field=number]").all_inner_texts()
        return {"campaign": self.campaign in self.page.url, "selected": numbers}

    def outage(self, kind: str, seconds: float) -> float:
        """Take the server away; returns how long after its first answer all is back.

        That is: what happened meanwhile is shown, of the same campaign and with the same selection.
        """
        view = self.view()
        self.wire.cut()
        if kind == "kill":
            kill_tree(self.machine.web)
        time.sleep(seconds)
        if kind == "kill":
            self.machine.web = self.machine.start_web(*self.machine.options)
            self.wire.target = self.machine.port
        self.wire.mend()
        wait(self.reached, "the server")
        before, stored = self.starred(), self.machine.store.marks(self.campaign)
        name = next(f"{k:06d}" for k in range(4) if f"{k:06d}" not in stored)
        began = time.monotonic()
        self.machine.store.mark(self.campaign, name, starred=True)
        wait(
            lambda: self.starred() == len(stored) + 1 != before and self.view() == view,
            "the live page",
        )
        return time.monotonic() - began

    def reached(self) -> bool:
        """Whether the server answers through the wire."""
        return answers(f"http://127.0.0.1:{self.wire.port}/health")


@contextmanager
def visit(folder: Path, token: int) -> Iterator[Visit]:
    """Serve a campaign of four crystals and open it in a browser."""
    with Machine(folder, web=False) as machine, sync_playwright() as driver:
        kill_tree(machine.runner)
        wire = Wire(0)
        machine.options = (
            *("--allow-websocket-origin", f"127.0.0.1:{wire.port}"),
            *("--session-token-expiration", str(token)),
        )
        machine.web = machine.start_web(*machine.options)
        wire.target = machine.port
        wait(machine.page_answers, "the server")
        campaign = put(machine.store, *(candidate(k) for k in range(4)))
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        try:
            yield Visit(browser.new_page(), machine, wire, campaign)
        finally:
            browser.close()
            wire.close()


def rounds(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Take the server away again and again; returns seconds and what was lost."""
    random = Random(options.seed)
    took: dict[str, list[float]] = {}
    wrong = []
    with visit(folder, options.token) as seen:
        for number in range(options.rounds):
            words = random.choice(options.outages)
            kind, seconds = words.split()
            for name in seen.machine.store.marks(seen.campaign):
                seen.machine.store.mark(seen.campaign, name, starred=False)
            seen.open()
            time.sleep(options.token + 1)
            try:
                took.setdefault(words, []).append(seen.outage(kind, float(seconds)))
            except TimeoutError as error:
                wrong.append(f"{number} ({words}): {error}")
                continue
            print(f"{number}: {words}: {took[words][-1]:.2f} s", file=sys.stderr)
    return {**_figures(took, len(wrong)), "wrong": wrong}


def _figures(took: dict[str, list[float]], lost: int) -> dict[str, Any]:
    every = [value for some in took.values() for value in some]
    return {
        "outages": len(every) + lost,
        "share_within_5_s": round(sum(v <= SOON for v in every) / max(len(every) + lost, 1), 4),
        "seconds": _quantiles(every),
        "by_kind": {kind: _quantiles(some) for kind, some in sorted(took.items())},
        "load_average": round(psutil.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"n": 0}
    middle, late, last = np.percentile(seconds, (50, 95, 100)).round(2).tolist()
    return {"n": len(seconds), "median": middle, "p95": late, "max": last}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 1 when a page did not come back as it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="decides which outage comes when")
    parser.add_argument("--token", type=int, default=20, help="seconds after which it expires")
    parser.add_argument("--outages", nargs="*", default=list(OUTAGES), help="such as 'cut 45'")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="hullscape-outages-") as folder:
        told = rounds(options, Path(folder))
    text = json.dumps(told, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
