"""The views: what they show for a given state, without a browser."""

import asyncio
import math
import re
import zipfile

import panel as pn
import pytest
from handmade import HOSTILE, candidate, put

from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import State
from explorer.figures.distributions import distributions_of
from explorer.figures.retrieval import BASELINES
from explorer.structure_files import NamedStructure
from explorer.ui import constraints_view, distributions_view
from explorer.ui.constraints_view import ConstraintsView
from explorer.ui.draft import Draft
from explorer.ui.drop_area import drop_area
from explorer.ui.elements import ANY_ELEMENT, blocked_elements
from explorer.ui.export_view import ExportView, zip_of
from explorer.ui.hull_view import HullView
from explorer.ui.periodic_table import element_cells
from explorer.ui.retrieval_view import RetrievalView, key_html
from explorer.ui.run_bar import RunBar, campaign_label, duration, progress_html
from explorer.ui.scripts import crystal_toolkit_urls, plotly_urls
from explorer.ui.table_rows import by_interest, frame, with_marks
from explorer.ui.table_view import TableView
from explorer.ui.targets_view import TargetsView, read_upload
from explorer.ui.upload_view import MAX_MEGABYTES
from explorer.ui.viewer import candidate_details, staged
from explorer.ui.workbench import Workbench


def test_histograms_say_of_how_many_crystals_they_are(bench):
    """Energies are those of relaxed crystals, the rest is as drawn."""
    shown = distributions_of(bench.candidates.values(), 0.005)
    assert distributions_view.told(shown, 0.005) == (
        "Energies of 1 relaxed crystal up to 0.01 eV/atom (1 beyond); all else of 3 crystals as "
        "drawn."
    )


@pytest.fixture
def bench(store):
    """Return a workbench that looks at three candidates."""
    failed = candidate(2, State.FAILED, reason=HOSTILE)
    bench = Workbench(store, campaign_id=put(store, candidate(0), candidate(1), failed))
    bench.take(bench.look())
    return bench


async def nothing() -> None:
    """Do nothing, as a runner that is never needed."""


def test_the_periodic_table_has_118_places():
    """No two elements share a cell, and the f block stands below the others."""
    cells = element_cells()
    assert len({(cell["row"], cell["column"]) for cell in cells}) == len(cells) == 118
    assert {c["row"] for c in cells if c["category"] in {"lanthanoid", "actinoid"}} == {9, 10}


def test_elements_that_nobody_knows_are_blocked_with_a_reason():
    """Oganesson can be chosen with no potential; aluminium with this one."""
    blocked = blocked_elements("chgnet")
    assert blocked["Og"]
    assert "Al" not in blocked
    every = {ANY_ELEMENT, *(cell["symbol"] for cell in element_cells())}
    assert set(blocked_elements("no such potential")) == every


@pytest.mark.parametrize("rendered", [False, True])
def test_no_other_potential_is_taken_than_the_one_that_is_asked_for(rendered):
    """A link, a file or a campaign may name one that this server lacks: it is told at its field.

    The field took the first of its own instead, and the search ran with that.
    """
    draft = Draft()
    view = ConstraintsView(draft, ["chgnet"], blocked_elements, nothing)
    if rendered:
        view.__panel__().get_root()
    draft.take({"elements": ["Al", "Cu"], "potential": "not here"})
    view.__panel__().get_root()
    draft.check(blocked_elements(draft.potential))
    field = view.inputs["potential"]
    assert (draft.potential, field.value) == ("not here", "not here")
    assert (draft.problem_field, field.error_state) == ("potential", True)
    assert "unknown potential 'not here'" in field.helper_text
    draft.potential = "chgnet"
    draft.check(blocked_elements(draft.potential))
    assert draft.spec.potential == "chgnet"


def test_run_waits_for_a_valid_question():
    """The button is off with a reason until the elements are chosen, and tells what it will do."""
    draft = Draft()
    view = ConstraintsView(draft, ["chgnet"], lambda _: {}, nothing)
    assert view.run_button.disabled
    assert "element" in view.reason.object
    draft.elements = ["Al", "Ca"]
    draft.check()
    assert not view.run_button.disabled
    assert "Al-Ca" in view.reason.object


def test_a_double_click_runs_one_campaign(monkeypatch):
    """The same at once is meant once, whether the first is under way or has begun."""
    draft, ran = Draft(elements=["Al", "Ca"]), []

    async def run() -> None:
        await asyncio.sleep(0)
        ran.append(draft.spec.seed)

    view = ConstraintsView(draft, ["chgnet"], lambda _: {}, run)

    async def clicks(count: int) -> None:
        await asyncio.gather(*(view._start() for _ in range(count)))

    asyncio.run(clicks(2))
    asyncio.run(clicks(1))
    assert ran == [draft.seed]
    draft.seed += 1
    asyncio.run(clicks(1))
    assert ran == [draft.seed - 1, draft.seed]
    monkeypatch.setattr(constraints_view, "TWICE", 0.0)
    asyncio.run(clicks(1))
    assert len(ran) == 3


def test_switches_work_while_a_question_is_missing():
    """What another choice makes idle is so, too, before any element was chosen."""
    view = ConstraintsView(Draft(), ["chgnet"], lambda _: {}, nothing)
    assert view.inputs["best_of"].disabled
    view.draft.search = "independent"
    assert not view.inputs["best_of"].disabled
    assert view.inputs["again"].disabled


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("formula", "CaMg", "Formula"),
        ("relax_below", -1.0, "Relax up to (eV/atom)"),
        ("max_atoms", None, "Most atoms"),
    ],
)
def test_a_problem_stands_at_its_field(name, value, label):
    """The field is marked and carries the message, others do not; by Run its label is named."""
    draft = Draft(elements=["Al", "Ca"], **{name: value})
    view = ConstraintsView(draft, ["chgnet"], lambda _: {}, nothing)
    assert view.inputs[name].label == label
    assert view.inputs[name].error_state
    assert view.inputs[name].helper_text == draft.problem != ""
    assert not view.inputs["sites"].error_state
    assert f">{label}" in view.reason.object


def test_the_table_has_a_row_for_every_crystal(bench):
    """Missing energies stay missing, and data is data: no cell is HTML."""
    rows = with_marks(frame(bench.in_order()), "candidate:000001", {})
    assert list(rows["number"]) == ["000000", "000001", "000002"]  # as in the card and in files
    assert list(rows["mark"]) == ["", "●", ""]
    assert math.isnan(rows["above_hull"][2])
    assert rows["reason"][2] == HOSTILE


def test_the_most_interesting_rows_come_first():
    """Lowest above the hull on top, then what waits, then what failed; rejected ones last."""
    states = (State.REJECTED, State.FAILED, State.WAITING, State.DUPLICATE)
    drawn = [candidate(i, state) for i, state in enumerate(states)] + [candidate(9), candidate(4)]
    assert [c.index for c in by_interest(drawn)] == [4, 9, 2, 1, 3, 0]


def test_a_row_click_selects_and_ticks_choose(bench):
    """The table's events change the state that the other views watch; what is gone is let be."""
    view = TableView(bench)
    view._fill()
    view.click("000001", "formula")
    assert bench.selected == "candidate:000001"
    view.tick(["000000", "000001"], on=True)
    assert bench.chosen == ["000000", "000001"]
    view.tick(["000009"], on=True)
    view.click("000009", "formula")
    view.click("000009", "star")
    assert bench.chosen == ["000000", "000001"]
    assert bench.selected == "candidate:000001"
    assert bench.marks == {}


def test_what_is_ticked_for_its_energy_is_ticked_in_the_table(bench):
    """Whoever chooses all near the hull sees them, and loses none by ticking another."""
    view, tools = TableView(bench), ExportView(bench)
    view._fill()
    tools._choose_near()
    assert view.table.selection == [0, 1]
    view.tick(["000002"], on=True)
    assert bench.chosen == ["000000", "000001", "000002"]


def test_new_candidates_keep_the_ticks(bench):
    """What was ticked stays ticked when the table is filled again."""
    view = TableView(bench)
    view._fill()
    view.tick(["000001"], on=True)
    bench.revision += 1
    assert view.table.selection == [1]
    assert bench.chosen == ["000001"]


def test_details_escape_what_comes_from_data(bench):
    """A hostile reason is shown as text."""
    details = candidate_details(bench.candidates["000002"])
    assert "<img" not in details
    assert "&lt;img" in details


def test_a_space_group_is_not_torn_apart():
    """Lines of the card's facts break at the arrows, not at the bar of Fm-3m."""
    told = re.search("Space group</span></dt><dd>(.*?)</dd>", candidate_details(candidate(1)))[1]
    assert told.split(" ") == [
        "asked\xa0Fm-\u20603m\xa0(225)", "→", "generated\xa0Fm-\u20603m\xa0(225)", "→",
        "relaxed\xa0Fm-\u20603m\xa0(225)",
    ]  # fmt: skip


def test_each_fact_that_is_a_number_says_what_it_means():
    """Under the mouse; an apostrophe in the words does not end them."""
    lowers = {"energy_above_hull": -0.01, "destabilises": "CaCu5 +0.012"}
    told = candidate_details(candidate(1, stability=0.2, template="NaCl", **lowers))
    named = re.findall("<dt( title='[^']+')?>(?:<span>)?([^<]+)", told)
    assert {name for help_, name in named if not help_} == {"Candidate", "State"}
    assert ("Foreseen" in told, "log p" in told) == (True, True)
    assert "CaCu ← Ca + Cu" in told
    assert "CaCu₅ +0.012 eV/atom" in told


def test_what_a_crystal_equals_is_told_once():
    """Novelty names the twin; only what it does not tell stands under Reason."""
    twin = candidate(3, State.DUPLICATE, reason="same crystal as an earlier one", matched="000001")
    told = candidate_details(twin)
    assert "same as 000001" in told
    assert "Reason" not in told
    assert "not converged" in candidate_details(candidate(2, State.FAILED, reason="not converged"))
    assert list(frame([twin, candidate(2, State.FAILED, reason="lost")])["reason"]) == ["", "lost"]


def test_the_stage_falls_back_to_what_exists():
    """An unrelaxed candidate is shown as drawn, an undecodable one says why it is not shown."""
    waiting = candidate(0, State.WAITING)
    assert staged(waiting, "relaxed") == (waiting.initial, "")
    rejected = candidate(1, State.REJECTED, initial=None, reason="undecodable: no lattice")
    structure, note = staged(rejected, "relaxed")
    assert structure is None
    assert "undecodable" in note


def test_the_progress_bar_accounts_for_every_crystal(bench):
    """Drawn, kept, relaxed and failed are told in numbers."""
    words = re.sub("<[^>]*>", "", progress_html(bench.campaign))
    for told in ("3 of 3 drawn", "3 kept", "2 relaxed", "1 failed"):
        assert told in words


def test_a_failed_campaign_shows_its_message(store):
    """The banner carries the runner's words, escaped."""
    bench = Workbench(store, campaign_id=put(store, candidate(0), state=CampaignState.FAILED))
    bar = RunBar(bench, nothing, nothing)
    bench.take(bench.look())
    assert bar.banner.visible
    assert "the disk is full" in bar.banner.object


def test_a_dead_runner_is_announced(store):
    """A campaign that nobody works on says so."""
    campaign_id = put(store, candidate(0), state=CampaignState.QUEUED)
    bench = Workbench(store, campaign_id=campaign_id)
    bar = RunBar(bench, nothing, nothing)
    bench.take(bench.look())
    assert "No runner is alive" in bar.banner.object


def test_the_chooser_brings_an_earlier_campaign_back(store):
    """Choosing in the list changes the campaign that the page looks at."""
    first = put(store, candidate(0), name="first")
    bench = Workbench(store)
    bar = RunBar(bench, nothing, nothing)
    bar.offer(store.campaigns())
    bar.chooser.value = first
    assert bench.campaign_id == first
    assert campaign_label(store.campaign(first)).startswith("first")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (1500, "25 min"), (7500, "2 h 5 min")],
)
def test_durations_are_for_people(seconds, words):
    """Seconds become the units that people use."""
    assert duration(seconds) == words


def test_the_zip_holds_what_was_chosen(bench):
    """The export is read back: one CIF for each chosen candidate, and where it comes from."""
    content = zip_of(bench.store, bench.campaign_id, ["000000", "000001"], ["cif", "csv"])
    with zipfile.ZipFile(content) as archive:
        names = archive.namelist()
        table = archive.read("candidates.csv").decode()
    assert sum(name.endswith(".cif") for name in names) == 2
    assert bench.campaign_id in table


def test_download_is_off_while_there_is_nothing_to_take(bench):
    """The button says how many candidates it will bring."""
    view = ExportView(bench)
    assert view.download.disabled
    bench.chosen = ["000000", "000001"]
    assert not view.download.disabled
    assert "2" in view.download.label
    assert asyncio.run(view._zip()).getbuffer().nbytes > 0


def test_the_scripts_come_from_installed_wheels():
    """Every script has a relative address, so no other host is ever asked."""
    urls = [*crystal_toolkit_urls(), *plotly_urls()]
    assert all(url.startswith("static/extensions/hullscape-") for url in urls)
    assert "react@18" in urls[0]
    assert pn.state.rel_path is None or pn.state.rel_path == ""


def test_five_elements_have_a_list_of_facets(store):
    """One that is chosen leaves the candidates over it; a smaller system has a picture instead."""
    items = (candidate(1), candidate(2), candidate(3, decomposition="0.5 CaMg2 + 0.5 Cu"))
    five = put(store, *items, elements=("Al", "Ca", "Cu", "Mg", "Si"))
    bench = Workbench(store, campaign_id=five)
    view = HullView(bench)
    bench.take(bench.look())

    def shown() -> set[str]:
        return {key for trace in view.plot.figure["data"] for key in trace.get("customdata", [])}

    assert len(shown()) == 3
    assert view.facet.visible
    phases = [words.partition(":")[0] for words in view.facet.options]
    assert phases == ["All facets", "Ca + Cu", "CaMg₂ + Cu"]
    view.facet.value = "CaMg2 Cu"
    assert shown() == {"candidate:000003"}
    bench.campaign_id = put(store, candidate(1))
    bench.take(bench.look())
    assert not view.facet.visible
    assert view.time.visible
    bench.campaign_id = put(store, candidate(1), elements=())
    bench.take(bench.look())
    assert not view.time.visible  # no system, no hull before and after


SALT = candidate(0).initial
POSCAR = SALT.to(fmt="poscar")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("salt.vasp", POSCAR, ""),
        ("../../salt.vasp", POSCAR, ""),
        ("salt.docx", POSCAR, "unknown structure format"),
        ("salt.cif", "no crystal", "salt.cif"),
        ("large.cif", " " * (MAX_MEGABYTES * 2**20 + 1), "got 16.1 MiB: split the file"),
        ("empty.cif", "", "empty.cif"),
    ],
)
def test_an_upload_is_read_or_says_why_not(name, content, problem):
    """Too large, empty, of no known format or damaged gives one line, never an error."""
    upload = read_upload(name, content.encode())
    assert "/" not in upload.name
    assert problem in upload.problem
    assert bool(upload.problem) == bool(problem) == (len(upload.structures) == 0)


def test_an_empty_file_arrives_as_one():
    """Of it the browser sends no piece, only that this was all."""
    taken = []
    area = drop_area(1, lambda event: taken.append((area.filename, event.new)), "anything")
    area._handle_msg({"status": "finished"})
    assert taken == [("the file", b"")]
    assert read_upload(*taken[0]).problem == "the file is empty"


def test_the_form_tells_how_many_targets_were_read():
    """The field counts the structures, or carries the problem; Remove empties it."""
    draft = Draft(elements=["Ca", "Cu"])
    view = ConstraintsView(draft, ["chgnet"], lambda _: {}, nothing).targets
    assert isinstance(view, TargetsView)
    draft.upload = read_upload("salt.vasp", POSCAR.encode())
    draft.check()
    assert "salt.vasp: 1 structure read" in view.note.object
    draft.upload = read_upload("broken.cif", b"")
    draft.check()
    assert "broken.cif" in view.note.object
    assert "problem" in view.note.object
    view._clear()
    draft.check()
    assert draft.spec is not None
    assert view.note.object == ""


def test_the_card_names_the_targets_and_who_found_them(store):
    """A target of the campaign's own list is found by the first crystal that equals it."""
    targets = [NamedStructure("salt", SALT), NamedStructure(HOSTILE, SALT)]
    items = (candidate(0), candidate(1, targets=("salt",)), candidate(2, targets=("salt",)))
    campaign_id = put(store, *items, given=targets, targets="mine.cif")
    bench = Workbench(store, campaign_id=campaign_id)
    view = RetrievalView(bench)
    bench.take(bench.look())
    assert "1 of 2 target structures of mine.cif" in view.note.object
    assert "candidate 000001" in view.note.object
    assert "<img" not in view.note.object
    assert view.stage.visible


def test_the_key_takes_its_place_before_the_baselines_are_known():
    """It would push the figure over the words below it when it grew by a line."""
    before, after = key_html(()), key_html(BASELINES)
    assert before.count("visibility: hidden") == len(BASELINES)
    assert before.replace(" style='visibility: hidden'", "") == after
    awaited = key_html((), ["similarity"])  # told, but not as a line that is there
    assert awaited.count("is being drawn") == awaited.count("visibility: hidden") == 1


def test_without_targets_the_card_offers_the_upload(bench):
    """Nothing is known of an exotic system: an empty state that says what to do."""
    view = RetrievalView(bench)
    bench.campaign_id = bench.store.create(CampaignSpec(elements=("He", "Xe", "Ar")))
    bench.take(bench.look())
    assert "Target structures" in view.note.object
    assert not view.stage.visible
