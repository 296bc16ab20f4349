"""A search and its views in a notebook: results at hand, and the page's views in a frame."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from chromium import candidates_on_hull, opened, wait_for
from handmade import HOSTILE, candidate, put

import explorer.ui
from explorer import read_found, search
from explorer.campaign import CampaignState, SpecError
from explorer.candidate import State
from explorer.headless import DATABASE, write_results
from explorer.store import Store
from explorer.targets import NO_TARGETS
from explorer.ui import notebook, view


@pytest.fixture
def found(tmp_path):
    """Return what a search has brought: two crystals above the hull, and one that failed."""
    store = Store(tmp_path / DATABASE)
    failed = candidate(2, State.FAILED, reason=HOSTILE)
    campaign = put(store, candidate(20), candidate(1), failed, n=9)
    write_results(tmp_path, store.campaign(campaign), store.candidates(campaign)[0], NO_TARGETS)
    store.close()
    return read_found(tmp_path)


@pytest.fixture
def servers():
    """Give the servers that a test starts, and end them as the end of a kernel does."""
    yield notebook._SERVERS
    for server, _ in notebook._SERVERS.values():
        server.stdin.close()
        assert server.wait(60) == 0
    notebook._SERVERS.clear()


def test_the_package_is_imported_without_what_a_search_needs():
    """Neither Panel nor torch nor pandas is loaded before somebody searches."""
    program = (
        "import sys, explorer, explorer.ui\n"
        "heavy = {'panel', 'torch', 'pandas', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_what_was_found_is_at_hand(found):
    """Candidates by id in the order drawn, the table with the lowest first, a line that sums up."""
    assert list(found.candidates) == ["000001", "000002", "000020"]
    assert list(found.table.index) == ["000001", "000020", "000002"]
    assert found.table["energy_above_hull"].iloc[0] == pytest.approx(0.01)
    assert repr(found).startswith("Ca-Cu: 3 drawn, 2 relaxed, 1 failed; the lowest at +0.010 eV")


def test_the_table_is_of_the_candidates_at_hand(found, monkeypatch, tmp_path):
    """Whole numbers are whole; no file is needed, which a search that runs has not written yet."""
    assert str(found.table["spacegroup_relaxed"].dtype) == "Int64"
    (found.folder / "candidates.csv").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert list(found.table["formula"]) == [
        found.candidates[key].formula for key in found.table.index
    ]


def test_sodium_nitride_has_a_formula(found):
    """It is NaN, which readers of tables take for a missing value."""
    crystals = {"000001": replace(found.candidates["000001"], formula="NaN")}
    assert list(replace(found, candidates=crystals).table["formula"]) == ["NaN"]


def test_what_is_imported_on_demand_is_offered_too():
    """Who presses Tab finds what the packages are for."""
    assert {"search", "read_found"} <= set(dir(explorer))
    assert "view" in dir(explorer.ui)


def test_a_search_need_not_be_in_the_main_thread(tmp_path):
    """A server's or a notebook's other threads may not say what Ctrl-C means."""
    with ThreadPoolExecutor(1) as thread:
        asked = {"n": 1, "max_atoms": 4, "max_steps": 1, "workers": 1, "folder": tmp_path / "run"}
        found = thread.submit(search, "Ca-Cu", **asked).result()
    assert found.campaign.state == CampaignState.FINISHED


def test_the_summary_tells_what_is_held_of_the_sites_asked_for(tmp_path, store):
    """One line for each and one for all; a search that asked for none has no such entry."""
    told = []
    for name, asked in (("any", {}), ("sites", {"sites": ("225:4a=Ca", "225:8c")})):
        campaign = put(store, candidate(20), candidate(2, State.FAILED), **asked)
        (tmp_path / name).mkdir()
        found = store.candidates(campaign)[0]
        write_results(tmp_path / name, store.campaign(campaign), found, NO_TARGETS)
        told.append(json.loads((tmp_path / name / "summary.json").read_text()))
    assert "asked_and_held" not in told[0]
    counts = [(line["as_drawn"]["held"], line["relaxed"]) for line in told[1]["asked_and_held"]]
    kept, lost = (2, {"held": 1, "of": 1}), (0, {"held": 0, "of": 1})
    assert counts == [kept, kept, lost, lost]  # the space group comes with its sites


def test_a_folder_keeps_its_own_search(found, tmp_path):
    """Another question needs another folder, and a folder without a search is named."""
    with pytest.raises(SpecError, match="was made with n = 9, got 5"):
        search("Ca-Cu", folder=found.folder, n=5)
    with pytest.raises(FileNotFoundError, match=r"without campaign\.db, or with an empty one"):
        read_found(tmp_path / "elsewhere")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / DATABASE).touch()  # as by a run that was killed at once
    with pytest.raises(FileNotFoundError, match="give the folder"):
        read_found(tmp_path / "begun")
    with pytest.raises(FileNotFoundError, match="give the folder"):
        view(str(tmp_path / "begun"))


def test_the_views_answer_a_click(found, servers):
    """The frame holds the page's views, linked; a second look needs no second server."""
    frame = view(found, dark=True)
    assert view(found.folder, dark=True).address == frame.address
    assert len(servers) == 1
    assert f"<iframe src='{frame.address}'" in frame._repr_html_()
    assert repr(found) in repr(frame)
    with opened(frame.address) as page:
        page.locator("html[data-connected]").wait_for(state="attached")

        def selected() -> int:  # the page still moves while its parts arrive
            points = candidates_on_hull(page)
            if points:
                page.mouse.click(*points["candidate:000001"])
            return page.locator("dd", has_text="000001").count()

        wait_for(selected, 90, "the crystal that was clicked")
        page.locator(".tabulator-row", has_text="●").filter(has_text="0.010").wait_for()
        page.locator(".mui-dark").first.wait_for()
        page.set_viewport_size({"width": 900, "height": 900})  # a notebook's column
        hull, crystal = (page.locator(name).first for name in (".hull", ".viewer"))
        wait_for(lambda: beside(hull.bounding_box(), crystal.bounding_box()), 30, "both in view")


def beside(left: dict, right: dict) -> bool:
    """Whether the second of two boxes begins where the first ends, at the same height."""
    return left["y"] == right["y"] and right["x"] >= left["x"] + left["width"]


def test_a_server_that_cannot_start_tells_why(found, servers, tmp_path, monkeypatch):
    """The last line of the process is the reason."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named panel' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RuntimeError, match="views cannot be served: No module named panel"):
        view(found)
    assert servers == {}
