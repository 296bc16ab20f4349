"""Potentials that are reached through an ASE calculator: optional packages, and the user's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator
from pymatgen.core import Element

from explorer.potential_base import MP2020, MPTRJ_ELEMENTS, Potential, PotentialError, digest, need

GROUP = "hullscape.potentials"
"""Entry points of this group are functions of no argument that return an ASE calculator.

They may carry attributes: `elements`, symbols that the calculator was made for; `weights`, path of
a file whose content identifies it (without it, that of the function's module does, beside the
package's version); `correction`, the scheme that its energies carry.
"""


@dataclass(frozen=True)
class Family:
    """An optional package of potentials.

    Attributes
    ----------
    package
        What must be importable.
    default
        Model that is taken when none is named.
    open
        (model, device) to calculator and torch module, whose weights are hashed.
    plain
        Pattern of the models that learned total energies of the Materials Project's settings as
        they were computed; the MP2020 corrections are added to them. Of other models (OMat24,
        MatPES, with dispersion) nobody may place energies among the published ones.
    """

    package: str
    default: str
    open: Callable[[str, str], tuple[Calculator, Any]]
    plain: str = ""

    def correction(self, model: str) -> str:
        """Return the scheme that the energies of a model carry here."""
        return MP2020 if self.plain and re.fullmatch(self.plain, model) else "none"


class OptionalPotential(Potential):
    """A model of an optional package."""

    def calculator(self) -> Calculator:
        """Return the package's own calculator, with corrections where its energies ask for them."""
        family, _, model = self.name.partition(":")
        calculator, _ = FAMILIES[family].open(model, self.device)
        if self.correction != MP2020:
            return calculator
        from explorer.mp2020 import corrected  # noqa: PLC0415 - takes seconds, and few need it

        return corrected(calculator)


class EntryPotential(Potential):
    """A calculator that another installed package offers."""

    def calculator(self) -> Calculator:
        """Return the calculator that the entry point makes."""
        return _loaded(_entry(self.name))()


def _sevennet(model: str, device: str) -> tuple[Calculator, Any]:
    from sevenn.calculator import SevenNetCalculator  # noqa: PLC0415 - optional package

    calculator = SevenNetCalculator(model=model, device=device)
    return calculator, calculator.model


def _mace(model: str, device: str) -> tuple[Calculator, Any]:
    from mace.calculators import MACECalculator, mace_mp  # noqa: PLC0415 - optional package

    if Path(model).is_file():
        calculator = MACECalculator(model_paths=model, device=device)
    else:
        calculator = mace_mp(model=model, device=device, default_dtype="float64")
    return calculator, calculator.models[0]


def _orb(model: str, device: str) -> tuple[Calculator, Any]:
    from orb_models.forcefield import pretrained  # noqa: PLC0415 - optional package
    from orb_models.forcefield.calculator import ORBCalculator  # noqa: PLC0415

    makers = pretrained.ORB_PRETRAINED_MODELS
    if model not in makers:
        raise PotentialError(f"orb has no model {model!r}: expected one of {', '.join(makers)}")
    network = makers[model](device=device)
    return ORBCalculator(network, device=device), network


def _mattersim(model: str, device: str) -> tuple[Calculator, Any]:
    from mattersim.forcefield import MatterSimCalculator  # noqa: PLC0415 - optional package

    calculator = MatterSimCalculator(load_path=model, device=device)
    return calculator, calculator.potential.model


FAMILIES = {
    "sevennet": Family("sevenn", "7net-0", _sevennet, r"7net-(0(_\d+[A-Z][a-z]+\d+)?|l3i5)"),
    "mace": Family("mace", "medium-mpa-0", _mace, r"(small|medium|large)(-0b[23]?)?|medium-mpa-0"),
    "orb": Family(
        "orb_models", "orb-v3-conservative-inf-mpa", _orb, r"orb-v3-.*-mpa|orb(-mptraj-only)?-v2"
    ),
    "mattersim": Family("mattersim", "MatterSim-v1.0.0-1M.pth", _mattersim),
}


def with_whole_path(argument: str) -> str:
    """Return the absolute path of a file, and a name as it is: workers work in other folders."""
    file = Path(argument).expanduser()
    return str(file.absolute()) if file.is_file() else argument


def optional(family: str, argument: str, device: str) -> OptionalPotential:
    """Return a potential of an optional package; its weights are loaded to be hashed.

    Raises
    ------
    PotentialError
        When the package is missing, or cannot load the model.
    """
    chosen = FAMILIES[family]
    need(chosen.package, family)
    model = with_whole_path(argument) or chosen.default
    try:
        _, network = chosen.open(model, device)
    except Exception as error:
        # Foreign loaders raise whatever they like: a wrong name, a wrong file, no internet.
        raise PotentialError(f"{family} cannot load {model!r}: {error}") from error
    checkpoint = digest(_weights(network))
    name, version, scheme = f"{family}:{model}", Path(model).name, chosen.correction(model)
    return OptionalPotential(name, version, checkpoint, MPTRJ_ELEMENTS, scheme, device)


def _weights(network: Any) -> Iterator[bytes]:
    for name, tensor in sorted(network.state_dict().items()):
        yield name.encode()
        yield tensor.detach().cpu().contiguous().numpy().tobytes()


def offered() -> list[str]:
    """Names of the calculators that installed packages offer."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def from_entry_point(name: str, device: str) -> EntryPotential:
    """Return the potential that an installed package offers under this name.

    Raises
    ------
    PotentialError
        When it cannot be imported, or names no elements by their symbols.
    """
    entry = _entry(name)
    make = _loaded(entry)
    package = entry.dist.name if entry.dist else entry.module
    version = entry.dist.version if entry.dist else "unversioned"
    weights = getattr(make, "weights", None) or _source(entry)
    try:
        content = Path(weights).read_bytes() if weights else b""
    except OSError as error:
        raise PotentialError(f"cannot read the weights of {name}: {error}") from error
    checkpoint = digest([f"{package} {version} {entry.value}".encode(), content])
    every = frozenset(Element.from_Z(z).symbol for z in range(1, 119))
    elements = getattr(make, "elements", every)
    if isinstance(elements, str) or not every.issuperset(elements):
        raise PotentialError(
            f"{name}: expected symbols such as ('Al', 'Cu') as the elements of {entry.value}, got "
            f"{elements!r}"
        )
    correction = getattr(make, "correction", "none")
    return EntryPotential(name, version, checkpoint, frozenset(elements), correction, device)


def _entry(name: str) -> EntryPoint:
    return next(iter(entry_points(group=GROUP, name=name)))


def _source(entry: EntryPoint) -> str | None:
    """Return the file of an entry point's module: it changes more often than a version does."""
    return getattr(sys.modules[entry.module], "__file__", None)


def _loaded(entry: EntryPoint) -> Callable[[], Calculator]:
    try:
        return entry.load()
    except Exception as error:
        raise PotentialError(f"cannot load {entry.value} of {entry.name}: {error}") from error
