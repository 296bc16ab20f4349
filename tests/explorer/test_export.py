"""Exports: whole or not at all, readable by others, and traceable."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.io.optimade import OptimadeStructureAdapter
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from explorer.baseline_imported import imported
from explorer.candidate import Candidate, Relaxation, State
from explorer.crystals import spacegroup_of, to_structure
from explorer.export import FORMATS, USUAL, ExportError, cell, chosen_formats, export_candidates
from explorer.marks import Mark
from explorer.potentials import EnergyLevel, potential
from explorer.track_record import track_record
from model.crystal import Site, WyckoffCrystal

LEVEL = EnergyLevel("toy 1", "0123456789ab", "none")
SALT = WyckoffCrystal(225, (Site("a", "Na", ()), Site("b", "Cl", ())), (5.6, 5.6, 5.6, 90, 90, 90))
PROVENANCE = {"checkpoint": "net-1", "seed": 7, "constraints": '=HYPERLINK("x")'}


def candidates() -> list[Candidate]:
    """Return one relaxed candidate and one that could not be decoded."""
    structure = to_structure(SALT)
    structure.perturb(0.01)
    waiting = Candidate(
        id="000000",
        index=0,
        crystal=SALT,
        formula="NaCl",
        spacegroup_asked=225,
        spacegroup_generated=225,
        log_likelihood=-3.25,
        sample="mine-7",
        state=State.WAITING,
        initial=to_structure(SALT),
    )
    relaxation = Relaxation(
        structure=structure,
        energy_per_atom=-3.5,
        forces=np.array([[0.01, 0.0, 0.02], [-0.01, 0.0, -0.02]]),
        stress=np.array([[0.001, 2e-4, 3e-4], [2e-4, 0.002, 1e-4], [3e-4, 1e-4, 0.003]]),
        steps=12,
        converged=True,
        seconds=0.5,
        reason="",
        level=LEVEL,
    )
    lost = Candidate(id="000001", index=1, state=State.REJECTED, reason="undecodable")
    return [waiting.with_relaxation(relaxation), lost]


def test_a_candidate_survives_json() -> None:
    """Every field comes back from plain JSON, NaN included."""
    for candidate in candidates():
        back = Candidate.from_dict(json.loads(json.dumps(candidate.to_dict(), allow_nan=False)))
        assert back.to_dict() == candidate.to_dict()
        assert back.state == candidate.state
        assert back.crystal == candidate.crystal
        assert back.relaxed == candidate.relaxed
    assert np.isnan(back.log_likelihood)


def test_a_failed_relaxation_keeps_its_reason() -> None:
    """Not converged is FAILED, with the last energy still there."""
    relaxation = Relaxation(None, None, None, None, 200, False, 1.0, "not converged", LEVEL)
    failed = candidates()[1].with_relaxation(relaxation)
    assert (failed.state, failed.reason) == (State.FAILED, "not converged")


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_the_cifs_are_read_back_with_their_symmetry(tmp_path: Path, name: str) -> None:
    """Pymatgen finds the same group and composition; what has no structure has no CIF."""
    path = export_candidates(candidates(), PROVENANCE, tmp_path / "deep" / name)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "unpacked")
        path = tmp_path / "unpacked"
    (cif,) = (path / "cifs").iterdir()
    assert cif.name == "000000-NaCl.cif"
    assert "_symmetry_Int_Tables_number   225" in cif.read_text()
    structure = Structure.from_file(cif)
    assert spacegroup_of(structure) == 225
    assert structure.composition.reduced_formula == "NaCl"


def test_extxyz_carries_energy_forces_and_stress(tmp_path: Path) -> None:
    """ASE reads back the totals in eV, eV/Å and eV/Å³."""
    path = export_candidates(candidates(), PROVENANCE, tmp_path / "out")
    (atoms,) = ase.io.read(path / "candidates.extxyz", index=":")
    relaxed = candidates()[0]
    assert atoms.get_potential_energy() == pytest.approx(2 * -3.5)
    assert np.allclose(atoms.get_forces(), relaxed.forces)
    assert np.allclose(atoms.get_stress(voigt=False), relaxed.stress)
    assert atoms.info["level"] == str(LEVEL)
    assert atoms.info["uid"] == relaxed.id == "000000"


def test_the_table_names_the_origin_of_every_row(tmp_path: Path) -> None:
    """Each candidate is a row with the provenance, and no cell is a formula."""
    path = export_candidates(candidates(), PROVENANCE, tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO((path / "candidates.csv").read_text())))
    assert [row["id"] for row in rows] == ["000000", "000001"]
    assert [row["sample"] for row in rows] == ["mine-7", ""]
    assert rows[0]["energy_per_atom"] == "-3.500000"
    assert rows[0]["spacegroup_symprec_0.1"] == "225"
    assert rows[1]["log_likelihood"] == ""
    for row in rows:
        assert row["checkpoint"] == "net-1"
        assert row["seed"] == "7"
        assert row["constraints"].startswith("'=")


def test_the_table_tells_what_dft_is_expected_to_say(tmp_path: Path) -> None:
    """Of a novel candidate on the filled hull; nothing is told on other hulls and of failures."""
    level = potential("chgnet").level
    one, lost = candidates()
    one = replace(one, novel=True, energy_above_hull=0.01, level=level)
    for hull, told in (("filled", track_record(one, "filled").expected), ("potential", None)):
        path = export_candidates([one, lost], PROVENANCE, tmp_path / hull, hull=hull)
        rows = list(csv.DictReader(io.StringIO((path / "candidates.csv").read_text())))
        assert rows[0]["expected_by_dft"] == ("" if told is None else f"{told:.6f}")
        assert rows[1]["expected_by_dft"] == rows[1]["expected_stable_by_dft"] == ""


def test_crystals_that_became_one_are_told_in_the_table(tmp_path: Path) -> None:
    """Both were new as drawn; the table names the earlier one, and the README says what that is."""
    first = candidates()[0]
    again = replace(first, id="000002", index=2, relaxed=first.relaxed.copy().make_supercell(2))
    folder = export_candidates([first, again], PROVENANCE, tmp_path / "out", formats=["csv"])
    table = pd.read_csv(folder / "candidates.csv", dtype=str)
    assert table["same_once_relaxed"].fillna("").tolist() == ["", "000000"]
    assert "same_once_relaxed" in (folder / "README.md").read_text()


def test_every_format_is_read_back_by_the_library_that_owns_it(tmp_path: Path) -> None:
    """POSCAR, pymatgen JSON, OPTIMADE and VASP inputs give the same crystal; numbers come along."""
    marks = {"000000": Mark(True, ("try", "DFT"), "looks odd")}
    path = export_candidates(
        candidates(), PROVENANCE, tmp_path / "out", formats=FORMATS, marks=marks
    )
    relaxed = candidates()[0].relaxed
    poscar = Poscar.from_file(path / "poscars" / "000000-NaCl.vasp").structure
    (item,) = json.loads((path / "candidates.json").read_text())
    (entry,) = json.loads((path / "optimade.json").read_text())["data"]
    for structure in (
        poscar,
        Structure.from_dict(item["structure"]),
        OptimadeStructureAdapter.get_structure(entry),
    ):
        assert structure.composition == relaxed.composition
        assert structure.volume == pytest.approx(relaxed.volume)
    assert item["energy_per_atom"] == entry["attributes"]["_hullscape_energy_per_atom"] == -3.5
    assert (item["starred"], item["tags"], item["note"]) == (True, ["try", "DFT"], "looks odd")
    inputs = path / "vasp" / "000000-NaCl"
    assert Incar.from_file(inputs / "INCAR")["ISIF"] == 3
    assert Kpoints.from_file(inputs / "KPOINTS").num_kpts == 0
    assert Poscar.from_file(inputs / "POSCAR").structure.composition == relaxed.composition
    assert (inputs / "POTCAR.spec").read_text().split() == ["Na_pv", "Cl"]


def test_lemat_reads_every_crystal_as_drawn_and_those_relaxed(tmp_path: Path) -> None:
    """The benchmark's loader takes JSON, and skips empty cells; the denominator stays whole."""
    whole, lost = candidates()
    path = export_candidates([whole, lost], PROVENANCE, tmp_path / "out", formats=["lemat"])
    tables = {file.stem: pd.read_csv(file, dtype=str) for file in (path / "lemat").iterdir()}
    assert {name: list(table["material_id"]) for name, table in tables.items()} == {
        "generated": ["000000", "000001"],
        "relaxed": ["000000"],
    }
    assert tables["generated"]["structure"].isna().tolist() == [False, True]
    for name, written in (("generated", whole.initial), ("relaxed", whole.relaxed)):
        text = tables[name]["structure"][0]
        back = Structure.from_dict(json.loads(text))
        assert back.lattice == written.lattice
        assert back.species == written.species
        assert np.array_equal(back.frac_coords, written.frac_coords)
    decoded, empty = imported(path / "lemat" / "generated.csv")
    assert decoded.given == whole.initial
    assert empty.reason.startswith("unreadable")


def test_an_export_says_what_it_holds_and_where_it_comes_from(tmp_path: Path) -> None:
    """The README names every file; the provenance has what was asked and which candidates."""
    more = {"report.html": "<p>all of it</p>"}
    path = export_candidates(candidates(), PROVENANCE, tmp_path / "out", formats=FORMATS, more=more)
    told = (path / "README.md").read_text()
    for item in FORMATS.values():
        assert f"`{item.files}`" in told
        assert list(path.glob(item.files))
    assert "eV/atom" in told
    assert (path / "report.html").read_text() == "<p>all of it</p>"
    origin = json.loads((path / "provenance.json").read_text())
    assert origin["checkpoint"] == "net-1"
    assert origin["candidates"] == ["000000", "000001"]
    assert origin["left_out"] == {}


def test_what_a_library_refuses_is_left_out_with_its_reason(tmp_path: Path) -> None:
    """The Materials Project has no settings for astatine; the other formats still have it."""
    foreign = Structure([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["At"], [[0, 0, 0]])
    one = Candidate(id="000007", index=7, formula="At", state=State.WAITING, initial=foreign)
    path = export_candidates([one], PROVENANCE, tmp_path / "out", formats=["vasp", "poscar"])
    assert (path / "poscars" / "000007-At.vasp").is_file()
    assert not (path / "vasp").exists()
    left_out = json.loads((path / "provenance.json").read_text())["left_out"]
    assert "At" in left_out["000007-At"]
    assert "000007-At" in (path / "README.md").read_text()


def test_formats_are_read_from_words() -> None:
    """Commas and repeats, all, none; a wrong name lists the right ones."""
    assert chosen_formats([]) == USUAL
    assert chosen_formats(["poscar, CIF", "cif"]) == ("poscar", "cif")
    assert set(chosen_formats(["all"])) == {*FORMATS, "report"}
    with pytest.raises(ValueError, match=r"poscar, .*got 'docx'"):
        chosen_formats(["docx"])


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_no_cell_starts_a_formula(value: object) -> None:
    """Whatever the value, a spreadsheet computes nothing; numbers stay numbers."""
    text = cell(value)
    if isinstance(value, str):
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r"))
    elif isinstance(value, int):
        assert text == str(value)


def test_an_export_replaces_an_older_one(tmp_path: Path) -> None:
    """A folder or zip of that name is exchanged whole; nothing else is left behind."""
    for name in ("out", "out.zip"):
        export_candidates(candidates(), PROVENANCE, tmp_path / name)
        export_candidates(candidates()[1:], PROVENANCE, tmp_path / name)
    assert not (tmp_path / "out" / "cifs").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.zip"]


def test_a_folder_that_is_no_export_is_left_alone(tmp_path: Path) -> None:
    """The folder of a run loses nothing to an export of the same name."""
    (tmp_path / "run").mkdir()
    for name in ("campaign.db", "README.md", "provenance.json", "candidates.csv"):
        (tmp_path / "run" / name).write_text("mine")
    with pytest.raises(ExportError, match=r"an older export, it holds campaign\.db"):
        export_candidates(candidates(), PROVENANCE, tmp_path / "run")
    assert (tmp_path / "run" / "campaign.db").read_text() == "mine"
    with pytest.raises(ExportError, match=r"ends in \.zip or a folder's, got '\.tar'"):
        export_candidates(candidates(), PROVENANCE, tmp_path / "out.tar")


def test_an_impossible_place_is_named(tmp_path: Path) -> None:
    """A file where a folder should be is an error in words, and stays as it is."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="cannot write"):
        export_candidates(candidates(), PROVENANCE, tmp_path / "file" / "out.zip")
    assert (tmp_path / "file").read_text() == "mine"
