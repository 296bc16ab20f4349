"""The relax command compares two engines on one file."""

import json
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.cli import main
from explorer.potentials import EnergyLevel
from explorer.relaxed_files import write_relaxed
from explorer.structure_files import read_structures


def relaxed(file: Path, out: Path, *options: str) -> dict:
    """Run the command and return what it reports."""
    report = out.with_suffix(".report.json")
    arguments = ["relax", str(file), "-o", str(out), "--json", str(report), "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *options])
    assert ended.value.code == 0
    return json.loads(report.read_text(encoding="utf-8"))


def test_both_engines_report_the_same_things(tmp_path: Path) -> None:
    """Counts, steps and pace; and their energies agree within 1 meV/atom."""
    file = tmp_path / "in.extxyz"
    ase.io.write(file, [bulk("Si", a=5.2), bulk("NaCl", "rocksalt", a=5.4)], format="extxyz")
    energies = []
    for engine in ("batched", "ase"):
        out = tmp_path / f"{engine}.extxyz"
        report = relaxed(file, out, "--engine", engine)
        assert (report["n"], report["converged"], report["failed"]) == (2, 2, 0)
        assert report["engine"] == engine
        assert report["steps"] > 0
        assert report["seconds"] > 0
        pace = 60 * report["n"] / report["seconds"]
        assert report["structures_per_minute"] == pytest.approx(pace, rel=0.01)
        energies.append([a.get_potential_energy() / len(a) for a in ase.io.read(out, ":")])
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)


def test_an_unknown_engine_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what is expected."""
    with pytest.raises(SystemExit) as ended:
        main(["relax", "none.cif", "-o", str(tmp_path / "out.extxyz"), "--engine", "magic"])
    assert ended.value.code == 2
    assert "expected the engine batched or ase, got 'magic'" in capsys.readouterr().err


def test_to_rattle_and_to_keep_the_symmetry_is_one_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before anything is read."""
    options = ["-o", str(tmp_path / "out.extxyz"), "--rattle", "0.1", "--keep-symmetry"]
    with pytest.raises(SystemExit) as ended:
        main(["relax", "none.cif", *options])
    assert ended.value.code == 2
    assert "expected --keep-symmetry or --rattle, got both" in capsys.readouterr().err


def test_what_cannot_be_relaxed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One unknown element costs the others nothing, and each crystal is accounted for."""
    atoms = [bulk("Po", "sc", a=3.3), bulk("Cu", a=3.6)]
    for number, one in enumerate(atoms):
        one.info["id"] = f"{number:03d}"
    ase.io.write(tmp_path / "in.extxyz", atoms, format="extxyz")
    report = relaxed(tmp_path / "in.extxyz", tmp_path / "out.extxyz", "--max-steps", "1")
    assert (report["n"], report["failed"]) == (2, 2 - report["converged"])
    assert report["failures"][0] == {
        "id": "000",
        "reason": "chgnet does not know Po",
        "written": False,
    }
    assert ase.io.read(tmp_path / "out.extxyz").info["uid"] == "001"
    ase.io.write(tmp_path / "po.extxyz", atoms[:1], format="extxyz")
    with pytest.raises(SystemExit) as ended:
        main(["relax", str(tmp_path / "po.extxyz"), "-o", str(tmp_path / "po.cif")])
    assert ended.value.code == 2
    assert "000 cannot be relaxed: chgnet does not know Po" in capsys.readouterr().err
    assert not (tmp_path / "po.cif").exists()


def test_energies_leave_in_every_format_that_has_a_place_for_them(tmp_path: Path) -> None:
    """extxyz, Parquet and JSON agree, of the whole cell and of each atom."""
    copper = Structure.from_ase_atoms(bulk("Cu", cubic=True))
    level = EnergyLevel("p", "hash", "none")
    forces, stress = np.full((4, 3), 0.25), np.eye(3)
    done = Relaxation(copper, -4.0, forces, stress, 3, False, 0.1, "too slow", level, lowered=0.05)
    lost = replace(done, structure=None, energy_per_atom=None)
    for name in ("a.extxyz", "a.parquet", "a.json"):
        write_relaxed(tmp_path / name, [("lost", lost), ("cu", done)])
        assert [one for one, _ in read_structures(tmp_path / name)] == ["cu"]
    frame = ase.io.read(tmp_path / "a.extxyz")
    row = pq.read_table(tmp_path / "a.parquet").to_pylist()[0]
    (listed,) = json.loads((tmp_path / "a.json").read_text())
    for told in (row, listed, frame.info | {"energy": frame.get_potential_energy()}):
        assert (told["energy"], told["steps"]) == (-16.0, 3)
        assert (told["converged"], told["reason"]) == (False, "too slow")
        assert told["lowered_by_rattling"] == 0.05
    for told in (row, listed):
        assert told["energy_per_atom"] == -4.0
        assert np.reshape(told["forces"], (4, 3)) == pytest.approx(frame.get_forces())
        assert np.reshape(told["stress"], (3, 3)) == pytest.approx(frame.get_stress(voigt=False))
    write_relaxed(tmp_path / "none.parquet", [("lost", lost)])
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
