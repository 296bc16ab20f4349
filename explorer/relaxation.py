"""One relaxation of positions and cell, in this process: the loop that every worker runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.crystals import from_atoms, gate, to_atoms
from explorer.potentials import EnergyLevel

FMAX = 0.05
"""eV/Å: largest force on an atom of a relaxed crystal."""
SMAX = 0.003
"""eV/Å³ (about 0.5 GPa): largest stress component of a relaxed crystal."""
MAX_STEPS = 200
MAX_MOVE = 0.2
"""Å: how far an atom moves in a step."""
SMOOTH_FORCE = 2.0
"""eV/Å: below it a quadratic model of the energy is worth building."""
ROUGH_STEPS = 60
MAX_BFGS_ATOMS = 150
MAX_VOLUME_CHANGE = 4.0
"""A cell that grows or shrinks by more than this factor has exploded or collapsed."""
STOPPED = "stopped before convergence"


class UnsoundError(ArithmeticError):
    """A frame that no relaxation may go on from, with its reason."""


def relax_structure(
    structure: Structure,
    calculator: Calculator,
    level: EnergyLevel,
    *,
    fmax: float = FMAX,
    smax: float = SMAX,
    max_steps: int = MAX_STEPS,
    should_stop: Callable[[], bool] = lambda: False,
) -> Relaxation:
    """Relax a structure, by FIRE and then BFGS, until forces and stress are below their limits.

    Never raises for a bad structure: what went wrong is the `reason` of the result, and the last
    sane frame is kept.

    Parameters
    ----------
    structure
        Any cell.
    calculator
        Gives energy (eV), forces (eV/Å) and stress (eV/Å³).
    level
        Of the calculator's energies.
    fmax, smax
        Limits in eV/Å and eV/Å³.
    max_steps
        Of ions and cell together.
    should_stop
        Asked before each step.
    """
    start = time.monotonic()
    reason = gate(structure)
    if reason:
        return _failure(level, reason, start)
    run = _Run(structure, calculator, fmax, smax)
    try:
        reason = run.until_converged(max_steps, should_stop)
    except UnsoundError as error:
        reason = str(error)
    except Exception as error:
        # A calculator is foreign code: whatever it throws belongs to this structure alone.
        reason = f"calculator error: {type(error).__name__}: {error}"
    return run.result(level, reason, time.monotonic() - start)


def _failure(level: EnergyLevel, reason: str, start: float) -> Relaxation:
    seconds = time.monotonic() - start
    return Relaxation(None, None, None, None, 0, False, seconds, reason, level)


class _Descent:
    """FIRE while forces are rough, then BFGS: fewer steps than either alone.

    On 14 drawn Al-Ca-Cu crystals FIRE took 706 steps, BFGS over 688, this 488.
    """

    def __init__(self, atoms: Atoms) -> None:
        self._cell = FrechetCellFilter(atoms)
        self._rough = FIRE(self._cell, logfile=None, maxstep=MAX_MOVE)
        self._fine: BFGS | None = None
        # BFGS diagonalizes a matrix of (3 N + 9) squared at each step.
        self._rough_steps = ROUGH_STEPS if len(atoms) <= MAX_BFGS_ATOMS else sys.maxsize

    def step(self) -> None:
        """Move atoms and cell once."""
        if self._fine is None and self._is_smooth():
            self._fine = BFGS(self._cell, logfile=None, maxstep=MAX_MOVE)
        (self._fine or self._rough).step()
        self._rough_steps -= 1

    def _is_smooth(self) -> bool:
        if self._rough_steps > ROUGH_STEPS:
            return False
        largest = np.linalg.norm(self._cell.get_forces(), axis=1).max()
        return bool(largest < SMOOTH_FORCE) or self._rough_steps <= 0


class _Run:
    """A relaxation on its way: the atoms, and the last frame that was sane."""

    def __init__(
        self, structure: Structure, calculator: Calculator, fmax: float, smax: float
    ) -> None:
        self.atoms = to_atoms(structure)
        self.atoms.calc = calculator
        self.fmax, self.smax = fmax, smax
        self.volume = self.atoms.get_volume()
        self.steps = 0
        self.frame: tuple[Atoms, float, np.ndarray, np.ndarray] | None = None

    def until_converged(self, max_steps: int, should_stop: Callable[[], bool]) -> str:
        """Step until converged ("") or until there is a reason not to go on."""
        optimizer = _Descent(self.atoms)
        while True:
            if self._converged():
                return ""
            if self.steps >= max_steps:
                return f"not converged in {max_steps} steps"
            if should_stop():
                return STOPPED
            optimizer.step()
            self.steps += 1

    def _converged(self) -> bool:
        """Evaluate the present frame, keep it when sane, and compare it with the limits."""
        self._refuse_unsound_cell()
        energy = float(self.atoms.get_potential_energy())
        forces, stress = self.atoms.get_forces(), self.atoms.get_stress(voigt=False)
        if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
            raise UnsoundError("the potential gave a non-finite energy, force or stress")
        self.frame = (self.atoms.copy(), energy, forces.copy(), stress.copy())
        largest = np.linalg.norm(forces, axis=1).max()
        return bool(largest < self.fmax and np.abs(stress).max() < self.smax)

    def _refuse_unsound_cell(self) -> None:
        if not np.isfinite(self.atoms.positions).all() or not np.isfinite(self.atoms.cell).all():
            raise UnsoundError("coordinates became non-finite")
        ratio = self.atoms.get_volume() / self.volume
        if ratio > MAX_VOLUME_CHANGE:
            raise UnsoundError(f"the cell exploded to {ratio:.2g} times its volume")
        if ratio < 1 / MAX_VOLUME_CHANGE:
            raise UnsoundError(f"the cell collapsed to {ratio:.2g} times its volume")

    def result(self, level: EnergyLevel, reason: str, seconds: float) -> Relaxation:
        """Pack the last sane frame; a frame that fails the gate cannot count as relaxed."""
        if self.frame is None:
            return Relaxation(None, None, None, None, self.steps, False, seconds, reason, level)
        atoms, energy, forces, stress = self.frame
        structure = from_atoms(atoms)
        # Overlapping atoms say more about a run than that its steps ran out.
        reason = gate(structure) or reason
        per_atom = energy / len(atoms)
        return Relaxation(
            structure, per_atom, forces, stress, self.steps, not reason, seconds, reason, level
        )
