"""Whether a potential answers for whole cells, in eV and Å, with the derivatives of its energy.

An energy per atom, in Hartree, a force with the wrong sign or a stress in GPa is a number like any
other: relaxations end somewhere, and a hull of such energies looks like one. Real crystals tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
from ase import Atoms
from ase.units import GPa
from torch_sim.models.interface import ModelInterface

from explorer.batch_evaluation import CalculatorModel, Evaluation, evaluate, static_energies
from explorer.crystals import from_atoms

CRYSTALS = 3
"""So many are looked at."""
BULK_MODULI = {
    "C": 443.0,
    "Si": 98.0,
    "Al": 76.0,
    "Cu": 140.0,
    "Fe": 170.0,
    "Na": 6.8,
    "NaCl": 25.0,
    "MgO": 160.0,
    "GaAs": 75.0,
    "ZnS": 77.0,
    "CaF2": 83.0,
    "NiAl": 160.0,
    "TiO2": 210.0,
}
"""Measured, GPa."""
STRETCH = 0.03
"""Of the lattice constants, to either side."""
FACTOR = 5.0
"""How far a stiffness may be off; a Rydberg is 13.6 eV, a kcal/mol 0.043."""
AGREE = (0.5, 2.0)
"""Between which a derivative and the change of the energy must stand to each other."""
NOTHING = {"force": 0.05, "stress": 0.002}
"""eV/Å and eV/Å³ below which they say nothing."""
STEP = 0.01
"""Å, or a share of the lattice constants, by which energies are compared."""
PER_CELL = 0.05
"""eV/atom by which a doubled cell may differ."""


def amiss(model: ModelInterface, crystals: Mapping[str, Atoms], *, scaled: bool) -> str:
    """Say what is wrong with the answers of a model; "" where nothing is.

    Parameters
    ----------
    model
        Looked at where it is an ASE calculator: the units of others are this program's own work.
    crystals
        Of which it gives an energy, by their names in `BULK_MODULI`.
    scaled
        Whether its energies are known to be right.
    """
    few = dict(islice(crystals.items(), CRYSTALS))
    if not few or not isinstance(model, CalculatorModel):
        return ""
    flaw = _per_cell(model, few) or ("" if scaled else _stiffness(model, few))
    return flaw or _derivatives(CalculatorModel(model.calculator), few)


def _per_cell(model: ModelInterface, crystals: Mapping[str, Atoms]) -> str:
    """Complain where a doubled cell has not twice the energy."""
    for name, atoms in crystals.items():
        one, two = _totals(model, [atoms, atoms.repeat((2, 1, 1))])
        if not abs(one - two / 2) <= PER_CELL * len(atoms):  # NaN, too
            return (
                f"{name} has {one:.3f} eV, two of its cells {two:.3f}: expected twice as much, "
                "the energy of a whole cell"
            )
    return ""


def _stiffness(model: ModelInterface, crystals: Mapping[str, Atoms]) -> str:
    """Complain where energies change with the volume otherwise than those of real crystals."""
    ratios = {}
    for name, atoms in crystals.items():
        scaled = [_stretched(atoms, 1 + share) for share in (-STRETCH, 0.0, STRETCH)]
        volumes = [one.get_volume() for one in scaled]
        curvature = np.polyfit(volumes, _totals(model, scaled), 2)[0]
        ratios[name] = 2 * curvature * volumes[1] / (BULK_MODULI[name] * GPa)
    name = sorted(ratios, key=ratios.__getitem__)[len(ratios) // 2]
    if 1 / FACTOR <= ratios[name] <= FACTOR:
        return ""
    return (
        f"the energy of {name} changes with its volume {ratios[name]:.2g} times as much as that of "
        "the real crystal: expected energies in eV, lengths in Å"
    )


def _derivatives(model: CalculatorModel, crystals: Mapping[str, Atoms]) -> str:
    """Complain where forces or stress are not what the energy says."""
    told = {"force": "", "stress": ""}
    for name, atoms in crystals.items():
        found = {"force": _force(model, atoms), "stress": _stress(model, atoms)}
        for kind, values in found.items():
            if isinstance(values, str):
                return f"no forces and stress of {name}: {values}"
            given, expected = values
            if told[kind] or abs(expected) < NOTHING[kind]:
                continue
            told[kind] = name
            if not AGREE[0] <= given / expected <= AGREE[1]:
                unit = "eV/Å" if kind == "force" else "eV/Å³ (ASE's sign)"
                return f"{name} has a {kind} of {given:.4f}, its energy says {expected:.4f} {unit}"
    return ""


def _force(model: CalculatorModel, atoms: Atoms) -> tuple[float, float] | str:
    """Return the force along a line on an atom out of its place, and what the energy says."""
    crystal, line = atoms.repeat((2, 1, 1)), np.array([1.0, 0.6, 0.3]) / np.sqrt(1.45)
    moved = []
    for way in (0.1 - STEP, 0.1, 0.1 + STEP):
        moved.append(crystal.copy())
        moved[-1].positions[0] += way * line
    answers = evaluate(model, moved)
    if flaw := _flaw(answers):
        return flaw
    before, here, after = answers
    return float(here.forces[0] @ line), (before.energy - after.energy) / (2 * STEP)


def _stress(model: CalculatorModel, atoms: Atoms) -> tuple[float, float] | str:
    """Return a third of the trace of the stress under pressure, and what the energy says."""
    pressed = [_stretched(atoms, 1 - STRETCH + way) for way in (-STEP, 0.0, STEP)]
    answers = evaluate(model, pressed)
    if flaw := _flaw(answers):
        return flaw
    before, here, after = answers
    grown = pressed[2].get_volume() - pressed[0].get_volume()
    return float(np.trace(here.stress)) / 3, (after.energy - before.energy) / grown


def _flaw(answers: Sequence[Evaluation | str]) -> str:
    return next((answer for answer in answers if isinstance(answer, str)), "")


def _stretched(atoms: Atoms, factor: float) -> Atoms:
    grown = atoms.copy()
    grown.set_cell(atoms.cell * factor, scale_atoms=True)
    return grown


def _totals(model: ModelInterface, crystals: Iterable[Atoms]) -> list[float]:
    """Return the energy of each cell, eV."""
    crystals = list(crystals)
    energies = static_energies(model, map(from_atoms, crystals))
    return [energy * len(atoms) for energy, atoms in zip(energies, crystals, strict=True)]
