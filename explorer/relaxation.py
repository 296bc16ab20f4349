"""What counts as relaxed, and ASE's FIRE, one crystal at a time, as the engine to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import vesin
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.core import Structure
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from explorer.batch_evaluation import NOT_FINITE, Evaluation
from explorer.candidate import Relaxation
from explorer.crystals import MIN_DISTANCE, from_atoms, gate, right_handed, to_atoms
from explorer.potentials import EnergyLevel
from explorer.rattling import LOWER, rattled
from explorer.relaxed import EMAX, FMAX, SMAX
from explorer.trace import Recorder, Trace

MAX_STEPS = 200
MAX_SECONDS = 900.0
MAX_VOLUME_CHANGE = 4.0
"""A cell that grows or shrinks by more than this factor has exploded or collapsed."""
BOND_STRETCH = 1.5
"""A bond is no longer than this times the sum of the covalent radii."""
STOPPED = "stopped before convergence"


@dataclass(frozen=True)
class Limits:
    """When a crystal counts as relaxed, and when it is given up.

    Attributes
    ----------
    fmax
        Largest force on an atom, eV/Å.
    smax
        Largest stress component, eV/Å³.
    max_steps
        Of atoms and cell together.
    max_seconds
        Of computing for this crystal; in a batch, its share by number of atoms.
    emax
        Most that the last step changed the energy, eV/atom.
    rattle
        Root mean square displacement, Å, with which a crystal that came to rest is tried, see
        `explorer.rattling`; 0 for none. The other limits hold for either relaxation by itself.
    rattle_atoms
        Of the largest crystal that is rattled; None for all.
    """

    fmax: float = FMAX
    smax: float = SMAX
    max_steps: int = MAX_STEPS
    max_seconds: float = MAX_SECONDS
    emax: float = EMAX
    rattle: float = 0.0
    rattle_atoms: int | None = None

    def rattles(self, n_atoms: int) -> bool:
        """Whether a crystal of so many atoms is rattled."""
        return self.rattle > 0 and (self.rattle_atoms is None or n_atoms <= self.rattle_atoms)

    def met(self, forces: np.ndarray, stress: np.ndarray, energies: Sequence[float]) -> bool:
        """Whether a crystal is relaxed; one that begins within the other limits takes no step.

        Parameters
        ----------
        forces, stress
            Of the present geometry: (N, 3), eV/Å, and (3, 3), eV/Å³.
        energies
            Of all geometries so far, eV/atom.
        """
        largest = np.linalg.norm(forces, axis=1).max()
        still = len(energies) < 2 or abs(energies[-1] - energies[-2]) < self.emax
        return bool(largest < self.fmax and np.abs(stress).max() < self.smax and still)

    @property
    def too_many_steps(self) -> str:
        """What is said of a crystal that took too many steps."""
        return f"not converged in {self.max_steps} steps"

    @property
    def too_long(self) -> str:
        """What is said of a crystal that took too long."""
        return f"gave up after {self.max_seconds:g} s"


class UnsoundError(ArithmeticError):
    """A frame that no relaxation may go on from, with its reason."""


def relax_structure(
    structure: Structure,
    calculator: Calculator,
    level: EnergyLevel,
    limits: Limits = Limits(),
    should_stop: Callable[[], bool] = lambda: False,
) -> Relaxation:
    """Relax a structure by ASE's FIRE until forces and stress are below their limits.

    With `Limits.rattle` once more from there, rattled, for a lower form.

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
    limits
        When it is relaxed, and when it is given up.
    should_stop
        Asked before each step.
    """
    reason = gate(structure)
    if reason:
        return failed(level, reason)
    run = _Run(right_handed(to_atoms(structure)), calculator, limits)
    rest = run.relaxed(level, should_stop)
    if not rest.converged or not limits.rattles(len(structure)):
        return rest
    again = _Run(rattled(run.atoms, limits.rattle), calculator, limits, run)
    shaken = again.relaxed(level, should_stop)
    return shaken if shaken.reason == STOPPED else lower_of(rest, shaken)


def failed(level: EnergyLevel, reason: str, *, steps: int = 0, seconds: float = 0.0) -> Relaxation:
    """Return the relaxation of a crystal that has no sane frame."""
    return Relaxation(None, None, None, None, steps, False, seconds, reason, level)


def pack(
    first: Atoms,
    last: Atoms,
    answer: Evaluation,
    *,
    steps: int,
    seconds: float,
    reason: str,
    level: EnergyLevel,
    trace: Trace | None = None,
) -> Relaxation:
    """Return the relaxation from the first frame to the last, and what the potential says of it.

    A frame that fails the gate, or that fell apart, cannot count as relaxed.
    """
    structure = from_atoms(last)
    # Overlapping atoms say more about a run than that its steps ran out.
    reason = gate(structure) or fallen_apart(first, last) or reason
    per_atom = answer.energy / len(last)
    return Relaxation(
        structure,
        per_atom,
        answer.forces,
        answer.stress,
        steps,
        not reason,
        seconds,
        reason,
        level,
        trace,
    )


def lower_of(rest: Relaxation, shaken: Relaxation) -> Relaxation:
    """Return the lower of what a crystal was before and after it was rattled, and by how much.

    Parameters
    ----------
    rest
        Converged.
    shaken
        From there on; its steps and seconds are those of both. One that did not converge decides
        nothing.
    """
    if not shaken.converged:
        return replace(rest, seconds=shaken.seconds)
    gain = rest.energy_per_atom - shaken.energy_per_atom
    if gain > LOWER:
        return replace(shaken, lowered=gain, rest=replace(rest, trace=None))
    return replace(rest, seconds=shaken.seconds, lowered=0.0)


def fallen_apart(first: Atoms, last: Atoms) -> str:
    """Say so when a crystal has more pieces without a bond between them than it began with.

    Layers and molecules that were there from the beginning are no fault.
    """
    return "the crystal fell apart" if pieces(last) > pieces(first) else ""


def pieces(atoms: Atoms) -> int:
    """Count what no bond holds together: a bond is up to 1.5 times the sum of covalent radii."""
    radii = BOND_STRETCH * covalent_radii[atoms.numbers]
    finder = vesin.NeighborList(cutoff=2 * radii.max(), full_list=False)
    first, second, lengths = finder.compute(
        atoms.positions, atoms.cell.array, periodic=True, quantities="ijd"
    )
    bonded = lengths < radii[first] + radii[second]
    pairs = (first[bonded].astype(int), second[bonded].astype(int))
    graph = coo_array((np.ones(bonded.sum()), pairs), shape=(len(atoms), len(atoms)))
    return int(connected_components(graph, directed=False)[0])


def unsound_cell(atoms: Atoms, volume: float) -> str:
    """Say why a crystal that began with this volume (Å³) cannot go on; "" when it can."""
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        return "coordinates became non-finite"
    ratio = atoms.get_volume() / volume
    if ratio > MAX_VOLUME_CHANGE:
        return "the cell exploded"
    if ratio < 1 / MAX_VOLUME_CHANGE:
        return "the cell collapsed"
    if _overlapping(atoms):
        return f"atoms came closer than {MIN_DISTANCE:g} Å"
    return ""


def _overlapping(atoms: Atoms) -> bool:
    finder = vesin.NeighborList(cutoff=MIN_DISTANCE, full_list=False)
    pairs = finder.compute(atoms.positions, atoms.cell.array, periodic=True, quantities="i")
    return len(pairs[0]) > 0


class _Run:
    """A relaxation on its way: the atoms, and the last frame that was sane.

    Parameters
    ----------
    atoms
        What it begins with; they are moved.
    before
        The relaxation that it goes on from, after a rattle, which counts as a step.
    """

    def __init__(
        self, atoms: Atoms, calculator: Calculator, limits: Limits, before: _Run | None = None
    ) -> None:
        self.atoms, self.limits = atoms, limits
        self.first = before.first if before else atoms.copy()
        self.recorder = before.recorder if before else Recorder()
        self.steps = self.begin = before.steps + 1 if before else 0
        self.frame: tuple[Atoms, Evaluation] | None = None
        self._volume = self.first.get_volume()
        self._earlier = before.seconds if before else 0.0
        self._began = time.monotonic()
        atoms.calc = calculator

    @property
    def seconds(self) -> float:
        """Wall time of this relaxation so far."""
        return time.monotonic() - self._began

    def relaxed(self, level: EnergyLevel, should_stop: Callable[[], bool]) -> Relaxation:
        """Go on to the end, whatever that is."""
        try:
            reason = self._until_converged(should_stop)
        except UnsoundError as error:
            reason = str(error)
        except Exception as error:
            # A calculator is foreign code: whatever it throws belongs to this structure alone.
            reason = f"calculator error: {type(error).__name__}: {error}"
        return self._result(level, reason)

    def _until_converged(self, should_stop: Callable[[], bool]) -> str:
        """Step until converged ("") or until there is a reason not to go on."""
        optimizer = FIRE(FrechetCellFilter(self.atoms), logfile=None)
        while True:
            if self._converged():
                return ""
            if self.steps - self.begin >= self.limits.max_steps:
                return self.limits.too_many_steps
            if self.seconds > self.limits.max_seconds:
                return self.limits.too_long
            if should_stop():
                return STOPPED
            optimizer.step()
            self.steps += 1

    def _converged(self) -> bool:
        """Evaluate the present frame, keep it when sane, and compare it with the limits."""
        reason = unsound_cell(self.atoms, self._volume)
        if reason:
            raise UnsoundError(reason)
        energy = float(self.atoms.get_potential_energy())
        forces, stress = self.atoms.get_forces(), self.atoms.get_stress(voigt=False)
        if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
            raise UnsoundError(NOT_FINITE)
        self.frame = (self.atoms.copy(), Evaluation(energy, forces.copy(), stress.copy()))
        self.recorder.add(*self.frame)
        return self.limits.met(forces, stress, self.recorder.energies)

    def _result(self, level: EnergyLevel, reason: str) -> Relaxation:
        """Pack the last sane frame."""
        seconds = self._earlier + self.seconds
        if self.frame is None:
            return failed(level, reason, steps=self.steps, seconds=seconds)
        return pack(
            self.first,
            *self.frame,
            steps=self.steps,
            seconds=seconds,
            reason=reason,
            level=level,
            trace=self.recorder.trace(),
        )
