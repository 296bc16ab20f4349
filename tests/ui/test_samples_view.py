"""The drop area for another generator's crystals: what it reads, tells and leaves out."""

import asyncio
import io
import zipfile
from types import SimpleNamespace

import pandas as pd
import param
import pytest
from handmade import HOSTILE, candidate, put
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.samples import Sample
from explorer.structure_files import NamedStructure, write_structures
from explorer.ui.campaign_list import campaign_row
from explorer.ui.constraints_view import ConstraintsView
from explorer.ui.draft import NO_UPLOAD, Draft, Upload
from explorer.ui.page import Session
from explorer.ui.samples_view import REASONS, SamplesView, read_crystals, unread_html
from explorer.ui.workbench import Workbench

CACU = candidate(0).initial
COPPER = Structure(Lattice.cubic(3.0), ["Cu"], [[0.0] * 3])


def sample(index: int, structure: Structure | None = None, reason: str = "") -> Sample:
    """Pack a crystal, or why there is none."""
    return Sample.of(Drawn(index, given=structure, reason=reason))


MADE = Upload(
    "made.zip", (sample(0, CACU), sample(1, COPPER), sample(2, reason=f"unreadable: {HOSTILE}"))
)


def zipped(**texts: str) -> bytes:
    """Return a zip of CIFs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"{name}.cif", text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "read", "problem"),
    [
        ("../made.zip", zipped(a=CACU.to(fmt="cif"), b="no crystal"), ["", "b.cif"], ""),
        ("output_225.csv", b'L,X,A,W\n"[5,5,5,90,90,90]","[[0,0,0]]","[29]","[1]"\n', [""], ""),
        ("other.csv", b"a,b\n1,2\n", [], "other.csv has no structures: expected the columns L, X"),
        ("empty.zip", zipped(), [], "empty.zip holds no structure"),
        ("none.docx", b"?", [], "unknown structure format 'none.docx'"),
        ("empty.cif", b"", [], "empty.cif is empty"),
    ],
    ids=["a zip", "Wyckoff letters", "another table", "nothing", "another format", "no byte"],
)
def test_a_file_is_read_crystal_by_crystal_or_says_why_not(name, content, read, problem):
    """What one crystal lacks is its own reason; what the file lacks is one line without a path."""
    upload = read_crystals(name, content)
    assert upload.name == name.removeprefix("../")
    assert upload.problem.startswith(problem)
    assert bool(upload.problem) == bool(problem)
    for one, reason in zip(upload.structures, read, strict=True):
        assert reason in one.reason
        assert bool(one.reason) == bool(reason)


def test_of_a_file_of_several_generators_one_is_chosen(tmp_path, store):
    """The choice stands below the file until it is taken away; the campaign names whose it is."""
    path = tmp_path / "peers.parquet"
    write_structures(path, [NamedStructure("a", CACU), NamedStructure("b", COPPER)])
    pd.read_parquet(path).assign(generator=["CDVAE", "FTCP"]).to_parquet(path)
    draft = Draft(generator="file", elements=["Ca", "Cu"], subset=True)
    view = SamplesView(draft)
    view._keep(view._read_first(path.name, path.read_bytes()))
    draft.check()
    assert draft.problem == "peers.parquet holds crystals of 2 generators: choose one below"
    assert view.generator.visible
    assert list(view.generator.options) == ["choose one", "CDVAE", "FTCP"]
    asyncio.run(view._choose(SimpleNamespace(new="FTCP")))
    assert draft.samples.structures == ()  # it has been chosen differently meanwhile
    with param.parameterized.discard_events(view.generator):
        view.generator.value = "FTCP"
    asyncio.run(view._choose(SimpleNamespace(new="FTCP")))
    draft.check()
    assert (draft.spec.samples, draft.spec.samples_of, draft.n) == ("peers.parquet", "FTCP", 1)
    assert "1 crystal of FTCP" in view.note.object
    campaign = store.campaign(store.create(draft.spec, samples=draft.samples.structures))
    assert "crystals of FTCP in peers.parquet" in campaign_row(campaign, None)["facts"]
    view._clear()
    assert not view.generator.visible


def test_the_form_makes_room_for_crystals_when_a_file_gives_them():
    """Then nothing is asked about drawing; other generators have no drop area."""

    async def nothing() -> None:
        """Run nothing."""

    draft = Draft(elements=["Ca", "Cu"])
    view = ConstraintsView(draft, ["chgnet"], lambda _: {}, nothing)
    assert (view.samples.visible, view.drawing.visible) == (False, True)
    draft.generator = "file"
    draft.check()
    assert (view.samples.visible, view.drawing.visible) == (True, False)
    assert "muted" in view.reason.object  # nothing is wrong yet
    assert view.run_button.disabled
    draft.take_samples(MADE)
    draft.check()
    assert "1 crystal of Ca-Cu in made.zip, relaxed" in view.reason.object
    assert not view.run_button.disabled


def test_the_field_tells_how_many_crystals_there_are_and_which_cannot_be_read():
    """All, those of the system, and the first reasons; hostile text stays text."""
    draft = Draft(elements=["Ca", "Cu"], generator="file")
    view = SamplesView(draft)
    draft.check()
    assert "expected a file of crystals" in view.note.object
    assert "problem" not in view.note.object
    draft.take_samples(MADE)
    draft.check()
    assert "made.zip: 3 crystals, 1 of them of Ca-Cu with at most 64 atoms" in view.note.object
    assert "1 of them cannot be read" in view.detail.object
    assert "<img" not in view.detail.object
    draft.elements = ["Na"]
    draft.check()
    assert "none of the 3 in made.zip is of Na" in view.note.object
    assert "problem" in view.note.object
    view._clear()
    assert draft.samples == NO_UPLOAD
    assert not view.detail.visible


def test_of_many_reasons_the_first_different_ones_are_told():
    """Equal ones once, and how many more there are."""
    broken = [sample(k, reason=f"unreadable: cannot read the CIF {k % 5}.cif") for k in range(9)]
    told = unread_html(Upload("made.zip", tuple(broken)))
    assert told.startswith("<p>9 of them cannot be read")
    assert told.count("<li>") == REASONS + 1
    assert "<li>0.cif</li>" in told
    assert "<li>and 2 more</li>" in told


def test_the_settings_of_a_campaign_bring_copies_of_its_crystals(store):
    """Into another form, and back into one that a link has filled."""
    draft = Draft(elements=["Ca", "Cu"], generator="file", subset=True)
    draft.take_samples(MADE)
    draft.check()
    campaign = store.campaign(store.create(draft.spec, samples=MADE.structures))
    assert "crystals of made.zip" in campaign_row(campaign, None)["facts"]
    session = Session(store)
    asyncio.run(session.reuse(campaign))
    session.draft.check()
    assert session.draft.samples == MADE
    assert session.draft.spec == draft.spec
    linked = Session(store)
    linked.draft.take({"elements": ["Ca", "Cu"], "generator": "file", "n": 1})
    asyncio.run(linked._recall(campaign))
    linked.draft.check()
    assert (linked.draft.samples, linked.draft.spec.n) == (MADE, 1)


def test_crystals_given_as_atoms_can_be_taken_away(store):
    """They have no Wyckoff sites as drawn, but a structure."""
    given = candidate(0, crystal=None, spacegroup_asked=None)
    bench = Workbench(store, campaign_id=put(store, given))
    bench.take(bench.look())
    bench.select_candidate(given.id)
    assert bench.to_export() == [given.id]
