"""Phases to look for, made by substitution and relaxation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.crystals import spacegroup_of
from explorer.phases import phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases
from explorer.target_commands import near_their_hull
from explorer.targets import NO_TARGETS, shipped_targets, with_hull_energy

LEVEL = EnergyLevel("toy 1", "0" * 12, "none")


def cube(a: float, *symbols: str) -> Structure:
    """A cubic cell with atoms at its corner and its middle."""
    return Structure(Lattice.cubic(a), symbols, [[0.0] * 3, [0.5] * 3][: len(symbols)])


def relaxed(name: str, structure: Structure, energy: float, state=State.RELAXED) -> Candidate:
    """A candidate with an energy in eV/atom."""
    return Candidate(
        name,
        0,
        formula=structure.composition.reduced_formula,
        state=state,
        relaxed=structure,
        energy_per_atom=energy,
        level=LEVEL,
    )


def test_phases_compete_with_each_other_and_count_once() -> None:
    """The lowest sets the hull for the others; twins, elements and failures are left out."""
    elements = [
        phase_from_structure("al", cube(4.0, "Al"), 0.0, "toy"),
        phase_from_structure("cu", cube(3.6, "Cu"), 0.0, "toy"),
    ]
    references = ReferencePhases(LEVEL, tuple(elements), ("Al", "Cu"))
    four = Structure(
        Lattice.tetragonal(3, 9), ["Al", "Al", "Cu", "Cu"], [[0, 0, k / 4] for k in range(4)]
    )
    candidates = [
        relaxed("high", four, -0.15),
        relaxed("low", cube(3.0, "Al", "Cu"), -0.2),
        relaxed("twin", cube(3.05, "Cu", "Al"), -0.19),
        relaxed("pure", cube(4.1, "Al"), 0.0),
        relaxed("failed", cube(5.0, "Al", "Cu"), -0.5, State.FAILED),
    ]
    near = near_their_hull(candidates, references, 0.06)
    assert [(one.id, round(energy, 3)) for one, energy in near] == [("low", 0.0), ("high", 0.05)]
    assert [one.id for one, _ in near_their_hull(candidates, references, 0.02)] == ["low"]


def test_the_shipped_phases_have_the_groups_that_are_known() -> None:
    """Published stable phases of Al-Ca-Cu lie in groups 139, 166 and 191; so do some of these."""
    shipped = shipped_targets("Al-Ca-Cu")
    assert len(set(shipped.names)) == len(shipped.names) > 10
    assert {139, 166, 191} <= {spacegroup_of(structure) for _, structure in shipped.structures}
    assert {s.chemical_system for _, s in shipped.structures} == {"Al-Ca-Cu"}
    assert shipped_targets("Cl-Na") == NO_TARGETS


def test_the_file_can_be_searched_for(tmp_path: Path, capsys) -> None:
    """What the command writes is read as the targets of a campaign."""
    file, told = tmp_path / "targets.parquet", tmp_path / "told.json"
    ask = ["evaluate", "targets", "--elements", "Al-Cu", "-n", "40", "--relaxations", "3"]
    ask += ["--max-steps", "60", "--fmax", "0.2", "--max-e-above-hull", "0.5", "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        main([*ask, "--workers", "1", "-o", str(file), "--json", str(told)])
    assert ended.value.code == 0
    told = json.loads(told.read_text())
    assert told["relaxed"] + told["failed"] == 3
    assert 0 < len(told["phases"]) <= 3
    read = {name: energy for name, _, energy in with_hull_energy(file)}
    assert read == pytest.approx(told["phases"], abs=1e-4)
    with pytest.raises(SystemExit) as ended:
        main([*ask, "-o", str(tmp_path / "targets.cif")])
    assert ended.value.code == 2
    assert "a .parquet file, got targets.cif" in capsys.readouterr().err
