"""Constraining in Chromium: space groups from the tree, Wyckoff sites by click, links and files."""

import re
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from chromium import HeldBack, field, opened, wait_for
from playwright.sync_api import expect
from pymatgen.core import Lattice, Structure

from explorer.store import Store
from explorer.ui.draft import Draft
from explorer.ui.saved import read_toml, write_query


def choose(page, *symbols: str) -> None:
    """Click elements of the periodic table."""
    for symbol in symbols:
        page.locator(f"button.cell[data-symbol={symbol}]").click()


def test_a_clicked_wyckoff_site_is_obeyed(site, browser, home):
    """Click I4/mmm, its 2a and Ca, and never on 4d: the text follows, and every crystal obeys.

    A forbidden position that is asked for is allowed again, by key and by click, and its free
    coordinate is given by hand; what is no number is refused at the field.
    """
    with opened(site[0], browser=browser) as page:
        choose(page, "Al", "Ca", "Cu")
        page.get_by_label("Search space groups").fill("i4/mmm")
        page.get_by_label("Search space groups").press("Enter")
        told = page.locator(".preview .words")
        told.get_by_text("keeps one empty").wait_for()
        assert told.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")  # all of it
        page.locator("button.pick", has_text="2a").click()
        page.get_by_role("button", name="Ca on 2a").click()
        wait_for(lambda: field(page, "Wyckoff sites").input_value() == "139:2a=Ca", 30, "the text")
        page.get_by_role("button", name="Never an atom on 4d").click()
        page.locator("button.pick", has_text="4e").press("3")
        for sites in ("139:2a=Ca,+139:4d=none,+139:4e=none", "139:2a=Ca,+139:4d=none,+139:4e"):
            page.wait_for_url(f"**sites={sites}")
            page.locator("button.pick", has_text="4e").click()
        page.wait_for_url("**sites=139:2a=Ca,+139:4d=none")
        page.locator("button.pick", has_text="4e").click()
        height = page.get_by_label("z of 4e")
        for typed in ("0,4", "1/0", "0.4..0.35", "0.1..1.1", "0.35..0.4"):
            height.fill(typed)
            height.press("Enter")
            wait_for(
                lambda typed=typed: field(page, "Wyckoff sites").input_value().endswith(typed),
                30,
                "the coordinate",
            )
            refused = str(typed != "0.35..0.4").lower()  # by the field as by the server
            page.locator(f"input[aria-label='z of 4e'][aria-invalid={refused}]").wait_for()
        page.wait_for_url("**sites=139:2a=Ca,+139:4d=none,+139:4e%40z=0.35..0.4")
        forbidden = page.get_by_role("button", name="Never an atom on 4d")
        expect(forbidden).to_have_attribute("aria-pressed", "true")
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
        heights = [s.free[0] for s in candidate.crystal.sites if s.letter == "e"]
        assert any(0.349 < z < 0.401 for z in heights)
        assert "d" not in {s.letter for s in candidate.crystal.sites}


UNSPOKEN = """() => {
  const named = "button[aria-label], a[aria-label], [role=treeitem][aria-label]"
  const plain = (text) => text.replace(/[^\\p{L}\\p{N}]+/gu, "").toLowerCase()
  const roots = [document], unlike = []
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (!node.matches(named)) { continue }
      const read = node.cloneNode(true)
      for (const icon of read.querySelectorAll("[aria-hidden=true]")) { icon.remove() }
      const [name, seen] = [node.getAttribute("aria-label"), read.textContent].map(plain)
      if (!name.includes(seen)) { unlike.push([node.getAttribute("aria-label"), seen]) }
    }
  }
  return unlike
}"""
"""Names of controls that do not hold what is seen on them: who speaks to a page cannot say them."""


def test_a_click_is_answered_however_slowly_a_page_connects(site, browser):
    """What is chosen before the server knows that the browser is ready changes the page after all.

    Before the browser is ready itself, nothing can be chosen. Later groups are found by any of
    their names.
    """
    held = []

    def tap(page):
        held.append(HeldBack(page, from_ready=True))

    with opened(site[0], tap, browser=browser) as page:
        assert not page.evaluate("document.body.inert")
        while not held[0].messages:
            page.wait_for_timeout(100)
        search = page.get_by_label("Search space groups")
        search.fill("227")
        search.press("Enter")
        while not any("227" in content for *_, content in held[0].messages):
            page.wait_for_timeout(100)
        held[0].release()
        page.locator("button.pick", has_text="8a").wait_for()
        find_space_groups(page)


def find_space_groups(page) -> None:
    """Give a setting's symbol and words; go through the tree by keyboard alone."""
    search = page.get_by_label("Search space groups")
    for typed, group in (("pbnm", "Pnma (62)"), ("216", "F-43m (216)"), ("p 6_3/mmc", "194")):
        search.fill(typed)
        search.press("Enter")
        page.get_by_role("button", name="Remove space group").filter(has_text=group).wait_for()
    search.fill("cubic f")
    expect(page.get_by_role("treeitem")).to_have_count(11)
    search.press("Escape")
    search.press("ArrowDown")
    for key in ("End", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", " "):
        page.keyboard.press(key)
    page.get_by_role("button", name="Remove space group P23 (195)").wait_for()
    page.get_by_role("button", name="Keep only P6₃/mmc (194)").click()
    page.locator("button.pick", has_text="2a").wait_for()
    expect(page.locator("button.pick")).to_have_count(12)


def test_a_shared_link_reopens_the_constraints(site, browser, tmp_path):
    """What the address says is in the form, Save writes it, and changes come back by a refresh.

    Names of buttons hold what is seen on them: those of the form with sites of two groups, and of
    a campaign, which is the page's heading.
    """
    sites = "225:4a=Ca, 225:8c=none, 225:32f=Al, 139:2a=Ca"
    asked = {"elements": ["Al", "Ca"], "spacegroups": [225], "sites": sites, "n": 5}
    draft = Draft(**asked)
    link = site[0] + write_query(draft, f"?campaign={site[1]}")
    with opened(link, browser=browser, accept_downloads=True) as page:
        page.locator("button.again").wait_for()
        page.locator(".tabulator-row").first.wait_for()
        assert page.evaluate(UNSPOKEN) == []
        headings = page.get_by_role("heading", level=1)
        expect(headings).to_have_count(1)
        assert headings.inner_text().startswith("Campaign ")
        page.get_by_role("button", name="Remove space group Fm-3m (225)").wait_for()
        chosen = page.get_by_role("button", name="Ca on 4a")
        chosen.wait_for()
        expect(chosen).to_have_attribute("aria-pressed", "true")
        forbidden = page.get_by_role("button", name="Never an atom on 8c")
        expect(forbidden).to_have_attribute("aria-pressed", "true")
        with page.expect_download() as download:
            page.get_by_role("button", name=re.compile("^Save")).click()
        download.value.save_as(tmp_path / "saved.toml")
        page.get_by_role("button", name="Al on 4a").click()
        page.wait_for_url("**sites=225:4a=*Al*")
        page.reload()
        wait_for(
            lambda: "Al" in field(page, "Wyckoff sites").input_value(), 60, "the changed sites"
        )
    saved = read_toml((tmp_path / "saved.toml").read_text("utf-8"))
    assert saved == asked


def test_elements_go_through_their_states_by_click_and_by_key(site, browser):
    """Must, may, never, none; a range is told wrong at its field; others may join; a link keeps it.

    The address names what the server took over.
    """
    with opened(site[0], browser=browser) as page:
        choose(page, "Ca", "Cu", "Cu", "Al")
        page.wait_for_url("**elements=Al-Ca-Cu&subset=true&required=Al-Ca*")
        copper = page.locator("button.cell[data-symbol=Cu]")
        expect(copper).to_have_attribute("aria-label", "Copper, Cu, may appear")
        expect(copper).to_have_attribute("aria-pressed", "mixed")
        copper.press("3")
        page.keyboard.press("p")
        page.keyboard.press("b")
        page.keyboard.press("3")
        page.wait_for_url("**elements=Al-Ca&excluded=Cu-Pb*")
        page.get_by_text("so “never” changes nothing yet").wait_for()
        page.keyboard.press("Delete")
        page.get_by_label("Other elements may join").check()
        page.wait_for_url("**required=Al-Ca&excluded=Cu*")
        page.get_by_text("crystals of any elements with Al, Ca without Cu").wait_for()
        page.get_by_label("Other elements may join").uncheck()
        page.get_by_role("button", name="Remove Cu, never").click()
        page.wait_for_url("**elements=Al-Ca")
        field(page, "Formula").fill("CaAl4-1")
        field(page, "Formula").press("Enter")
        page.get_by_text("smaller count of a range first").first.wait_for()
        field(page, "Formula").fill("CaAl1-4")
        field(page, "Formula").press("Enter")
        page.wait_for_url("**elements=Al-Ca&formula=CaAl1-4")
        page.get_by_text("crystals of Al-Ca, relaxed").wait_for()
        page.get_by_role("radio", name="never").click()
        choose(page, "Pb")
        page.wait_for_url("**excluded=Pb")
        page.reload()
        page.get_by_role("button", name="Remove Pb, never").wait_for()
        expect(page.get_by_role("button", name="Remove Ca, must appear")).to_have_count(1)
        expect(field(page, "Formula")).to_have_value("CaAl1-4")


def test_a_structure_file_fills_the_form_and_a_broken_one_says_why(site, browser, tmp_path):
    """Rock salt gives its group and sites; the form keeps them when the next file is no CIF.

    The same files as targets: a broken one is told at the field, and each can be removed again.
    At last the crystals of another generator, which become a campaign.
    """
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    salt.to(str(tmp_path / "salt.cif"))
    (tmp_path / "broken.cif").write_text("no crystal")
    with opened(site[0], browser=browser) as page:
        upload = page.get_by_role("button", name="Open file")
        upload.set_input_files(tmp_path / "salt.cif")
        page.get_by_text("salt.cif fills the form").wait_for()
        page.get_by_role("button", name="Remove space group Fm-3m (225)").wait_for()
        page.get_by_text("crystals of Cl-Na").wait_for()
        upload.set_input_files(tmp_path / "broken.cif")
        page.get_by_text("broken.cif: cannot read").wait_for()
        expect(page.get_by_role("button", name="Remove space group Fm-3m (225)")).to_have_count(1)
        targets = page.get_by_label("Drop target structures here")
        remove = page.get_by_role("button", name="Remove", exact=True)
        words = {"salt": "salt.cif: 1 structure read", "broken": "Target structures: cannot read"}
        for file in ("salt", "broken", "salt"):
            targets.set_input_files(tmp_path / f"{file}.cif")
            page.get_by_text(words[file]).wait_for()
            remove.click()
            remove.wait_for(state="hidden")
            targets.wait_for(state="attached")
        judge_crystals(page, tmp_path / "made.zip")


def judge_crystals(page, file: Path) -> None:
    """Drop a zip of CIFs: one is told unread, the others run and their fates add up.

    The settings of the campaign bring them back without the file.
    """
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    pressed = Structure(Lattice.cubic(1.2), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    with zipfile.ZipFile(file, "w") as archive:
        for name, structure in (("a", salt), ("b", salt), ("c", pressed)):
            archive.writestr(f"{name}.cif", structure.to(fmt="cif"))
        archive.writestr("d.cif", "no crystal")
    (file.parent / "judge.toml").write_text('generator = "file"\nelements = ["Cl", "Na"]\n')
    page.get_by_role("button", name="Open file").set_input_files(file.parent / "judge.toml")
    page.get_by_text("expected a file of crystals, got none").first.wait_for()
    run = page.get_by_role("button", name="Run search")
    wait_for(run.is_disabled, 60, "a Run that cannot be pressed")
    page.get_by_label("Drop crystals here").set_input_files(file)
    page.get_by_text("1 of them cannot be read").wait_for()
    page.get_by_text("3 crystals of Cl-Na in made.zip").wait_for()
    run.click()
    page.wait_for_url("**campaign=*")
    page.get_by_text("Finished", exact=True).wait_for()
    wait_for(lambda: page.locator(".tabulator-row").count() == 3, 60, "a row for each")
    for fate in ("known", "duplicate", "rejected"):
        expect(page.locator(".tabulator-row", has_text=fate)).to_have_count(1)
    page.locator(".line", has_text="3 of 3 drawn").wait_for()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_text("expected a file of crystals, got none").first.wait_for()
    page.get_by_role("button", name="Use these settings").click()
    page.get_by_text("3 crystals of Cl-Na in made.zip").wait_for()
