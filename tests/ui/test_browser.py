"""The page in Chromium, served by ``panel serve app.py`` alone, without a network."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from handmade import HOSTILE, candidate, put
from playwright import sync_api as playwright
from pymatgen.core import Structure
from sqlalchemy import select

from explorer.candidate import State
from explorer.schema import runners
from explorer.store import Store

ROOT = Path(__file__).parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    "chromium",  # so that a machine without one fails by name instead of skipping in silence
)
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
)
POINTS = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (!node.classList.contains("js-plotly-plot")) { continue }
      const {xaxis, yaxis} = node._fullLayout
      const box = node.getBoundingClientRect()
      const pixel = (trace, k) => [
        box.x + xaxis._offset + xaxis.l2p(trace.x[k]),
        box.y + yaxis._offset + yaxis.l2p(trace.y[k]),
      ]
      return node.data.flatMap((trace) =>
        (trace.customdata ?? []).map((key, k) => [key, ...pixel(trace, k)]))
    }
  }
  return []
}"""


@contextmanager
def served(home: Path):
    """Serve the app from a store in `home`; the server and its runners are gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"HULLSCAPE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment.pop("HULLSCAPE_STORE", None)
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://localhost:{port}/app"
            wait_for(lambda: answers(address), 90, "the server")
            yield address
        finally:
            server.terminate()
            server.wait(20)
            end_runners(home)


def end_runners(home: Path) -> None:
    """End the runners of this store, by the process ids that they left there."""
    store = Store(home / "campaigns.db")
    with store.engine.begin() as connection:
        owners = connection.scalars(select(runners.c.owner)).all()
    store.close()
    for owner in filter(None, owners):
        with suppress(ProcessLookupError):
            os.kill(int(owner.rsplit("/", 2)[1]), signal.SIGTERM)


def answers(address: str) -> bool:
    """Whether the server replies."""
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310 - our own server
            return reply.status == 200
    except OSError:
        return False


def wait_for(condition, seconds: float, what: str):
    """Wait until `condition` holds and return its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


@contextmanager
def opened(address: str, **options):
    """Open a page; afterwards it must have had no error and asked no other host."""
    faults = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: None if is_local(r.url) else faults.append(r.url))
        page.goto(address)
        yield page
        browser.close()
    assert faults == []


def is_local(url: str) -> bool:
    """Whether a request stays on this machine."""
    return re.match(r"(https?|wss?)://localhost[:/]|data:|blob:", url) is not None


def candidates_on_hull(page) -> dict[str, tuple[float, float]]:
    """Return where each candidate lies on the hull figure, in pixels of the page."""
    points = page.evaluate(POINTS)
    return {key: (x, y) for key, x, y in points if key.startswith("candidate:")}


def field(page, label: str):
    """Return the text field with a label; its name goes on with the help text."""
    return page.get_by_role("textbox", name=re.compile(f"^{label}"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Serve a store that holds one campaign made by hand; gives the address and its id."""
    home = tmp_path_factory.mktemp("home")
    store = Store(home / "campaigns.db")
    items = (candidate(1), candidate(4), candidate(2, State.FAILED, reason=HOSTILE))
    campaign = put(store, *items, name=HOSTILE)
    store.close()
    with served(home) as address:
        yield address, campaign


def test_from_the_periodic_table_to_a_zip_of_cifs(site, tmp_path):
    """Click Al, Ca and Cu, run, watch a crystal land on the hull, select it, take it away."""
    with opened(site[0], accept_downloads=True) as page:
        for symbol in ("Al", "Ca", "Cu"):
            page.locator(f"button.cell[data-symbol={symbol}]").click()
        for label, number in (("Crystals to draw", "8"), ("Most atoms", "6")):
            field(page, label).fill(number)
            field(page, label).press("Enter")
        page.get_by_text("8 crystals of Al-Ca-Cu").wait_for()
        page.get_by_role("button", name="Run search").click()
        page.wait_for_url("**campaign=*")
        wait_for(lambda: candidates_on_hull(page), 240, "a relaxed crystal on the hull")
        page.locator(".tabulator-row", has_text="relaxed").first.click()
        page.locator("dt", has_text="Competes with").wait_for()
        page.locator("canvas").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download 1").click()
        path = tmp_path / "taken.zip"
        download.value.save_as(path)
        page.get_by_role("button", name="Stop").click()
    with zipfile.ZipFile(path) as archive:
        cifs = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".cif")]
    assert len(cifs) == 1
    structure = Structure.from_str(cifs[0], fmt="cif")
    assert {str(element) for element in structure.composition} == {"Al", "Ca", "Cu"}


def test_an_earlier_campaign_comes_back_by_its_address(site):
    """A link reopens a campaign; points, rows and the dark theme work, hostile text stays text."""
    address, campaign = site
    with opened(f"{address}?campaign={campaign}") as page:
        points = wait_for(lambda: candidates_on_hull(page), 60, "the hull")
        assert set(points) == {"candidate:000001", "candidate:000004"}
        assert page.get_by_role("slider", name=re.compile("energy above the hull")).count() == 1
        assert page.locator(".tabulator-row").count() == 3
        page.mouse.click(*points["candidate:000004"])
        page.locator("dd", has_text="000001").or_(page.locator("dd", has_text="000004")).wait_for()
        page.locator(".tabulator-row", has_text="failed").click()
        page.locator("dd", has_text="000002").wait_for()
        page.get_by_label("Toggle theme").click()
        page.locator(".mui-dark").first.wait_for()
        page.reload()
        wait_for(lambda: candidates_on_hull(page), 60, "the hull after a refresh")
        assert page.locator(".mui-dark").count() > 0
        assert page.title() == "Hullscape"


def test_elements_are_chosen_by_keyboard_and_problems_shown_at_their_field(site):
    """Letters jump to a symbol, Space chooses it; a formula outside the elements blocks Run."""
    with opened(site[0]) as page:
        run = page.get_by_role("button", name="Run search")
        page.get_by_text("choose at least one element").wait_for()
        assert run.is_disabled()
        page.locator("button.cell[data-symbol=H]").focus()
        for keys in ("mg", " ", "si", " "):
            page.keyboard.type(keys, delay=30)
            time.sleep(1.0)  # letters typed within this time belong to one symbol
        page.get_by_text("crystals of Mg-Si").wait_for()
        assert run.is_enabled()
        page.locator("button.cell[data-symbol=Og]").click(force=True)
        assert page.locator("button.cell[aria-pressed=true]").count() == 2
        field(page, "Formula").fill("CaMg2")
        field(page, "Formula").press("Enter")
        page.locator(".MuiFormHelperText-root.Mui-error").wait_for()
        assert run.is_disabled()
