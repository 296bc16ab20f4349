"""Potentials of matgl, by path or by name on its hub."""

from __future__ import annotations

import re
import warnings
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from ase.calculators.calculator import Calculator

from explorer.complaints import one_line
from explorer.potential_base import Potential, PotentialError, digest, need

if TYPE_CHECKING:
    from torch_sim.models.interface import ModelInterface

MATGL_FILES = ("model.json", "model.pt", "state.pt")
MATGL_HUB = "materialyze"
"""Owner of the hub's models that are named without one."""
HUB_SECONDS = 10.0
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class MatglPotential(Potential):
    """A potential of matgl, by hub name or by path."""

    @cached_property
    def _network(self) -> Any:
        return _load_matgl(self.name.partition(":")[2]).to(self.device)

    @property
    def batches(self) -> bool:
        """It does."""
        return True

    def load_model(self, *, gradients: bool = True) -> ModelInterface:
        """Return the batched model, on weights that are loaded once for this object."""
        from explorer.matgl_model import MatglModel  # noqa: PLC0415 - imports torch

        return MatglModel(self._network, gradients=gradients)

    def calculator(self) -> Calculator:
        """Return matgl's calculator with stress in eV/Å³ (its own default is GPa)."""
        from matgl.ext.ase import PESCalculator  # noqa: PLC0415

        return PESCalculator(self._network, stress_unit="eV/A3")


def matgl(argument: str, device: str) -> MatglPotential:
    """Return the potential of a folder or of the hub."""
    if not argument:
        raise PotentialError("matgl needs a model: write matgl:NAME or matgl:/path/to/model")
    need("matgl", "matgl")
    path = Path(argument).expanduser()
    if path.is_dir():
        _need_matgl_files(path)
    else:
        path = _fetch_matgl(argument)
    elements = frozenset(_load_matgl(str(path)).model.element_types)
    # Without an absolute path a worker that starts in another folder would load something else.
    name = f"matgl:{path.resolve()}"
    files = (path / "model.pt", path / "state.pt")
    checkpoint = digest(file.read_bytes() for file in files)
    return MatglPotential(name, path.name, checkpoint, elements, "none", device)


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
    except Exception as error:  # pickle, torch and whatever the model is made of
        cause = error.__cause__ or error.__context__ or error  # matgl speaks of a traceback
        told = f"its files are damaged or of another version: {type(cause).__name__}: {cause}"
        raise PotentialError(one_line(f"matgl cannot load {argument!r}: {told}")) from error
