"""The report as a browser opens it from a folder: on a screen of any width, and on paper."""

import pytest
from chromium import CHROMIUM, SWITCHES
from handmade import candidate, put
from playwright import sync_api as playwright

from explorer.export_campaign import report_of
from explorer.figures.report import PAPER

WIDTHS = "() => [...document.querySelectorAll('.plotly-graph-div svg.main-svg')].map((plot) => \
plot.getBoundingClientRect().width)"


@pytest.fixture
def report(store, tmp_path):
    """Return the address of a report whose names, tags and notes have no place to break."""
    given = put(store, candidate(1), candidate(2), name="long" * 40)
    tags = [f"{place:02d}{'x' * 38}" for place in range(20)]
    store.mark(given, "000001", tags=tags, note="y" * 900 + "\nsecond line")
    path = tmp_path / "report.html"
    path.write_text(report_of(store, store.campaign(given)), "utf-8")
    return path.as_uri()


def test_a_report_fits_a_window_and_paper(report):
    """Nothing makes the page wider than its window; printed figures are as wide as the paper."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        page.goto(report)
        page.locator(".main-svg").first.wait_for()
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")
        note = page.locator("td", has_text="second line")
        assert "\nsecond line" in note.inner_text()  # on a line of its own
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_function(f"({WIDTHS})().every((width) => width > {PAPER})")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function(f"({WIDTHS})().every((width) => width === {PAPER})")
        page.emulate_media(media="print")
        assert not page.locator(".modebar-container").first.is_visible()
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(f"({WIDTHS})().every((width) => width > {PAPER})")
        browser.close()
