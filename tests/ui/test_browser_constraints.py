"""Constraining in Chromium: space groups from the tree, Wyckoff sites by click."""

from urllib.parse import parse_qs, urlparse

from chromium import field, opened, wait_for

from explorer.store import Store


def choose(page, *symbols: str) -> None:
    """Click elements of the periodic table."""
    for symbol in symbols:
        page.locator(f"button.cell[data-symbol={symbol}]").click()


def test_a_clicked_wyckoff_site_is_obeyed(site, home):
    """Click I4/mmm, its 2a and Ca: the text follows, and every crystal drawn has Ca there."""
    with opened(site[0]) as page:
        choose(page, "Al", "Ca", "Cu")
        page.get_by_label("Search space groups").fill("i4/mmm")
        page.get_by_label("Search space groups").press("Enter")
        page.locator("button.pick", has_text="2a").click()
        page.get_by_role("button", name="Ca on 2a").click()
        wait_for(lambda: field(page, "Wyckoff sites").input_value() == "139:2a=Ca", 10, "the text")
        for label, number in (("Crystals to draw", "6"), ("Most atoms", "8")):
            field(page, label).fill(number)
            field(page, label).press("Enter")
        page.get_by_text("6 crystals of Al-Ca-Cu").wait_for()
        page.get_by_role("button", name="Run search").click()
        page.wait_for_url("**campaign=*")
        campaign = parse_qs(urlparse(page.url).query)["campaign"][0]
        store = Store(home / "campaigns.db")
        wait_for(lambda: store.campaign(campaign).counts["drawn"] == 6, 120, "six crystals")
        page.get_by_role("button", name="Stop").click()
    drawn, _ = store.candidates(campaign, 0)
    store.close()
    assert len(drawn) == 6
    for candidate in drawn:
        assert candidate.crystal.spacegroup == 139
        assert ("a", "Ca") in {(s.letter, s.element) for s in candidate.crystal.sites}


def test_space_groups_are_found_by_any_of_their_names(site):
    """A setting's symbol, a number, words; the tree works by keyboard alone."""
    with opened(site[0]) as page:
        search = page.get_by_label("Search space groups")
        for typed, group in (("pbnm", "Pnma (62)"), ("227", "Fd-3m (227)"), ("p 6_3/mmc", "194")):
            search.fill(typed)
            search.press("Enter")
            page.get_by_role("button", name="Remove space group").filter(has_text=group).wait_for()
        search.fill("cubic f")
        assert page.get_by_role("treeitem").count() == 11
        search.press("Escape")
        search.press("ArrowDown")
        for key in ("End", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", " "):
            page.keyboard.press(key)
        page.get_by_role("button", name="Remove space group 195").wait_for()
        page.get_by_role("button", name="Keep only P6₃/mmc (194)").click()
        page.locator("button.pick", has_text="2a").wait_for()
        assert page.locator("button.pick").count() == 12
