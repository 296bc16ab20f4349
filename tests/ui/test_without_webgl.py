"""A browser that draws nothing in three dimensions, as on many remote desktops."""

from chromium import chromium, opened


def test_a_browser_without_webgl_is_told_why_it_sees_no_crystal(site):
    """The toolkit would throw and leave an empty box; all else of the crystal is there."""
    address, campaign = site
    with (
        chromium("--disable-3d-apis") as browser,
        opened(f"{address}?campaign={campaign}", browser=browser) as page,
    ):
        page.locator(".tabulator-row", has_text="relaxed").first.click()
        page.locator("dt", has_text="Competes with").wait_for()
        page.locator(".scene-note", has_text="no WebGL").wait_for()
