"""Deciding: stars, tags and notes, candidates side by side, what resembles a known phase."""

import asyncio
from types import SimpleNamespace

import panel as pn
import pytest
from handmade import HOSTILE, candidate, put
from panel.util import edit_readonly
from pymatgen.core import Lattice, Structure

from explorer.candidate import State
from explorer.marks import Mark
from explorer.novelty import Matcher
from explorer.phases import phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.ui import notes_view
from explorer.ui.compare_view import (
    CompareView,
    columns_of,
    compared_candidate,
    compared_phase,
    comparison_html,
)
from explorer.ui.matching_view import MatchingView
from explorer.ui.notes_view import NotesView
from explorer.ui.table_view import TableView
from explorer.ui.viewer import ViewerView
from explorer.ui.viewer_tabs import MATCH, bonds_html, matches_html, matches_of
from explorer.ui.workbench import Workbench
from explorer.users import User


@pytest.fixture
def bench(store):
    """Return a workbench that looks at three candidates."""
    items = (candidate(0), candidate(1), candidate(2, State.FAILED, reason=HOSTILE))
    bench = Workbench(store, campaign_id=put(store, *items))
    bench.take(bench.look())
    return bench


def test_a_star_in_the_table_is_kept(bench):
    """A click on the star marks the candidate in the store, and another one takes it back."""
    view = TableView(bench)
    view._fill()
    for starred in (True, False):
        view.click("000001", "star")
        assert bench.is_starred("000001") is starred
        assert ("000001" in bench.store.marks(bench.campaign_id)) is starred
        assert view.table.value["star"][1] == ("★" if starred else "☆")
    assert bench.selected == ""


def test_only_what_is_starred_can_be_shown(bench):
    """The other rows go, their ticks stay."""
    view = TableView(bench)
    view._fill()
    view.tick(["000000", "000001"], on=True)
    bench.mark("000001", starred=True)
    bench.starred_only = True
    assert list(view.table.value["number"]) == ["000001"]
    view.tick(["000001"], on=False)
    assert bench.chosen == ["000000"]
    bench.starred_only = False
    assert view.table.selection == [0]


def test_marks_of_another_page_arrive_and_late_news_lose(bench):
    """A look brings what others said; one that began before a star was set does not undo it."""
    bench.store.mark(bench.campaign_id, "000000", note="theirs")
    late = bench.look()
    bench.mark("000001", starred=True)
    bench.take(late)
    assert bench.is_starred("000001")
    bench.take(bench.look())
    assert bench.marks["000000"].note == "theirs"
    assert bench.is_starred("000001")


def test_tags_and_notes_are_written_and_read(bench):
    """The fields belong to the selected candidate; too long a tag is refused in words."""
    view = NotesView(bench)
    bench.select_candidate("000001")
    view.tags.value = "DFT next, odd, "
    view.note.value = HOSTILE
    view.star.value = True
    assert bench.marks["000001"] == Mark(True, ("DFT next", "odd"), HOSTILE)
    bench.select_candidate("000000")
    assert (view.tags.value, view.note.value, view.star.value) == ("", "", False)
    view.tags.value = "x" * 41
    assert "at most 40 characters" in view.problem.object
    assert "000000" not in bench.marks
    view.note.value = "kept"  # and what was refused stays to be shortened
    assert (view.tags.value, bench.marks["000000"].note) == ("x" * 41, "kept")
    assert "at most 40 characters" in view.problem.object
    view.tags.value = "short"
    assert (view.problem.object, bench.marks["000000"].tags) == ("", ("short",))


def test_what_is_typed_is_kept_before_the_field_is_left(bench, monkeypatch):
    """A tab may be closed in the middle of a note; what others mark does not disturb it."""
    monkeypatch.setattr(notes_view, "REST", 0.0)
    view = NotesView(bench)
    bench.select_candidate("000001")

    def type_in(text: str) -> None:
        """Do what a browser's keys do, and wait."""
        with edit_readonly(view.note):
            view.note.value_input = text
        asyncio.run(view._save_later(SimpleNamespace(obj=view.note, new=text)))

    type_in("relax it ag")
    assert bench.marks["000001"].note == "relax it ag"
    bench.mark("000000", starred=True)
    assert (view.note.value_input, view.note.value) == ("relax it ag", "")
    type_in("")  # and takes it back; nothing changes when it is left
    assert "000001" not in bench.marks
    type_in("again")
    bench.select_candidate("000000")
    assert view.note.value_input == ""
    assert bench.marks["000001"].note == "again"


def test_a_note_that_another_page_wrote_over_gives_way(bench, monkeypatch):
    """Else it would write over that page's words in turn when its field is left, unseen."""
    monkeypatch.setattr(notes_view, "REST", 0.0)
    view = NotesView(bench)
    bench.select_candidate("000001")
    with edit_readonly(view.note):
        view.note.value_input = "one"
    asyncio.run(view._save_later(SimpleNamespace(obj=view.note, new="one")))
    bench.store.mark(bench.campaign_id, "000001", note="two")
    bench.take(bench.look())
    assert (view.note.value_input, view.note.value) == ("two", "two")


def test_who_may_not_mark_is_told_so(store, monkeypatch):
    """Of a shared campaign another user reads the notes; a click on a star says whose it is."""
    campaign = put(store.of(User("bob")), candidate(0))
    store.of(User("bob")).share(campaign)
    bench = Workbench(store.of(User("cleo")), campaign_id=campaign)
    notes, table = NotesView(bench), TableView(bench)
    bench.take(bench.look())
    bench.select_candidate("000000")
    assert [field.disabled for field in (notes.star, notes.tags, notes.note)] == [True] * 3
    assert "Only bob may write here" in notes.problem.object
    said = []
    monkeypatch.setattr(type(pn.state), "notifications", SimpleNamespace(error=said.append))
    table.click("000000", "star")
    assert "belongs to bob" in said[0]
    mine = Workbench(store.of(User("bob")), campaign_id=campaign)
    notes = NotesView(mine)
    mine.take(mine.look())
    mine.select_candidate("000000")
    assert (notes.note.disabled, notes.problem.object) == (False, "")


def test_two_to_four_ticked_candidates_can_be_compared(bench):
    """The button follows the ticks; the dialog holds a scene for each and closes empty."""
    view = CompareView(bench)
    bench.chosen = ["000000"]
    assert view.button.disabled
    bench.chosen = ["000000", "000001"]
    assert not view.button.disabled
    event = type("Event", (), {"new": ["candidate:000000", "candidate:000001"]})()
    asyncio.run(view._open(event))
    assert view.dialog.open
    scenes = list(view.body[0])[1:]
    assert [scene.scene is not None for scene in scenes] == [True, True]
    view.dialog.open = False
    assert len(view.body) == 0


def test_a_comparison_marks_the_lowest_and_escapes(bench):
    """The row of energies has one best cell; what comes from data is text."""
    bench.mark("000001", note=HOSTILE)
    told = comparison_html(columns_of(bench, ["candidate:000000", "candidate:000001"]))
    assert told.count("class=best") == 1
    assert told.index("0.000 eV/atom") < told.index("0.010 eV/atom")
    assert "<img" not in told
    failed = compared_candidate(bench.store.candidate(bench.campaign_id, "000002"), Mark())
    assert HOSTILE in failed.facts["State"]
    assert failed.energy is None


def test_what_is_expected_of_dft_stands_beside_the_distance_that_flatters():
    """Where that is known: on the filled hull, by a potential that was measured."""
    level = EnergyLevel("chgnet 0.3.0", "d14ab7c0f093", "MP2020")
    novel = candidate(3, level=level)
    assert "by DFT" in compared_candidate(novel, Mark(), "filled").facts["By experience"]
    assert compared_candidate(novel, Mark(), "potential").facts["By experience"] == ""


def test_a_known_phase_stands_beside_a_candidate():
    """Its energy is named as published and never marked as the best."""
    phase = phase_from_structure("mp-1", candidate(0).initial, -2.0, "MP", spacegroup=225)
    columns = [compared_phase(phase), compared_candidate(candidate(3), Mark())]
    assert "published, DFT" in columns[0].facts["Above the hull"]
    assert comparison_html(columns).count("class=best") == 1
    assert "g/cm³" in columns[0].facts["Density"]


def test_the_nearest_known_phase_is_named_with_its_distance():
    """The same crystal comes first; one of another formula is never compared."""
    own = candidate(0).initial
    bent = own.copy()
    bent.translate_sites([1], [0.06, 0.0, 0.0])
    other = own.copy()
    other.replace_species({"Ca": "Mg"})
    named = {"bent": bent, "same": own, "other": other}
    phases = {k: phase_from_structure(k, s, -2.0, "test") for k, s in named.items()}
    found, problem = matches_of(own, phases, Matcher())
    assert problem == ""
    assert [each.name for each in found] == ["same", "bent"]
    assert found[0].same
    assert found[0].rms == pytest.approx(0.0, abs=1e-4)
    assert found[1].rms > 0.05
    told = matches_html(found, phases, "")
    assert told.index("same") < told.index("bent")
    strict, _ = matches_of(own, phases, Matcher(stol=0.01))
    assert [each.same for each in strict] == [True, False]
    nothing, problem = matches_of(other, {"same": phases["same"]}, Matcher())
    assert nothing == []
    assert "No known phase of MgCu" in problem


def test_a_crystal_that_is_drawn_twice_in_the_end_is_told_so(store):
    """What differed as drawn and is one crystal once relaxed, by structure, energy and volume."""
    swollen = candidate(3).initial.copy()
    swollen.scale_lattice(1.2 * swollen.volume)
    layered = Structure(Lattice.tetragonal(3.0, 3.9), ["Ca", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.4]])
    items = (
        candidate(0), candidate(1), candidate(2, energy_per_atom=-1.9),
        candidate(3, relaxed=swollen), candidate(4, relaxed=layered),
    )  # fmt: skip
    bench = Workbench(store, campaign_id=put(store, *items))
    bench.take(bench.look())
    view = ViewerView(bench)
    told = {}
    for item in items:
        bench.select_candidate(item.id)
        told[item.id] = view._prepare(MATCH).details
    assert "the same crystal as 000001 (rms 0.000 Å): one find" in told["000000"]
    assert "the same crystal as 000000" in told["000001"]
    assert "Once relaxed" not in told["000002"]
    assert "Once relaxed" not in told["000003"]
    assert "equals none of 2 other candidates" in told["000004"]


def test_tolerances_change_only_to_numbers_that_can_be(bench):
    """An empty or zero field leaves the last matcher; the button puts the nearest phase beside."""
    view = MatchingView(bench)
    view.fields["stol"].value = 0.1
    assert view.matcher == Matcher(stol=0.1)
    view.fields["ltol"].value = None
    assert view.matcher == Matcher(stol=0.1)
    bench.select_candidate("000001")
    view.show(True, "mp-1")
    view._compare()
    assert bench.compared == ["candidate:000001", "phase:mp-1"]


def test_bonds_are_told_for_each_distinct_site():
    """Rock salt has six neighbours around both sites, at half the edge of the cube."""
    told = bonds_html(candidate(0).initial)
    assert "Neighbours by CrystalNN" in told
    large = candidate(0).initial.make_supercell(3, in_place=False)  # 54 atoms
    assert "Neighbours by distance (MinimumDistanceNN)" in bonds_html(large)
    assert told.count("<td>6</td>") == 2
    assert "6 Cu 2.60 Å" in told
