"""Small real potentials with faults, importable by worker processes."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from torch import Tensor
from torch_sim.state import SimState

from explorer.batch_evaluation import CalculatorModel
from explorer.potentials import Potential

ELEMENTS = frozenset({"Cu", "Al", "Ni", "Au", "Ag"})


def install_package(folder: Path, name: str, source: str, entries: str) -> None:
    """Lay a package of one module into a folder, version 1.2, as pip does; `entries` are points."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    told = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2\n"
    (info / "METADATA").write_text(told, encoding="utf-8")
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")


class EmtPotential(Potential):
    """ASE's effective medium theory; what goes wrong with it depends on the element."""

    def calculator(self) -> Calculator:
        """Return the calculator of a worker."""
        return FaultyEmt()


class UnloadablePotential(Potential):
    """A potential whose weights turn out to be damaged when a worker loads them."""

    def calculator(self) -> Calculator:
        """Fail as a damaged file does."""
        raise RuntimeError("unexpected end of file")


class StillbornPotential(EmtPotential):
    """A potential of which a worker dies before it can say why."""

    def __reduce__(self) -> tuple:
        """End the process that reads it."""
        return os._exit, (3,)


class SlowToLoadPotential(EmtPotential):
    """A potential that takes its time to load, not to relax."""

    def calculator(self) -> Calculator:
        """Return the calculator after a while."""
        time.sleep(1.5)
        return super().calculator()


class BatchedPotential(EmtPotential):
    """A potential whose crystals share an evaluation, and a crash."""

    @property
    def batches(self) -> bool:
        """They do."""
        return True


class FailingModel(CalculatorModel):
    """Fails as a whole for any batch with gold in it, and remembers the largest batch."""

    def __init__(self, calculator: Calculator, error: Exception) -> None:
        super().__init__(calculator)
        self.error, self.largest = error, 0

    def forward(self, state: SimState, **_: Any) -> dict[str, Tensor]:
        """Evaluate, or raise."""
        self.largest = max(self.largest, state.n_systems)
        if 79 in state.atomic_numbers:
            raise self.error
        return super().forward(state)


class PickyPotential(EmtPotential):
    """A potential that cannot do without neighbours."""

    def calculator(self) -> Calculator:
        """Return a calculator that refuses lonely atoms."""
        return PickyEmt()


class ShiftedPotential(EmtPotential):
    """A potential whose aluminium and copper are where the published energies have them."""

    def calculator(self) -> Calculator:
        """Return the calculator of a worker."""
        return ShiftedEmt()


class ShiftedEmt(EMT):
    """Energies from the atoms of the Materials Project, not from those of the bulk metals."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """Evaluate, and add eV for each atom."""
        super().calculate(atoms, properties, system_changes)
        shift = sum({"Al": -3.66, "Cu": -4.08}[atom.symbol] for atom in self.atoms)
        self.results["energy"] += shift
        self.results["free_energy"] += shift


class AlteredEmt(EMT):
    """Answers in other units, or for something else than was asked.

    Parameters
    ----------
    alter : callable
        Changes the results in place; hears how many atoms there are, too.
    """

    def __init__(self, alter: Callable[[dict[str, Any], int], None]) -> None:
        super().__init__()
        self.alter = alter

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """Evaluate, and change the answer."""
        super().calculate(atoms, properties, system_changes)
        self.alter(self.results, len(atoms))


class PickyEmt(EMT):
    """Raises for a crystal of one atom."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """Evaluate, or refuse."""
        if len(atoms) == 1:
            raise IndexError("no neighbours")
        super().calculate(atoms, properties, system_changes)


class FaultyEmt(EMT):
    """Copper and aluminium behave; silver kills the process, gold is NaN, nickel hangs."""

    calls = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """Evaluate, or fail as the element says."""
        symbols = set(atoms.get_chemical_symbols())
        if "Ag" in symbols:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "Ni" in symbols:
            time.sleep(0.2)
        super().calculate(atoms, properties, system_changes)
        if "Au" in symbols:
            self.calls += 1
            if self.calls >= 3:
                self.results["forces"] = np.full_like(self.results["forces"], np.nan)


def emt(elements: frozenset[str] = ELEMENTS) -> EmtPotential:
    """Return the toy potential, perhaps knowing only some of its elements."""
    return EmtPotential("emt", "1", "0" * 12, elements, "none")
