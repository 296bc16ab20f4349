"""The page in Chromium: from the periodic table to a zip, and back by a link."""

import csv
import re
import zipfile
from contextlib import closing, contextmanager

import pytest
from chromium import (
    NAMELESS,
    HeldBack,
    candidates_on_hull,
    field,
    focused,
    marked_step,
    opened,
    view_of_hull,
    wait_for,
)
from handmade import candidate, put
from playwright.sync_api import expect
from pymatgen.core import Structure

from explorer.store import Store

EVERY = ("000001", "000002", "000004")
"""The candidates of the campaign of `site`."""


def test_from_the_periodic_table_to_a_zip_of_cifs(site, browser, tmp_path):
    """Click Al, Ca and Cu, run, watch a crystal land on the hull, select it, take it away.

    Then pause, resume and stop, each of which the page tells once it is so.
    """
    with opened(site[0], browser=browser, accept_downloads=True) as page:
        for symbol in ("Al", "Ca", "Cu"):
            page.locator(f"button.cell[data-symbol={symbol}]").click()
        for label, number in (
            ("Crystals to draw", "7"),
            ("Crystals to draw", "900"),
            ("Most atoms", "6"),
        ):
            field(page, label).fill(number)
            field(page, label).press("Enter")
            page.wait_for_url(f"**={number}*")  # so that Enter is pressed twice in one field
        page.get_by_text("900 crystals of Al-Ca-Cu").wait_for()
        page.get_by_role("button", name="Run search").click()
        page.wait_for_url("**campaign=*")
        wait_for(lambda: candidates_on_hull(page), 240, "a relaxed crystal on the hull")
        page.get_by_role("button", name="Pause").click()
        page.locator(".chip", has_text="Paused").wait_for()
        page.locator(".tabulator-row", has_text="relaxed").first.click()
        page.locator("dt", has_text="Competes with").wait_for()
        page.locator("canvas").first.wait_for()
        page.locator("span:not(.awaited)", has_text="prototypes by similarity").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download 1").click()
        path = tmp_path / "taken.zip"
        download.value.save_as(path)
        for button, state in (("Resume", "Running"), ("Stop", "Stopped")):
            page.get_by_role("button", name=button).click()
            page.locator(".chip", has_text=state).wait_for()
        turn_the_hull(page)
    with zipfile.ZipFile(path) as archive:
        cifs = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".cif")]
    assert len(cifs) == 1
    structure = Structure.from_str(cifs[0], fmt="cif")
    assert {str(element) for element in structure.composition} == {"Al", "Ca", "Cu"}


def darkest_stepper(page) -> int:
    """Return the lowest of red, green and blue of the buttons that change a number, 0 to 255."""
    button = field(page, "Most atoms").locator("xpath=..").locator("button").first
    return min(map(int, re.findall(r"\d+", button.evaluate("b => getComputedStyle(b).color"))[:3]))


def shown(page) -> float:
    """Return how much of the hull's x axis is in view."""
    left, right = view_of_hull(page)
    return right - left


def turn_the_hull(page) -> None:
    """Zoom in, then turn the surface: what is drawn anew keeps the view."""
    figure = page.get_by_role("figure", name="Ternary hull")
    whole = shown(page)
    figure.hover()
    figure.locator("[data-title='Zoom in']").click()
    wait_for(lambda: shown(page) < 0.8 * whole, 60, "a closer look")
    page.get_by_role("button", name="Before").click()
    wait_for(lambda: not candidates_on_hull(page), 60, "the hull before the campaign")
    assert shown(page) < 0.8 * whole  # not the same: words below the figure may change its height
    page.get_by_role("button", name="3-D").click()
    first = wait_for(lambda: len(view_of_hull(page)) == 3 and view_of_hull(page), 60, "a surface")
    box = figure.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2 + 10, steps=4)
    page.mouse.up()
    views = [first]

    def turned() -> bool:
        views.append(view_of_hull(page))
        return views[-1] == views[-2] != first

    wait_for(turned, 60, "another side of it")
    page.get_by_role("button", name="Both").click()
    figure.get_by_text(re.compile("^candidate")).first.wait_for()
    assert view_of_hull(page) == views[-1]


def test_an_earlier_campaign_comes_back_by_its_address(site, browser, tmp_path):
    """A link reopens a campaign: a point of the hull is selected, starred and taken away.

    Rows and the dark theme work, hostile text stays text.
    """
    address, campaign = site
    link = f"{address}?campaign={campaign}"
    with opened(link, browser=browser, accept_downloads=True) as page:
        points = wait_for(lambda: candidates_on_hull(page), 60, "the hull")
        assert set(points) == {"candidate:000001", "candidate:000004"}
        page.get_by_role("slider", name=re.compile("energy above the hull")).wait_for()
        wait_for(lambda: page.locator(".tabulator-row").count() == 3, 60, "three rows")
        page.mouse.click(*points["candidate:000004"])
        page.locator("dd", has_text="000001").or_(page.locator("dd", has_text="000004")).wait_for()
        selected = page.locator(".tabulator-row", has_text="●")
        selected.locator("[tabulator-field=star]").click()
        selected.filter(has_text="★").wait_for()
        page.get_by_role("button", name="Relaxation").click()
        step = page.get_by_role("slider", name="Step")
        wait_for(lambda: step.get_attribute("aria-valuetext") == "4", 60, "the last step")
        step.focus()
        page.keyboard.press("Home")
        wait_for(lambda: marked_step(page) == 0, 60, "the curves at the first step")
        page.get_by_role("button", name="Facts").click()
        page.get_by_role("button", name="Formats").click()
        page.get_by_role("menuitem", name="POSCAR").click()
        page.keyboard.press("Escape")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download 1").click()
        download.value.save_as(tmp_path / "taken.zip")
        page.locator(".tabulator-row", has_text="failed").click()
        page.locator("dd", has_text="000002").wait_for()
        page.get_by_label("Toggle theme").click()
        page.locator(".mui-dark").first.wait_for()
        page.wait_for_url(re.compile("dark=true"))  # the server writes the address a moment later
        page.reload()
        wait_for(lambda: candidates_on_hull(page), 60, "the hull after a refresh")
        page.locator(".mui-dark").first.wait_for()
        wait_for(lambda: darkest_stepper(page) > 120, 60, "steppers that can be seen")
        fixed = page.get_by_role("figure", name="Energies above the hull").locator(".modebar-btn")
        fixed.first.wait_for()
        assert fixed.count() == 1  # the picture; to zoom would change nothing
        page.locator(".tabulator-row", has_text="★").wait_for()
        page.locator(".tabulator-row", has_text="●").filter(has_text="failed").wait_for()
        assert page.title() == "Hullscape"
    with zipfile.ZipFile(tmp_path / "taken.zip") as archive:
        (row,) = csv.DictReader(archive.read("candidates.csv").decode().splitlines())
        poscars = [name for name in archive.namelist() if name.startswith("poscars/")]
        assert campaign in archive.read("README.md").decode()
    assert row["starred"] == "True"
    assert poscars == [f"poscars/{row['id']}-CaCu.vasp"]


def test_elements_are_chosen_by_keyboard_and_problems_shown_at_their_field(site, browser):
    """Letters jump to a symbol, Space chooses it; a formula outside the elements blocks Run.

    On the same page a campaign of the list is renamed, deleted, brought back and compared; the
    browser goes back and forward. A screen reader can tell all controls of the page.
    """
    with opened(site[0], browser=browser) as page:
        page.get_by_role("link", name="The other one").wait_for()
        # names of steppers are set once the page is drawn
        wait_for(lambda: page.evaluate(NAMELESS) == [], 30, "names")
        assert page.evaluate("window.controls") > 150
        page.get_by_role("button", name="Rename: <img").click()
        page.keyboard.type("Rock salt")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Rock salt").wait_for()
        page.get_by_role("button", name="Delete: Rock salt").click()
        page.get_by_role("link", name="Rock salt").wait_for(state="detached")
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("link", name="Rock salt").wait_for()
        for name in ("Rock salt", "The other one"):
            page.get_by_role("checkbox", name=f"Compare: {name}").check()
        page.get_by_role("button", name="Compare: tick").click()
        page.wait_for_url("**compare=*")
        page.get_by_text("The first 2 crystals of each campaign").wait_for()
        page.go_back()
        page.get_by_role("checkbox", name="Compare: Rock salt").wait_for()
        page.go_forward()
        page.get_by_role("link", name="The other one").wait_for()
        page.get_by_role("button", name="All campaigns").click()
        page.get_by_role("checkbox", name="Compare: Rock salt").wait_for()
        run = page.get_by_role("button", name="Run search")
        page.get_by_text("choose at least one element").wait_for()
        expect(run).to_be_disabled()
        page.locator("button.cell[data-symbol=H]").focus()
        for keys in ("mg", " ", "si", " "):
            page.keyboard.type(keys)
        page.get_by_text("crystals of Mg-Si").wait_for()
        expect(run).to_be_enabled()
        page.get_by_role("button", name="More: Seed").wait_for()  # nobody has pointed at it
        page.locator("button.cell[data-symbol=Og]").click(force=True)
        expect(page.locator("button.cell[aria-pressed=true]")).to_have_count(2)
        field(page, "Formula").fill("CaMg2")
        field(page, "Formula").press("Enter")
        page.locator(".MuiFormHelperText-root.Mui-error").wait_for()
        expect(run).to_be_disabled()


def test_campaigns_are_compared_however_slowly_a_page_connects(site, browser, home):
    """What is drawn before the browser takes changes would be lost, and nothing else drawn."""
    with closing(Store(home / "campaigns.db")) as store:
        ids = [put(store, *map(candidate, range(size)), name="Compared") for size in (3, 4)]
    lines = []

    def tap(page):
        lines.append(HeldBack(page, from_ready=True))

    with opened(f"{site[0]}?compare={','.join(ids)}", before=tap, browser=browser) as page:
        plots = page.locator(".js-plotly-plot")
        wait_for(lambda: lines[0].messages, 60, "a page that is ready")
        page.wait_for_timeout(3000)
        assert plots.count() == 0
        lines[0].release()
        wait_for(lambda: plots.count() == 2, 60, "energies and hull")
        page.get_by_text("The first 3 crystals of each campaign").wait_for()


@pytest.fixture(scope="module")
def shared(site, browser):
    """Open a campaign once for the tests below; gives the page and the line to its server."""
    lines = []
    link = f"{site[0]}?campaign={site[1]}"
    with opened(link, before=lambda p: lines.append(HeldBack(p)), browser=browser) as page:
        yield page, lines[0]


def test_a_candidate_is_starred_and_shown_by_keyboard(shared):
    """Tab goes from the filters to a row's star and formula; a row drawn anew keeps the focus."""
    page, _ = shared
    page.locator(".tabulator-row", has_text="000001").wait_for()
    page.get_by_role("searchbox", name="Only states that contain").focus()
    for _ in range(9):
        page.keyboard.press("Tab")
        if focused(page)[0] == "Star CaCu 000001":
            break
    before = focused(page)[1]  # another test may have starred it
    after = {"true": "false", "false": "true"}[before]
    for pressed in (after, before):
        page.keyboard.press("Space")
        star = ["Star CaCu 000001", pressed]
        wait_for(lambda star=star: focused(page) == star, 60, "the star")
    page.keyboard.press("Tab")
    assert focused(page)[0] == "Show CaCu 000001"
    page.keyboard.press("Enter")
    page.locator("dd", has_text="000001").first.wait_for()


@contextmanager
def starred(site, home, page, *numbers):
    """Let the table of a campaign show its starred candidates alone; gives `star`.

    `star` sets one of a candidate as somebody else's page would.
    """
    with closing(Store(home / "campaigns.db")) as store:

        def star(number: str, starred: bool) -> None:
            store.mark(site[1], number, starred=starred)

        alone = page.get_by_role("checkbox", name="Starred only")
        try:
            for number in EVERY:
                star(number, number in numbers)
            alone.check()
            shown = page.locator(".tabulator-row [tabulator-field=number]")
            # By number: as many starred rows may still be those of the test before.
            wait_for(lambda: sorted(shown.all_inner_texts()) == [*numbers], 60, "the starred rows")
            yield star
        finally:  # the next test has the same campaign
            for number in EVERY:
                star(number, False)
            alone.uncheck()


def test_what_is_clicked_is_meant_wherever_its_row_goes(site, home, shared):
    """A click and a tick are on their way while rows come and go on the server."""
    page, line = shared
    with starred(site, home, page, *EVERY) as star:
        rows = page.locator(".tabulator-row")
        row = rows.filter(has_text="000004")
        assert rows.nth(1).inner_text() == row.inner_text()
        line.hold()
        row.locator("input[type=checkbox]").click()
        row.locator("[tabulator-field=state]").click()
        star("000001", False)
        wait_for(lambda: rows.count() == 2, 60, "two rows")
        line.release()
        row.filter(has_text="●").wait_for()
        page.locator("dd", has_text="000004").first.wait_for()
        page.get_by_role("button", name="Download 1").wait_for()
        wait_for(lambda: page.locator(".tabulator-selected").count() == 1, 30, "one tick")
        assert "000004" in page.locator(".tabulator-selected").inner_text()
        line.hold()
        row.locator("[tabulator-field=star]").click()
        star("000001", True)
        wait_for(lambda: rows.count() == 3, 60, "three rows")
        line.release()
        wait_for(lambda: row.count() == 0, 30, "one star less")
        assert rows.count() == 2


def test_the_keyboard_keeps_its_row_while_the_table_is_filled_anew(site, home, shared):
    """Nobody has pressed a key in it: rows come and go while people read."""
    page, _ = shared
    with starred(site, home, page, "000001", "000004") as star:
        rows = page.locator(".tabulator-row")
        page.get_by_role("button", name="Show CaCu 000001").focus()
        star("000004", False)
        wait_for(lambda: rows.count() == 1, 60, "one row")
        wait_for(lambda: focused(page)[0] == "Show CaCu 000001", 10, "the focus")
        page.keyboard.press("Enter")
        page.locator("dd", has_text="000001").first.wait_for()
        page.get_by_role("searchbox", name="Only states that contain").focus()
        star("000004", True)
        wait_for(lambda: rows.count() == 2, 60, "two rows")
        assert focused(page)[0] == "Only states that contain"  # who left is not called back


def test_a_click_counts_though_the_row_was_drawn_anew_below_it(site, home, shared):
    """Rows of a running campaign are, every second: while the button is held down, too."""
    page, _ = shared
    with starred(site, home, page, "000002", "000004") as star:
        page.locator(".tabulator-row [tabulator-field=state]").first.hover()
        page.mouse.down()
        star("000002", False)
        wait_for(lambda: page.locator(".tabulator-row").count() == 1, 60, "one row")
        page.mouse.up()
        page.locator("dd", has_text="000004").first.wait_for(timeout=20_000)
