"""One evaluation of a potential for many crystals, of which a bad one harms itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from pymatgen.core import Structure
from torch import Tensor
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState

from explorer.complaints import one_line
from explorer.crystals import right_handed, to_atoms
from explorer.logs import log

NOT_FINITE = "the potential gave a non-finite energy, force or stress"
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a potential says of one geometry.

    Attributes
    ----------
    energy
        eV.
    forces
        eV/Å, (N, 3).
    stress
        eV/Å³, (3, 3), negative under compression.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray


class CalculatorModel(ModelInterface):
    """Any ASE calculator as a torch-sim model: crystals one after the other."""

    def __init__(self, calculator: Calculator, *, gradients: bool = True) -> None:
        super().__init__()
        self.calculator = calculator
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_forces = self._compute_stress = gradients

    def forward(self, state: SimState, **_: Any) -> dict[str, Tensor]:
        """Evaluate every crystal of the state; see `torch_sim.models.interface`."""
        crystals = [right_handed(atoms) for atoms in state.to_atoms()]
        if not self._compute_forces:
            energies = [self._energy(atoms) for atoms in crystals]
            return {"energy": torch.tensor(energies, dtype=self._dtype)}
        answers = [self._evaluate(atoms) for atoms in crystals]
        energies, forces, stresses = zip(*answers, strict=True)
        return {
            "energy": torch.tensor(energies, dtype=self._dtype),
            "forces": torch.from_numpy(np.concatenate(forces)),
            "stress": torch.from_numpy(np.stack(stresses)),
        }

    def _energy(self, atoms: Atoms) -> float:
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())

    def _evaluate(self, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
        energy, forces = self._energy(atoms), np.asarray(atoms.get_forces(), float)
        stress = np.asarray(atoms.get_stress(voigt=False), float)
        # A batch is put together of them: too short a list would be another crystal's forces.
        if forces.shape != (len(atoms), 3) or stress.shape != (3, 3):
            raise ValueError(
                f"expected forces of shape ({len(atoms)}, 3) and a stress of (3, 3), got "
                f"{forces.shape} and {stress.shape}"
            )
        return energy, forces, stress


def evaluate(model: ModelInterface, batch: Sequence[Atoms]) -> list[Evaluation | str]:
    """Return energy, forces and stress of each crystal, or why there are none.

    A batch that fails as a whole, for want of memory or by a fault in the potential, is split
    until the failure belongs to one crystal.
    """
    return _in_parts(model, batch, _split)


def static_energies(
    model: ModelInterface, structures: Iterable[Structure], size: int = 16
) -> Iterator[float]:
    """Yield the energy of each structure as given, eV/atom; NaN where there is none.

    Parameters
    ----------
    model
        Needs no gradients.
    structures
        Taken `size` at a time.
    """
    for formula, energy in static_answers(model, structures, size):
        if isinstance(energy, str):
            log.warning("no energy for %s: %s", formula, energy)
        yield float("nan") if isinstance(energy, str) else energy


def static_answers(
    model: ModelInterface, structures: Iterable[Structure], size: int = 16
) -> Iterator[tuple[str, float | str]]:
    """Yield formula and energy as `static_energies` does, or why there is none."""
    left = iter(structures)
    while block := [to_atoms(structure) for structure in islice(left, size)]:
        for atoms, energy in zip(block, _in_parts(model, block, _energies), strict=True):
            per_atom = energy if isinstance(energy, str) else energy / len(atoms)
            yield atoms.get_chemical_formula(), per_atom


def _in_parts(
    model: ModelInterface,
    batch: Sequence[Atoms],
    read: Callable[[dict[str, Tensor], Sequence[int]], list[Any]],
) -> list[Any]:
    try:
        return read(model(as_state(batch, model)), [len(atoms) for atoms in batch])
    except Exception as error:
        # A potential is foreign code: whatever it throws belongs to a single crystal at last.
        reason = _reason(error)
    if reason == OUT_OF_MEMORY and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(batch) == 1:
        return [reason]
    middle = len(batch) // 2
    return _in_parts(model, batch[:middle], read) + _in_parts(model, batch[middle:], read)


def as_state(batch: Sequence[Atoms], model: ModelInterface) -> SimState:
    """Put crystals into one torch-sim state, whose cells hold a lattice vector a column."""
    counts = torch.tensor([len(atoms) for atoms in batch])
    cells = np.stack([np.asarray(atoms.cell) for atoms in batch])
    numbers = torch.from_numpy(np.concatenate([atoms.numbers for atoms in batch]))
    place = {"device": model.device, "dtype": model.dtype}
    return SimState(
        positions=torch.tensor(np.concatenate([atoms.positions for atoms in batch]), **place),
        masses=torch.ones(len(numbers), **place),
        cell=torch.tensor(cells, **place).mT,
        pbc=True,
        atomic_numbers=numbers.to(model.device),
        system_idx=torch.repeat_interleave(torch.arange(len(batch)), counts).to(model.device),
    )


def _reason(error: Exception) -> str:
    text = str(error)
    starved = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # torch's own allocator on the CPU raises a RuntimeError.
    if starved or "can't allocate memory" in text or "out of memory" in text:
        return OUT_OF_MEMORY
    return f"calculator error: {type(error).__name__}: {one_line(text)}"


def _energies(answer: dict[str, Tensor], _: Sequence[int]) -> list[float | str]:
    energies = answer["energy"].detach().double().cpu().tolist()
    return [energy if np.isfinite(energy) else NOT_FINITE for energy in energies]


def _split(answer: dict[str, Tensor], counts: Sequence[int]) -> list[Evaluation | str]:
    energies = answer["energy"].detach().double().cpu().numpy()
    forces = answer["forces"].detach().double().cpu().numpy()
    stresses = answer["stress"].detach().double().cpu().numpy()
    parts = np.split(forces, np.cumsum(counts)[:-1])
    triples = zip(energies, parts, stresses, strict=True)
    return [_checked(float(energy), part, stress) for energy, part, stress in triples]


def _checked(energy: float, forces: np.ndarray, stress: np.ndarray) -> Evaluation | str:
    if np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all():
        return Evaluation(energy, forces, stress)
    return NOT_FINITE
