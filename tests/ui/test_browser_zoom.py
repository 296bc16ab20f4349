"""The page as zooming in leaves it: a window of 640 × 360, or that of a telephone."""

import pytest
from chromium import opened, wait_for
from handmade import put
from playwright.sync_api import expect

from explorer.store import Store
from explorer.ui.results_view import FIGURES

TOLD = {
    "Sites": "Site symmetry",
    "Bonds": "Coordination",
    "Match": "No known phase of",
    "Powder": "Radiation",
    "Notes": "Starred",
}
"""What the tabs of a crystal say."""
OUTSIDE = """() => {
  const found = [], roots = [document]
  const scrolled = (node) => {
    for (let each = node.parentElement; each; each = each.parentElement) {
      const scrolls = ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
      if (scrolls && each.scrollWidth > each.clientWidth) { return true }
    }
  }
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      const {left, right, width, height} = node.getBoundingClientRect()
      const shown = width > 2 && height > 2 && getComputedStyle(node).visibility !== "hidden"
      const drawn = node.ownerSVGElement || node.className?.startsWith?.("bk-Glyph")
      const clipped = node.closest(".tabulator") || drawn
      if (shown && !clipped && !scrolled(node) && right > innerWidth + 1 && left < innerWidth) {
        found.push(`${node.tagName} ${node.className}`)
      }
    }
  }
  return found
}"""
CLIPPED = """() => {
  const roots = [document], found = []
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (node.matches("button.cell") && node.scrollWidth > node.clientWidth + 1) {
        found.push(node.dataset.symbol)
      }
    }
  }
  return found
}"""

TINY = """() => {
  const roots = [document], found = []
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())
      if (!words || !node.offsetParent || node.closest(".material-icons")) { continue }
      const label = node.closest("label")
      const {a} = new DOMMatrix(label ? getComputedStyle(label).transform : "none")
      const size = a * parseFloat(getComputedStyle(node).fontSize)
      if (size < 10.5) { found.push(`${node.textContent} ${size.toFixed(1)}`) }
    }
  }
  return found
}"""
"""Words in letters of less than 10.5 pixels."""

CORNERS = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      const scene = node._fullLayout?.scene?._scene
      if (!scene?.glplot?.cameraParams) { continue }
      const {model, view, projection} = scene.glplot.cameraParams
      const times = (m, v) => [0, 1, 2, 3].map((row) =>
        v.reduce((sum, value, column) => sum + m[4 * column + row] * value, 0))
      const names = node.data.find(({uid}) => uid === "CORNERS")
      return names.text.flatMap((text, k) => {
        const place = ["x", "y", "z"].map((axis, j) => names[axis][k] * scene.dataScale[j])
        const [x, y, , w] = times(projection, times(view, times(model, [...place, 1])))
        return text ? [[x / w, y / w]] : []
      })
    }
  }
  return []
}"""
"""Where the corners' names stand in a figure in three dimensions, each way from -1 to 1."""

CUT = """() => {
  const roots = [document], found = []
  const apart = (a, b) => a.right <= b.left || b.right <= a.left
    || a.bottom <= b.top || b.bottom <= a.top
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (!node.classList.contains("js-plotly-plot")) { continue }
      const figure = node.getBoundingClientRect()
      const names = ".gtitle, .annotation-text, .xtitle, .legend"
      const parts = [...node.querySelectorAll(names)].map((part) => part.getBoundingClientRect())
      const cut = parts.some(({left, right}) => left < figure.left || right > figure.right)
      const crossed = parts.some((a, k) => parts.slice(k + 1).some((b) => !apart(a, b)))
      found.push([node.querySelector(names)?.textContent, cut, crossed])
    }
  }
  return found
}"""


def test_nothing_sticks_out_of_a_window_that_was_zoomed(site, browser):
    """Start and form fit its width; the form can be read, scrolled and closed, in the dark too."""
    with opened(f"{site[0]}?elements=Ti-O&spacegroups=136&n=1", browser=browser) as page:
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_text("How well the model draws").wait_for()
        for width, height in ((640, 360), (360, 640)):
            page.set_viewport_size({"width": width, "height": height})
            wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, "a start page that fits")
            wait_for(lambda: titles_fit(page), 30, "titles of figures that can be read")
            page.locator("header button").first.click()
            run = page.get_by_role("button", name="Run search")
            run.wait_for()
            wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, "a form that fits")
            assert page.evaluate(CLIPPED) == []
            assert run.bounding_box()["y"] > height or height > 480  # no lid on what is read
            run.scroll_into_view_if_needed()
            assert run.bounding_box()["y"] < height
            page.mouse.click(width - 15, height / 2)
            run.wait_for(state="hidden")
        page.get_by_label("Toggle theme").click()
        page.locator(".mui-dark").first.wait_for()
        page.locator("header button").first.click()
        paper = page.locator(".MuiDrawer-modal .MuiDrawer-paper")  # down to its foot of one ground
        expect(paper).to_have_css("background-image", "none")
        run.click()
        page.wait_for_url("**campaign=*")
        run.wait_for(state="hidden")  # the campaign is not left below the form


@pytest.fixture(scope="module")
def shared(site, browser):
    """Open a campaign once for the tests below."""
    with opened(f"{site[0]}?campaign={site[1]}", browser=browser) as page:
        page.locator(".tabulator-row").first.wait_for()
        yield page


def test_no_words_are_tiny_and_nothing_sticks_out_for_it(shared):
    """Buttons had letters of 10 pixels and fields names of less, beside words of 13."""
    page = shared
    page.locator(".tabulator-row [tabulator-field=state]").first.click()
    page.get_by_role("button", name="Powder", exact=True).wait_for()
    for width in (1920, 1640, 1280, 1110):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, f"a page that fits {width} pixels")
        assert page.evaluate(TINY) == []
    for width, height in ((640, 360), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, "a campaign that fits")
    page.set_viewport_size({"width": 1280, "height": 1400})
    # A window of another size scrolls.
    top = page.get_by_role("button", name="As drawn", exact=True)
    first = page.get_by_role("button", name="Facts", exact=True)

    def place() -> float:
        return first.bounding_box()["y"] - top.bounding_box()["y"]

    before = place()
    for tab, told in TOLD.items():  # they stay under a mouse that does
        page.get_by_role("button", name=tab, exact=True).click()
        page.get_by_text(told).first.wait_for()
        assert place() == before


def test_a_hull_in_three_dimensions_is_seen_whole_in_a_narrow_card(site, browser, home):
    """Plotly fits it to the height: beside long lists of facts two of four corners were cut off."""
    address, _ = site
    store = Store(home / "campaigns.db")
    four = put(store, elements=("Al", "Ca", "Cu", "Mg"))
    three = put(store, elements=("Al", "Ca", "Cu"))
    store.close()

    def heightened(name: str, corners: int) -> list:
        """Return the corners' names in a card that is higher than wide."""
        wait_for(lambda: len(page.evaluate(CORNERS)) == corners, 60, name)
        before = page.evaluate(CORNERS)
        figure = page.get_by_role("figure", name=name)
        figure.evaluate("(node) => { node.style.height = '700px' }")
        return wait_for(lambda: differs(before, page.evaluate(CORNERS)), 30, f"a higher {name}")

    with opened(f"{address}?campaign={four}", browser=browser) as page:
        page.get_by_text("No crystal yet").wait_for()  # where histograms come
        assert all(abs(x) < 0.9 for x, _ in heightened("Quaternary hull", 4))
        page.goto(f"{address}?campaign={three}")
        page.get_by_role("button", name="3-D").click()
        assert all(abs(x) < 0.9 for x, _ in heightened("Ternary hull", 3))


def differs(before: list, after: list) -> list:
    """Return a new reading once it differs from the one before; else none."""
    return after if after != before else []


def test_crystals_side_by_side_leave_room_for_their_numbers(shared):
    """In a low window the table is seen below them, in a narrow one its columns; notes keep lines.

    Over a crystal the wheel zooms: a window full of crystals could not be scrolled.
    """
    page = shared
    page.set_viewport_size({"width": 1280, "height": 900})
    ticks = page.locator(".tabulator-row input[type=checkbox]")
    wait_for(lambda: ticks.count() > 1, 60, "rows")
    for row in range(2):
        ticks.nth(row).click()
    page.get_by_role("button", name="Compare").first.click()
    energy = page.locator("[role=dialog] th[scope=row]", has_text="Above the hull")
    energy.wait_for()
    crystals = page.locator("[role=dialog] canvas")
    wait_for(lambda: drawn_up_to(crystals, 280), 30, "crystals of the height that they have")
    cell = page.locator("[role=dialog] td").first
    assert cell.evaluate("(node) => getComputedStyle(node).whiteSpace") == "pre-line"
    for width, height in ((640, 360), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for(lambda low=height: bottom(energy) < low, 30, "numbers below the crystals")
        wait_for(lambda low=height: drawn_up_to(crystals, 0.45 * low), 30, "smaller crystals")
        assert cell.bounding_box()["width"] > width / 4


def drawn_up_to(crystals, height: float) -> bool:
    """Whether crystals fill so many pixels, or as many of them as are left to a narrow column."""
    boxes = [crystal.bounding_box() for crystal in crystals.all()]
    return len(boxes) > 0 and all(120 < box["height"] <= height for box in boxes)


def bottom(locator) -> float:
    """Return where something ends, in pixels from the top of the window."""
    box = locator.bounding_box()
    return box["y"] + box["height"]


def titles_fit(page) -> bool:
    """Whether no title or legend of the measured figures is cut, or lies on another."""
    told = page.evaluate(CUT)
    return len(told) == len(FIGURES) and not any(cut or crossed for _, cut, crossed in told)
