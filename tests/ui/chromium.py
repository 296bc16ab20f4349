"""Chromium at a page that ``panel serve app.py`` alone serves, without a network."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from playwright import sync_api as playwright
from sqlalchemy import select

from explorer.schema import runners
from explorer.store import Store

playwright.expect.set_options(timeout=60_000)  # of a machine that runs other tests as well
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
      if (!xaxis) { return [] }   // in three dimensions
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

VIEW = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (!node.classList.contains("js-plotly-plot")) { continue }
      const {scene, xaxis} = node._fullLayout
      const {eye} = scene?._scene?.getCamera() ?? {}
      return eye ? [eye.x, eye.y, eye.z] : xaxis?.range ?? []
    }
  }
  return []
}"""

FOCUSED = """() => {
  let node = document.activeElement
  while (node?.shadowRoot?.activeElement) { node = node.shadowRoot.activeElement }
  return [node.getAttribute("aria-label"), node.getAttribute("aria-pressed")]
}"""

MARKED_STEP = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      const shapes = node.classList.contains("js-plotly-plot") ? node.layout.shapes ?? [] : []
      const upright = shapes.find((shape) => shape.x0 === shape.x1)
      if (upright) { return upright.x0 }
    }
  }
  return null
}"""


# What a pointer or a key can use and a screen reader meets; a menu's hidden twin is no such thing.
NAMELESS = """() => {
  const kinds = "a[href], button, input, select, textarea, [role=button], [role=slider], " +
    "[role=combobox], [role=checkbox], [role=tab], [role=menuitem], [role=switch], [role=radio]"
  const textOf = (node) => (node?.textContent ?? "").replaceAll("\u200b", "").trim()
  const roots = [document], found = []
  for (const root of roots) {
    const named = (ids) => (ids ?? "").split(" ").filter(Boolean)
      .map((id) => textOf(root.getElementById?.(id))).join(" ")
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (!node.matches(kinds) || node.closest("[aria-hidden=true]")) { continue }
      const names = [node.getAttribute("aria-label"), named(node.getAttribute("aria-labelledby")),
        ...[...node.labels ?? []].map(textOf), node.title, textOf(node),
        node.querySelector("img")?.alt]
      if (!names.some((name) => name?.trim())) { found.push(node.outerHTML.slice(0, 200)) }
      else { window.controls = (window.controls ?? 0) + 1 }
    }
  }
  return found
}"""


@contextmanager
def served(home: Path, *options: str):
    """Serve the app from a store in `home`; the server and its runners are gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"HULLSCAPE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment.pop("HULLSCAPE_STORE", None)
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port), *options]
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
    """Whether the server replies; a request that is given up would still be worked on."""
    try:
        with urllib.request.urlopen(address, timeout=80) as reply:  # noqa: S310 - our own server
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


class HeldBack:
    """What a browser sends, kept from `hold` on until `release`.

    Parameters
    ----------
    page
        Not opened yet.
    from_ready
        Hold from its word that the page is ready on.
    """

    def __init__(self, page, from_ready: bool = False) -> None:
        self._awaited = "document_ready" if from_ready else None
        self._holds = False
        self._frames = []
        self._server = None
        self.messages = []
        page.route_web_socket("**/ws*", self._join)

    def _join(self, browser) -> None:
        self._server = browser.connect_to_server()
        self._server.on_message(browser.send)
        browser.on_message(self._send)

    def _send(self, frame) -> None:
        """Pass on a message once it is whole: a header, metadata and content."""
        self._frames.append(frame)
        if len(self._frames) == 3:
            message, self._frames = self._frames, []
            if self._awaited and self._awaited in message[2]:
                self._holds, self._awaited = True, None
            if self._holds:
                self.messages.append(message)
            else:
                self._pass(message)

    def _pass(self, message) -> None:
        for frame in message:
            self._server.send(frame)

    def hold(self) -> None:
        """Let nothing through."""
        self._holds = True

    def release(self) -> None:
        """Send what was held back, in its order."""
        self._holds = False
        while self.messages:
            self._pass(self.messages.pop(0))


@contextmanager
def chromium(*switches: str):
    """Run Chromium, with more switches than the usual ones."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*SWITCHES, *switches])
        yield browser
        browser.close()


@contextmanager
def opened(address: str, before=lambda page: None, browser=None, **options):
    """Open a page; afterwards it must have had no error and asked no other host.

    In `browser`, or in one of its own: of those a program may run only one at a time.
    """
    faults = []
    with nullcontext(browser) if browser else chromium() as program:
        page = program.new_page(viewport={"width": 1280, "height": 900}, **options)
        page.set_default_timeout(90_000)  # a busy machine may take that long for its first page
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: None if is_local(r.url) else faults.append(r.url))
        before(page)
        page.goto(address)
        if "/app" in page.url:  # not the login
            page.locator("html[data-connected]").wait_for(state="attached")
        try:
            yield page
        finally:
            page.context.close()
    assert faults == [], faults  # no test module, so pytest would not tell them


def is_local(url: str) -> bool:
    """Whether a request stays on this machine."""
    return re.match(r"(https?|wss?)://localhost[:/]|data:|blob:", url) is not None


def candidates_on_hull(page) -> dict[str, tuple[float, float]]:
    """Return where each candidate lies on the hull figure, in pixels of the page."""
    points = page.evaluate(POINTS)
    return {key: (x, y) for key, x, y in points if key.startswith("candidate:")}


def view_of_hull(page) -> list[float]:
    """Return where the camera of the hull figure is, or the ends of its x axis; rounded."""
    return [round(number, 6) for number in page.evaluate(VIEW)]


def marked_step(page) -> float | None:
    """Return the step that the curves of a relaxation mark."""
    return page.evaluate(MARKED_STEP)


def focused(page) -> list[str | None]:
    """Return name and pressed state of what has the keyboard's focus."""
    return page.evaluate(FOCUSED)


def field(page, label: str):
    """Return the text field with a label; its name goes on with the help text."""
    return page.get_by_role("textbox", name=re.compile(f"^{label}"))
