"""Registry of interatomic potentials: each has a name, a checkpoint hash and an energy level.

Names: "chgnet" (weights inside its wheel, so no internet is needed), "matgl:NAME_OR_PATH" (a path
that `matgl.load_model` reads, or a model of its hub), "sevennet" (when installed).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from ase.calculators.calculator import Calculator
from pymatgen.core import Element, Structure
from pymatgen.io.ase import AseAtomsAdaptor

if TYPE_CHECKING:
    from torch_sim.models.interface import ModelInterface

log = logging.getLogger("hullscape")


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
        Scheme that the training energies carried ("MP2020"), or "none".
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

    def model(self) -> ModelInterface:
        """Load the weights and return a torch-sim model: eV, eV/Å, eV/Å³."""
        from explorer.batch_evaluation import CalculatorModel  # noqa: PLC0415 - imports torch

        return CalculatorModel(self.calculator())

    def static_energies(self, structures: Sequence[Structure]) -> Iterator[float]:
        """Yield the energy of each structure as it stands, eV/atom, NaN where there is none."""
        calculator = self.calculator()
        for structure in structures:
            atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
            atoms.calc = calculator
            try:
                energy = float(atoms.get_potential_energy()) / len(atoms)
            except Exception as error:
                # Foreign code, and one structure of thousands: it has no energy, the others do.
                log.warning("%s gives no energy for %s: %r", self.name, structure.formula, error)
                energy = float("nan")
            yield energy


MATGL_FILES = ("model.json", "model.pt", "state.pt")
MATGL_HUB = "materialyze"
"""Owner of the hub's models that are named without one."""
HUB_SECONDS = 10.0
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

CHGNET_VERSION = "0.3.0"
# The radioactive elements below plutonium that MPtrj has no calculation of; the 89 others it has.
_CHGNET_UNTRAINED = {"Po", "At", "Rn", "Fr", "Ra"}


class ChgnetPotential(Potential):
    """CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031, 2023), weights from its wheel.

    Trained on MPtrj, whose energies carry the MP2020 compatibility corrections.
    """

    @cached_property
    def _network(self) -> Any:
        from explorer.chgnet_calculator import load_network  # noqa: PLC0415 - seconds to import

        return load_network(self.version, self.device)

    @property
    def batches(self) -> bool:
        """It does."""
        return True

    def model(self) -> ModelInterface:
        """Return the batched model on weights that are loaded once for this object."""
        from explorer.chgnet_model import ChgnetModel  # noqa: PLC0415

        return ChgnetModel(self._network)

    def calculator(self) -> Calculator:
        """Return a calculator on weights that are loaded once for this object."""
        from explorer.chgnet_calculator import ChgnetCalculator  # noqa: PLC0415

        return ChgnetCalculator(self._network)

    def static_energies(self, structures: Sequence[Structure]) -> Iterator[float]:
        """Yield energies in eV/atom, in batches without gradients."""
        from explorer.chgnet_calculator import static_energies  # noqa: PLC0415

        return static_energies(self._network, structures)


class MatglPotential(Potential):
    """A potential of matgl, by hub name or by path."""

    @cached_property
    def _network(self) -> Any:
        return _load_matgl(self.name.partition(":")[2])

    def calculator(self) -> Calculator:
        """Return matgl's calculator with stress in eV/Å³ (its own default is GPa)."""
        from matgl.ext.ase import PESCalculator  # noqa: PLC0415

        return PESCalculator(self._network.to(self.device), stress_unit="eV/A3")


class SevennetPotential(Potential):
    """SevenNet-0 (Park et al., JCTC 20, 4857, 2024), trained on MPtrj; optional."""

    def calculator(self) -> Calculator:
        """Return SevenNet's own calculator."""
        from sevenn.calculator import SevenNetCalculator  # noqa: PLC0415

        return SevenNetCalculator(model=self.version, device=self.device)


def available() -> list[str]:
    """Names that work on this machine without a download; "matgl:NAME_OR_PATH" always may."""
    names = ["chgnet"] if find_spec("chgnet") else []
    return names + (["sevennet"] if find_spec("sevenn") else [])


def potential(name: str, device: str = "cpu") -> Potential:
    """Return the potential of that name, hashed but not loaded.

    Raises
    ------
    PotentialError
        When the name is unknown, the package is missing or the weights cannot be read.
    """
    family, _, argument = name.strip().partition(":")
    makers: dict[str, Callable[[str, str], Potential]] = {
        "chgnet": _chgnet,
        "matgl": _matgl,
        "sevennet": _sevennet,
    }
    if family not in makers:
        raise PotentialError(
            f"unknown potential {name!r}: expected one of {', '.join(available())} "
            "or matgl:NAME_OR_PATH"
        )
    return makers[family](argument, device)


def _chgnet(argument: str, device: str) -> Potential:
    if argument:
        raise PotentialError(f"chgnet takes no argument, got {argument!r}: write just 'chgnet'")
    _need("chgnet", "chgnet")
    folder = resources.files("chgnet") / "pretrained" / CHGNET_VERSION
    weights = next(Path(str(folder)).glob("*.pth.tar"), None)
    if weights is None:
        raise PotentialError(f"no CHGNet {CHGNET_VERSION} weights in {folder}: reinstall chgnet")
    symbols = {Element.from_Z(z).symbol for z in range(1, 95)} - _CHGNET_UNTRAINED
    return ChgnetPotential(
        "chgnet", CHGNET_VERSION, _hash([weights]), frozenset(symbols), "MP2020", device
    )


def _matgl(argument: str, device: str) -> Potential:
    if not argument:
        raise PotentialError("matgl needs a model: write matgl:NAME or matgl:/path/to/model")
    _need("matgl", "matgl")
    path = Path(argument).expanduser()
    if path.is_dir():
        _need_matgl_files(path)
    else:
        path = _fetch_matgl(argument)
    elements = frozenset(_load_matgl(str(path)).model.element_types)
    # Without an absolute path a worker that starts in another folder would load something else.
    name = f"matgl:{path.resolve()}"
    weights = [path / "model.pt", path / "state.pt"]
    return MatglPotential(name, path.name, _hash(weights), elements, "none", device)


def _sevennet(argument: str, device: str) -> Potential:
    if argument:
        raise PotentialError(f"sevennet takes no argument, got {argument!r}: write just 'sevennet'")
    _need("sevenn", "sevennet")
    from sevenn.util import pretrained_name_to_path  # noqa: PLC0415 - optional package

    weights = Path(pretrained_name_to_path("7net-0"))
    symbols = {Element.from_Z(z).symbol for z in range(1, 95)} - _CHGNET_UNTRAINED
    return SevennetPotential(
        "sevennet", "7net-0", _hash([weights]), frozenset(symbols), "MP2020", device
    )


def _need(package: str, name: str) -> None:
    if find_spec(package) is None:
        raise PotentialError(f"{name} is not installed: pip install 'hullscape[{name}]'")


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _need_matgl_files(folder: Path) -> None:
    missing = [name for name in MATGL_FILES if not (folder / name).is_file()]
    if missing:
        raise PotentialError(
            f"{folder} is no matgl model: expected {', '.join(MATGL_FILES)}, "
            f"{missing[0]} is missing"
        )


def _fetch_matgl(name: str) -> Path:
    """Return the folder of a model of the hub, from the cache when it was fetched before."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache  # noqa: PLC0415
    from matgl.config import MATGL_CACHE  # noqa: PLC0415 - imports torch

    repository = name if "/" in name else f"{MATGL_HUB}/{name}"
    if not _HUB_NAME.fullmatch(repository):
        raise PotentialError(
            f"no such folder: {name}, and no name of a model on matgl's hub either"
        )
    cached = [try_to_load_from_cache(repository, f, cache_dir=MATGL_CACHE) for f in MATGL_FILES]
    if all(isinstance(file, str) for file in cached):
        return Path(cached[0]).parent
    reason = _hub_objection(repository)
    if not reason:
        try:
            files = [hf_hub_download(repository, f, cache_dir=MATGL_CACHE) for f in MATGL_FILES]
            return Path(files[0]).parent
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
    raise PotentialError(
        f"matgl model {name!r} is neither a folder here nor on its hub ({reason}): "
        f"give the folder that holds {', '.join(MATGL_FILES)}"
    )


def _hub_objection(repository: str) -> str:
    """Say why the hub cannot give a model, without the minute of retries of its own client."""
    from huggingface_hub import constants  # noqa: PLC0415 - matgl brings it

    if constants.HF_HUB_OFFLINE:
        return "the hub is switched off by HF_HUB_OFFLINE"
    url = f"{constants.ENDPOINT}/api/models/{repository}"
    try:
        with urlopen(url, timeout=HUB_SECONDS):  # noqa: S310 - https, or what HF_ENDPOINT says
            return ""
    except HTTPError as error:
        return f"the hub answers {error.code} {error.reason}"
    except OSError as error:
        return f"the hub cannot be reached: {getattr(error, 'reason', error)}"


def _hush_warp() -> None:
    """Keep the banner of a library that matgl may import out of the answers on stdout."""
    if find_spec("warp") is not None:
        import warp  # noqa: PLC0415 - optional, and slow to import

        warp.config.log_level = warp.LOG_ERROR


def _load_matgl(argument: str) -> Any:
    _hush_warp()
    import matgl  # noqa: PLC0415 - imports torch

    try:
        with warnings.catch_warnings():
            # It warns of the version of every model that was saved by an earlier release.
            warnings.simplefilter("ignore", UserWarning)
            return matgl.load_model(argument)
    except (RuntimeError, ValueError, OSError, KeyError, json.JSONDecodeError) as error:
        raise PotentialError(f"matgl cannot load {argument!r}: {error}") from error
