"""The page as zooming in leaves it: a window of 640 × 360, or that of a telephone."""

from chromium import opened, wait_for

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


def test_nothing_sticks_out_of_a_window_that_was_zoomed(site):
    """Start, form and campaign fit its width; the form can be read, scrolled and closed."""
    address, campaign = site
    with opened(f"{address}?elements=Ti-O&spacegroups=136&n=1") as page:
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_text("How well the model draws").wait_for()
        for width, height in ((640, 360), (360, 640)):
            page.set_viewport_size({"width": width, "height": height})
            wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, "a start page that fits")
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
        page.locator("header button").first.click()
        run.click()
        page.wait_for_url("**campaign=*")
        run.wait_for(state="hidden")  # the campaign is not left below the form
        page.goto(f"{address}?campaign={campaign}")
        page.locator(".tabulator-row").first.wait_for()
        wait_for(lambda: page.evaluate(OUTSIDE) == [], 30, "a campaign that fits")
