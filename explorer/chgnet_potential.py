"""CHGNet, the default potential: its weights come inside its wheel."""

from __future__ import annotations

import contextlib
import io
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import Calculator

from explorer.potential_base import MPTRJ_ELEMENTS, Potential, PotentialError, digest, need

if TYPE_CHECKING:
    from torch_sim.models.interface import ModelInterface

VERSION = "0.3.0"


class ChgnetPotential(Potential):
    """CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031, 2023).

    Trained on MPtrj, whose energies carry the MP2020 compatibility corrections.
    """

    @cached_property
    def _network(self) -> Any:
        from chgnet.model import CHGNet  # noqa: PLC0415 - seconds to import

        # It announces itself whatever `verbose` says.
        with contextlib.redirect_stdout(io.StringIO()):
            return CHGNet.load(model_name=self.version, use_device=self.device, verbose=False)

    @property
    def batches(self) -> bool:
        """It does."""
        return True

    def load_model(self, *, gradients: bool = True) -> ModelInterface:
        """Return the batched model, on weights that are loaded once for this object."""
        from explorer.chgnet_model import ChgnetModel  # noqa: PLC0415

        return ChgnetModel(self._network, gradients=gradients)

    def calculator(self) -> Calculator:
        """Return CHGNet's own calculator; an atom without neighbours is an error to it."""
        from chgnet.model.dynamics import CHGNetCalculator  # noqa: PLC0415

        with contextlib.redirect_stdout(io.StringIO()):
            return CHGNetCalculator(
                self._network, use_device=self.device, on_isolated_atoms="error"
            )


def chgnet(argument: str, device: str) -> ChgnetPotential:
    """Return the potential, hashed but not loaded."""
    if argument:
        raise PotentialError(f"chgnet takes no argument, got {argument!r}: write just 'chgnet'")
    need("chgnet", "chgnet")
    folder = resources.files("chgnet") / "pretrained" / VERSION
    weights = next(Path(str(folder)).glob("*.pth.tar"), None)
    if weights is None:
        raise PotentialError(f"no CHGNet {VERSION} weights in {folder}: reinstall chgnet")
    checkpoint = digest([weights.read_bytes()])
    return ChgnetPotential("chgnet", VERSION, checkpoint, MPTRJ_ELEMENTS, "MP2020", device)
