"""Targets of the WBM set: read in the formats that Matbench Discovery serves."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import ase.io
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from explorer import wbm
from explorer.crystals import to_atoms
from explorer.structure_files import StructureFileError
from explorer.wbm import DISTANCE, wbm_phases


def cell(a: float, *symbols: str) -> Structure:
    """Atoms along the diagonal of a cube."""
    return Structure(Lattice.cubic(a), symbols, [[k / 3] * 3 for k in range(len(symbols))])


MATERIALS = {
    "wbm-1-1": (cell(6.0, "Al", "Ca", "Cu"), 0.0),
    "wbm-1-2": (cell(6.1, "Al", "Ca", "Cu"), 0.3),
    "wbm-2-7": (cell(6.2, "Ca", "Cu", "Al"), -0.01),
    "wbm-3-5": (cell(6.3, "Ca", "Cu"), 0.0),
    "wbm-4-9": (cell(6.4, "Al", "Ca", "C"), 0.0),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a summary, and the structures in each format."""
    folder = tmp_path_factory.mktemp("wbm")
    names = list(MATERIALS)
    structures = [structure for structure, _ in MATERIALS.values()]
    formulas = [structure.formula.replace(" ", "") for structure in structures]
    summary = {"material_id": names, "formula": formulas, "n_sites": [len(s) for s in structures]}
    summary[DISTANCE] = [distance for _, distance in MATERIALS.values()]
    pd.DataFrame(summary).to_csv(folder / "2023-12-13-wbm-summary.csv.gz", index=False)
    entries = [
        ComputedStructureEntry(s, -1.0, entry_id=n).as_dict()
        for n, s in zip(names, structures, strict=True)
    ]
    table = pd.DataFrame({"material_id": names, "formula_from_cse": formulas})
    initial = [structure.copy().scale_lattice(500.0).as_dict() for structure in structures]
    both = table.assign(computed_structure_entry=entries, initial_structure=initial)
    both.to_json(folder / "cse.json.bz2")
    table.assign(initial_structure=[s.as_dict() for s in structures]).to_json(
        folder / "init.jsonl.gz", orient="records", lines=True
    )
    with zipfile.ZipFile(folder / "relaxed.extxyz.zip", "w") as archive:
        for name, structure in zip(names, structures, strict=True):
            text = io.StringIO()
            ase.io.write(text, to_atoms(structure), format="extxyz")
            archive.writestr(f"{name}.extxyz", text.getvalue())
    return folder


@pytest.mark.parametrize("name", ["cse.json.bz2", "init.jsonl.gz", "relaxed.extxyz.zip"])
def test_near_hull_phases_of_a_system(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only phases of all three elements, near enough, with their relaxed structure."""
    monkeypatch.setattr(wbm, "CHUNK", 64)  # a value is longer than what is read at a time
    summary = files / "2023-12-13-wbm-summary.csv.gz"
    phases = wbm_phases(summary, files / name, "Al-Ca-Cu", 0.02)
    assert [phase.name for phase in phases] == ["wbm-1-1", "wbm-2-7"]
    for phase in phases:
        assert phase.structure == MATERIALS[phase.name][0]
    wider = wbm_phases(summary, files / name, "Al-Ca-Cu", 0.5)
    assert len(wider) == 3


def test_files_of_another_kind_are_refused(files: Path, tmp_path: Path) -> None:
    """The line says which columns or which formats are expected, or what is missing."""
    summary = files / "2023-12-13-wbm-summary.csv.gz"
    (tmp_path / "other.csv").write_text("id,energy\n1,2\n")
    with pytest.raises(StructureFileError, match="no summary of WBM"):
        wbm_phases(tmp_path / "other.csv", files / "cse.json.bz2", "Al-Ca-Cu", 0.02)
    with pytest.raises(StructureFileError, match=r"got 2023-12-13-wbm-summary\.csv\.gz"):
        wbm_phases(summary, summary, "Al-Ca-Cu", 0.02)
    (tmp_path / "cut.json").write_text('{"material_id": {"0": "wbm-1-1"')
    with pytest.raises(StructureFileError, match="ends before it is complete"):
        wbm_phases(summary, tmp_path / "cut.json", "Al-Ca-Cu", 0.02)
    (tmp_path / "few.jsonl").write_text("")
    with pytest.raises(StructureFileError, match="lacks 2 of the 2 phases of Al-Ca-Cu"):
        wbm_phases(summary, tmp_path / "few.jsonl", "Al-Ca-Cu", 0.02)
