"""Relaxed forms: what a potential makes of known phases that it does not hold."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure
from test_references import emt, quiet, write_table

from explorer.campaign import CampaignSpec
from explorer.crystals import NamedStructure, spacegroup_of
from explorer.figures.known import Known, known_of
from explorer.hull import Hull
from explorer.novelty import KnownPhases, Matcher
from explorer.phases import form_id
from explorer.reference_build import Limits, build
from explorer.reference_import import import_phases
from explorer.references import ReferencePhases, shipped_file


def zinc_blende() -> Structure:
    """Return a crystal that the toy potential does not hold: it becomes a denser one."""
    faces = 2.8 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    cell = Structure(faces, ["Al", "Cu"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    cell.translate_sites([1], [0.06, 0.02, -0.05])
    return cell


def test_what_a_potential_makes_of_a_phase_competes_too(tmp_path: Path) -> None:
    """A search that comes upon it has found nothing new."""
    out = tmp_path / "set.parquet"
    source = write_table(tmp_path / "in.parquet", [("z", zinc_blende(), 0.0)])
    report = build(source, emt(), out, progress=quiet, limits=Limits(), workers=1)
    assert (report.forms, list(report.unrelaxed)) == (1, ["z"])
    found = ReferencePhases.from_file(out, "Al-Cu")
    phases = {phase.id: phase for phase in found.phases if phase.chemsys == "Al-Cu"}
    known, form = phases["z"], phases["z (relaxed form)"]
    assert (known.geometry, form.geometry) == ("static", "relaxed form")
    assert form.spacegroup == spacegroup_of(form.structure) != known.spacegroup
    assert known.structure.volume == pytest.approx(5.6**3 / 4, rel=1e-5)
    assert form.energy_per_atom < known.energy_per_atom - 0.5
    assert (known.published, form.published) == (True, False)
    assert [phase.id for phase in found.targets("Al-Cu")] == ["z"]
    matcher = KnownPhases(found, Matcher())
    assert matcher.match(form.structure) == form.id
    assert matcher.match(known.structure) == "z"
    assert known_of_set(out).competition.startswith("Hull: known phases")
    assert "compete with 1 known compound" in known_of_set(out).competition


def known_of_set(file: Path) -> Known:
    """Return what a page tells of a set in Al-Cu, on its own hull."""
    return known_of(CampaignSpec(elements=("Al", "Cu"), hull="potential", references=str(file)))


def test_an_import_brings_what_the_potential_makes_of_it(tmp_path: Path) -> None:
    """Beside the phase as it was brought, with its static energy, or that of the saddle it is."""
    saddle = Structure(2.9 * (np.ones((3, 3)) / 2 - np.eye(3)), ["Cu"], [[0, 0, 0]])
    given = {"z": zinc_blende(), "saddle": saddle}
    brought = [("mine.json", NamedStructure(name, one)) for name, one in given.items()]
    out = tmp_path / "set.parquet"
    report = import_phases(brought, emt(), out, quiet, limits=Limits(), workers=1)
    phases = {p.id: p for p in ReferencePhases.from_file(out, "Al-Cu").phases}
    forms = {"z (relaxed form)", "saddle (relaxed form)"}
    assert phases.keys() == {"z", "saddle", "element-Al", *forms}
    assert (phases["z"].geometry, phases["z"].spacegroup) == (
        "static",
        spacegroup_of(zinc_blende()),
    )
    form = phases["z (relaxed form)"]
    assert form.spacegroup == spacegroup_of(form.structure) != phases["z"].spacegroup
    held, below = phases["saddle"], phases["saddle (relaxed form)"]
    assert (held.geometry, held.spacegroup, below.spacegroup) == ("relaxed", 229, 225)
    gain = held.energy_per_atom - below.energy_per_atom
    assert held.remark == f"rattled, it relaxed into another crystal, {-gain:+.3f} eV/atom"
    assert gain > 0.02
    assert (report.written, report.forms, list(report.unrelaxed)) == (5, 2, ["z"])


def test_a_hull_lies_as_low_as_its_relaxed_forms(tmp_path: Path) -> None:
    """Copper brought as diamond becomes close-packed: nothing is below that by half an eV."""
    faces = 2.8 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    diamond = Structure(faces, ["Cu"] * 2, [[0, 0, 0], [0.26, 0.24, 0.25]])
    out = tmp_path / "set.parquet"
    import_phases([("mine", NamedStructure("d", diamond))], emt(), out, quiet, limits=Limits())
    found = ReferencePhases.from_file(out, "Cu")
    form = next(phase for phase in found.phases if not phase.published)
    told = [
        Hull(phases).place("Cu", form.energy_per_atom, found.level).energy_above_hull
        for phases in (found, found.published)
    ]
    assert told[0] == pytest.approx(0, abs=1e-9)
    assert told[1] < -0.3


def test_every_shipped_phase_that_is_not_held_has_its_relaxed_form() -> None:
    """Those that fell apart have none; on its own hull the potential prefers each form.

    So it does with what known phases on a saddle fall to.
    """
    table = pq.read_table(
        shipped_file("chgnet"),
        columns=["id", "geometry", "remark", "energy_per_atom", "e_above_hull"],
    )
    rows = {row["id"]: row for row in table.to_pylist()}
    forms = {name: row for name, row in rows.items() if row["geometry"] == "relaxed form"}
    known = {form_id(name): row for name, row in rows.items() if name not in forms}
    static = {name for name, row in known.items() if row["geometry"] == "static"}
    became = {name for name in static if known[name]["remark"].startswith("relaxed ")}
    saddles = {name for name, row in known.items() if row["remark"].startswith("rattled, it ")}
    assert forms.keys() == became | saddles
    assert {known[name]["geometry"] for name in saddles} == {"relaxed"}
    assert len(became) > 0.9 * len(static)
    assert all(row["e_above_hull"] is None for row in forms.values())
    lower = [known[name]["energy_per_atom"] - row["energy_per_atom"] for name, row in forms.items()]
    assert np.mean(np.array(lower) > -1e-3) > 0.99


def test_most_relaxed_forms_would_look_like_discoveries() -> None:
    """They lie below the hull of the others; with them nothing does."""
    table = pq.read_table(shipped_file("chgnet"), columns=["id", "chemsys", "geometry"])
    rows = [row for row in table.to_pylist() if row["geometry"] == "relaxed form"]
    told = []
    for row in rows[::15]:
        found = ReferencePhases.shipped(row["chemsys"])
        form = next(phase for phase in found.phases if phase.id == row["id"])
        told.append(
            [
                Hull(phases)
                .place(form.formula, form.energy_per_atom, found.level)
                .energy_above_hull
                for phases in (found.published, found)
            ]
        )
    without, beside = np.array(told).T
    assert np.mean(without < -1e-3) > 0.6
    assert beside.min() > -1e-9
