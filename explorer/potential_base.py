"""What every interatomic potential is: a name, a checkpoint hash, an energy level, a model."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ase.calculators.calculator import Calculator
from pymatgen.core import Element, Structure

if TYPE_CHECKING:
    from torch_sim.models.interface import ModelInterface

# Technetium and the lanthanoids are in MPtrj; of the elements up to plutonium these are not.
MPTRJ_ELEMENTS = frozenset(Element.from_Z(z).symbol for z in range(1, 95)) - {
    "Po",
    "At",
    "Rn",
    "Fr",
    "Ra",
}
"""The 89 elements of MPtrj, on which most universal potentials are trained."""
MP2020 = "MP2020"
"""The corrections of published formation energies (Wang et al., Sci. Rep. 11, 15496, 2021)."""


class PotentialError(ValueError):
    """A potential that does not exist, is not installed or cannot be loaded."""


@dataclass(frozen=True)
class EnergyLevel:
    """Which energies may stand on one hull: same potential, same weights, same correction.

    Attributes
    ----------
    potential
        Name and version, such as "chgnet 0.3.0".
    checkpoint
        First 12 hexadecimal digits of the SHA-256 of the weights.
    correction
        Scheme that the energies carry ("MP2020"), learned or added, or "none".
    """

    potential: str
    checkpoint: str
    correction: str

    def __str__(self) -> str:
        return f"{self.potential} [{self.checkpoint}], correction {self.correction}"

    def to_dict(self) -> dict[str, str]:
        """Return plain strings."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, str]) -> EnergyLevel:
        """Read what `to_dict` wrote."""
        return cls(data["potential"], data["checkpoint"], data["correction"])


@dataclass(frozen=True)
class Potential(ABC):
    """A potential that is known but not loaded: cheap to make, to compare and to send to a worker.

    Attributes
    ----------
    name
        As asked for, such as "chgnet" or "matgl:PATH"; `potential(name)` gives an equal one.
    version
        Of the weights.
    checkpoint_hash
        First 12 hexadecimal digits of the SHA-256 of the weights.
    elements
        Symbols that it was trained on.
    correction
        Scheme of its energies.
    device
        "cpu", "cuda" and so on.
    """

    name: str
    version: str
    checkpoint_hash: str
    elements: frozenset[str]
    correction: str
    device: str = "cpu"

    @property
    def level(self) -> EnergyLevel:
        """The ledger line that every energy of this potential carries."""
        label = self.name.partition(":")[0]
        return EnergyLevel(f"{label} {self.version}", self.checkpoint_hash, self.correction)

    def unknown_elements(self, structure: Structure) -> list[str]:
        """Symbols of the structure that this potential was not trained on, sorted."""
        return sorted({e.symbol for e in structure.composition.elements} - self.elements)

    @property
    def batches(self) -> bool:
        """Whether its model evaluates many crystals at once faster than one by one."""
        return False

    @abstractmethod
    def calculator(self) -> Calculator:
        """Load the weights and return a new ASE calculator: eV, eV/Å, eV/Å³."""

    def load_model(self, *, gradients: bool = True) -> ModelInterface:
        """Load the weights and return a torch-sim model: eV, eV/Å, eV/Å³.

        Parameters
        ----------
        gradients
            Whether forces and stress are wanted; where they cost, energies alone are faster.
        """
        from explorer.batch_evaluation import CalculatorModel  # noqa: PLC0415 - imports torch

        return CalculatorModel(self.calculator(), gradients=gradients)

    def model(self, *, gradients: bool = True) -> ModelInterface:
        """Load the model, and examine its energies before anybody trusts them.

        Raises
        ------
        PotentialError
            When well-known crystals do not have the energies of the potential's scale.
        """
        from explorer.potential_health import refuse_ill  # noqa: PLC0415 - imports torch

        loaded = self.load_model(gradients=gradients)
        refuse_ill(self, loaded)
        return loaded

    def static_energies(self, structures: Sequence[Structure]) -> Iterator[float]:
        """Yield the energy of each structure as it stands, eV/atom, NaN where there is none."""
        from explorer.batch_evaluation import static_energies  # noqa: PLC0415 - imports torch

        return static_energies(self.model(gradients=False), structures)


def need(package: str, extra: str) -> None:
    """Refuse a potential whose package is missing, naming what to install."""
    if find_spec(package) is None:
        raise PotentialError(f"{extra} is not installed: pip install 'hullscape[{extra}]'")


def digest(parts: Iterable[bytes]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of all parts."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return state.hexdigest()[:12]
