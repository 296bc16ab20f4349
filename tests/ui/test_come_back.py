"""A page that lost its server, or never reached it, is loaded again when the server is back."""

import pytest
from chromium import CHROMIUM, SWITCHES
from playwright import sync_api as playwright

REFUSED_TWICE = """
document.documentElement.dataset.old = true
const ask = window.fetch
window.fetch = (...words) => {
  const asked = Number(sessionStorage.getItem("asked") ?? 0) + 1
  sessionStorage.setItem("asked", asked)
  return asked < 3 ? Promise.resolve(new Response("", {status: 502})) : ask(...words)
}
"""


@pytest.fixture
def page():
    """Return an empty page of a browser."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(90_000)
        yield opened
        browser.close()


def connected(page) -> None:
    """Wait until the page takes clicks."""
    page.locator("html[data-connected]").wait_for(state="attached")


def test_first_connection_fails(site, page):
    """The server goes between the page's HTML and its connection: the page does not stay dead."""
    address, campaign = site
    refused = []

    def join(socket) -> None:
        if not refused:
            refused.append(socket.url)
            socket.close(code=1011)
        else:
            socket.connect_to_server()

    page.route_web_socket("**/ws*", join)
    page.goto(f"{address}?campaign={campaign}")
    connected(page)
    assert len(refused) == 1
    assert page.evaluate("sessionStorage.getItem('hullscape-loads-in-vain')") is None


def test_script_does_not_come(site, page):
    """The server goes while the page's scripts are on their way."""
    address, _ = site
    page.route("**/bokeh.min.js*", lambda route: route.abort(), times=1)
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto(address)
    connected(page)
    assert any("bokeh.min.js" in url for url in failed)


def test_proxy_answers_for_a_server_that_is_away(site, page):
    """An error in the server's name is no server: the page stays until a real answer comes."""
    address, _ = site
    page.goto(address)
    connected(page)
    page.evaluate(REFUSED_TWICE)
    page.evaluate("hullscapeServer.lost()")
    page.locator("html[data-connected]:not([data-old])").wait_for(state="attached")
    assert page.evaluate("sessionStorage.getItem('asked')") == "3"
