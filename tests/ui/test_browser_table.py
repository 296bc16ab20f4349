"""The table of candidates in Chromium: its room, its clicks, its place; names of all controls."""

import re
from dataclasses import replace

import pytest
from chromium import NAMELESS, candidates_on_hull, opened, wait_for
from handmade import candidate, put
from playwright.sync_api import expect

from explorer.candidate import State
from explorer.store import Store
from explorer.structure_files import NamedStructure
from explorer.ui.table_rows import SHEET

TABLE = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (node.classList.contains("tabulator-tableholder") && node.offsetWidth) { return node }
    }
  }
}"""
COLUMNS = """(holder) => [...holder.getRootNode().querySelectorAll(".tabulator-col")]
  .filter((column) => column.offsetWidth)
  .map((each) => [each.getAttribute("tabulator-field"), each.getBoundingClientRect().right])"""
DRAWN = """(holder) => {
  window.drawn = 0
  const count = (changes) => changes.forEach((each) => { window.drawn += each.addedNodes.length })
  new MutationObserver(count).observe(holder, {childList: true, subtree: true})
}"""
COUNT_POSTS = """
window.posts = 0
const post = MessagePort.prototype.postMessage
MessagePort.prototype.postMessage = function (...given) { window.posts++; post.apply(this, given) }
"""


@pytest.fixture(scope="module")
def crowded(site, home):
    """Return the address of a campaign of sixty candidates, some of which say why they are lost."""
    store = Store(home / "campaigns.db")
    lost = [
        candidate(k, State.DUPLICATE, reason="same crystal", matched="1") for k in range(50, 60)
    ]
    sought = [NamedStructure("salt", candidate(0).relaxed)]
    placed = (candidate(k, energy_per_atom=-2.0 + 0.01 * k) for k in range(50))
    crystals = (*placed, *lost)
    campaign = put(store, *crystals, given=sought, targets="salt.cif", name="Crowded")
    store.close()
    return f"{site[0]}?campaign={campaign}"


@pytest.fixture(scope="module")
def shared(browser, crowded):
    """Open the crowded campaign once for all tests, which the first finds untouched."""

    def count(page):
        page.add_init_script(COUNT_POSTS)

    with opened(crowded, before=count, browser=browser, accept_downloads=True) as page:
        yield page


@pytest.fixture
def page(shared):
    """Return the page of the crowded campaign with nothing filtered or scrolled."""
    shared.set_viewport_size({"width": 1280, "height": 900})
    words = shared.get_by_role("searchbox", name="Only states that contain")
    if words.input_value():
        words.press("ControlOrMeta+a")
        words.press("Delete")
    scroll = "(holder) => { holder.scrollTop = holder.scrollLeft = 0 }"
    shared.evaluate_handle(TABLE).evaluate(scroll)
    table_of(shared)
    shared.get_by_role("figure", name="Binary hull").scroll_into_view_if_needed()
    return shared


def table_of(page):
    """Return the part of the table that scrolls, once it has rows."""
    page.locator(".tabulator-row", has_text="000000").wait_for()
    return page.evaluate_handle(TABLE)


def test_a_page_that_nobody_touches_leaves_the_browser_at_rest(shared):
    """The table does not ask for ever whether the styles that its theme replaced have come."""
    shared.locator(".tabulator-row").first.wait_for()

    def rests() -> bool:
        posts = shared.evaluate("window.posts")
        shared.wait_for_timeout(500)
        return shared.evaluate("window.posts") - posts < 10

    wait_for(rests, 30, "a browser at rest")


def test_every_column_is_seen_whole_at_usual_widths(page):
    """Also beside a scroll bar that takes room, as most desktops draw it; and after a resize."""
    bar = 15  # pixels; the browser of the tests draws none
    table = table_of(page)

    def end() -> float:
        return table.evaluate("(holder) => holder.getBoundingClientRect().right")

    def whole() -> bool:
        edges = dict(table.evaluate(COLUMNS))
        assert list(edges)[-1] == "reason"
        return edges["novelty"] + 90 <= end() - bar and max(edges.values()) <= end() + 1

    ends = [0.0]
    for width in (1280, 1680, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for(lambda: end() != ends[-1], 30, f"a table for {width} pixels")
        wait_for(whole, 30, f"every column at {width} pixels")
        ends.append(end())


def test_what_is_ticked_is_what_is_shown(page):
    """The box at the top ticks and unticks what the filter shows; a tick leaves its place."""
    table = table_of(page)

    def tick(row) -> None:
        row.locator("input[type=checkbox]").click()

    def counts(number: int) -> None:
        page.get_by_role("button", name=f"Download {number} (.zip)").wait_for()

    table.evaluate("(holder) => { holder.scrollTop = 1500 }")
    tick(page.locator(".tabulator-row", has_text="000049"))
    counts(1)
    table.evaluate("(holder) => { holder.scrollTop = 0 }")
    box = page.locator(".tabulator-row", has_text="000001").locator(".tabulator-cell").nth(1)
    box.click(position={"x": 2, "y": 15})  # beside the box, in its cell
    counts(2)
    assert table.evaluate("(holder) => holder.scrollTop") == 0
    words = page.get_by_role("searchbox", name="Only states that contain")
    words.press_sequentially("dup")
    page.locator(".tabulator-row", has_text="000050").wait_for()
    everything = page.get_by_role("checkbox", name="Tick all rows")
    everything.click()
    counts(12)
    everything.click()
    counts(2)
    words.press("ControlOrMeta+a")
    words.press("Delete")
    page.locator(".tabulator-row", has_text="000000").wait_for()
    expect(page.locator(".tabulator-selected")).to_have_count(1)
    everything.click()
    counts(60)
    everything.click()
    page.get_by_role("button", name="Download (.zip)").wait_for()


def test_every_pixel_of_a_row_selects_it_and_the_place_is_kept(page):
    """A click where two columns meet counts; a row far down stays under the mouse."""
    table = table_of(page)
    table.evaluate("(holder) => { holder.scrollIntoView(); holder.scrollTop = 595 }")
    edges = dict(table.evaluate(COLUMNS))
    for name, other in (("state", "000019"), ("relaxed", "000020"), ("formula", "000021")):
        row = page.locator(".tabulator-row", has_text=other)
        box = row.bounding_box()
        page.mouse.click(edges[name] - 1, box["y"] + box["height"] / 2)
        row.filter(has_text="●").wait_for()
        page.locator("dd", has_text=other).first.wait_for()
        assert table.evaluate("(holder) => holder.scrollTop") == 595
    row.locator("[tabulator-field=star]").click()
    row.filter(has_text="★").wait_for()
    assert table.evaluate("(holder) => holder.scrollTop") == 595


def test_a_point_of_the_hull_brings_its_row_into_sight(page):
    """In the table alone: the page stays where it is."""
    table = table_of(page)
    assert table.evaluate("(holder) => holder.scrollTop") == 0
    row = page.locator(".tabulator-row", has_text="●")

    def at_rest():  # the page moves while its parts arrive
        point = candidates_on_hull(page).get("candidate:000045")
        page.wait_for_timeout(500)
        return point if point == candidates_on_hull(page).get("candidate:000045") else None

    place = wait_for(at_rest, 60, "the hull")
    page.mouse.click(*place)
    row.filter(has_text=re.compile("00004[1-9]")).wait_for()

    def inside() -> bool:
        top, bottom = table.evaluate(
            "(holder) => [holder.getBoundingClientRect().top, "
            "holder.getBoundingClientRect().bottom]"
        )
        box = row.bounding_box()
        return top <= box["y"] and box["y"] + box["height"] <= bottom

    wait_for(inside, 30, "the row in sight")
    assert candidates_on_hull(page)["candidate:000045"] == place


def test_of_many_rows_every_one_can_be_reached(site, home, browser):
    """Sheet by sheet, and from any sheet by what is typed."""
    store = Store(home / "campaigns.db")
    one = candidate(0)
    many = [
        replace(one, id=f"{k:06d}", index=k, energy_above_hull=1e-5 * k)
        for k in range(2 * SHEET + 20)
    ]
    lost = candidate(2 * SHEET + 20, State.FAILED, reason="fell apart")
    campaign = put(store, *many, lost, name="Many")
    store.close()
    with opened(f"{site[0]}?campaign={campaign}", browser=browser) as page:
        rows = page.locator(".tabulator-row")
        page.get_by_text("Rows 1–500 of 1,021").wait_for()
        page.get_by_role("button", name="Go to last page").click()
        page.get_by_text("Rows 1,001–1,021 of 1,021").wait_for()
        rows.filter(has_text="001000").wait_for()
        page.locator(".tabulator-col[tabulator-field=number] .tabulator-col-title").click()
        page.get_by_text("Rows 1–500 of 1,021").wait_for()
        rows.filter(has_text="000000").wait_for()
        words = page.get_by_role("searchbox", name="Only states that contain")
        words.press_sequentially("failed")
        page.get_by_text("Rows 1–1 of 1 that match; 1,021 in all").wait_for()
        rows.filter(has_text="fell apart").wait_for()
        expect(rows).to_have_count(1)


def test_a_click_into_a_filter_draws_no_row(page):
    """What is typed there does."""
    table = table_of(page)
    filters = page.locator(".tabulator-header-filter input")
    filters.first.click()  # Panel draws a table that comes into sight
    page.wait_for_timeout(500)
    table.evaluate(DRAWN)
    for place in (1, 0, 1):
        filters.nth(place).click()
    page.wait_for_timeout(500)
    assert page.evaluate("window.drawn") == 0
    filters.nth(1).press_sequentially("dup")
    wait_for(lambda: page.evaluate("window.drawn") > 0, 30, "other rows")
    page.locator(".tabulator-row", has_text="000050").wait_for()


def test_frozen_columns_hide_what_is_scrolled_below_them(page):
    """With all columns shown the formula stays, and nothing shines through it."""
    table = table_of(page)
    page.get_by_role("button", name="Columns").click()
    for name in ("log p", "Generated", "Asked", "Note"):
        page.get_by_role("menuitem", name=name).click()
    page.keyboard.press("Escape")
    wait_for(lambda: "note" in dict(table.evaluate(COLUMNS)), 30, "the columns")
    table.evaluate("(holder) => { holder.scrollLeft = 200 }")
    for place in (".tabulator-header .tabulator-col", ".tabulator-row .tabulator-cell"):
        cell = page.locator(f"{place}[tabulator-field=formula]").first
        colour = cell.evaluate("(node) => getComputedStyle(node).backgroundColor")
        assert colour == "rgb(255, 255, 255)", place
        assert cell.is_visible()


def test_every_control_has_a_name_of_its_own(page):
    """In a campaign with a crystal, in its dialogs: a screen reader can tell them apart."""
    page.locator(".tabulator-row", has_text="000003").locator("[tabulator-field=state]").click()
    page.locator("dt", has_text="Competes with").wait_for()
    for tab in ("Sites", "Relaxation", "Match", "Powder", "Notes"):
        page.get_by_role("button", name=tab, exact=True).click()
        wait_for(lambda: page.evaluate(NAMELESS) == [], 30, "names")
    for kind, number in (("Star", 6), ("Show", 6), ("Tick", 6), ("Download plot", 2)):
        labels = page.locator(f"[aria-label^='{kind}']").evaluate_all(
            "(nodes) => nodes.map((node) => node.getAttribute('aria-label'))"
        )
        assert len(labels) >= number
        assert len(set(labels)) == len(labels)
    with page.expect_download() as download:
        page.get_by_role("figure", name="Binary hull").hover()
        page.get_by_role("button", name="Download plot as a PNG: Binary hull").click()
    assert download.value.suggested_filename == "Binary hull Ca–Cu.png"
    page.get_by_role("img", name="0 of 1 target found within 60 crystals").wait_for()
