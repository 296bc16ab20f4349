"""What a training run makes small: the loss of a batch, and how a network is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from model.checkpoint import KIND, load_network
from model.likelihood import PARTS, part_nll, token_nll
from model.network import Network, NetworkConfig
from model.shards import Batch, Shards, pad


class Objective(Protocol):
    """A kind of network and its loss."""

    kind: str
    """Name in recipes and weights."""
    decides: str
    """Which value of a validation is smallest at the best weights."""

    def build(self, config: NetworkConfig) -> Any:
        """Make a network with random weights; it has ``blocks``."""

    def start(self, folder: Path, device: str) -> nn.Module:
        """Read weights to begin with."""

    def loss(self, network: Any, batch: Batch, device: str) -> Tensor:
        """Sum of the losses of a batch, ()."""

    def validate(self, network: Any, shards: Shards, device: str) -> dict[str, float]:
        """Means over the crystals of shards, by name."""


class Likelihood:
    """Of our own network: the likelihood of whole rows.

    Parameters
    ----------
    smoothing, fine_weight : float
        In training alone; see `model.likelihood.token_nll`.
    """

    kind = KIND
    decides = "nll"
    build = Network

    def __init__(self, smoothing: float, fine_weight: float) -> None:
        self.smoothing, self.fine_weight = smoothing, fine_weight

    def start(self, folder: Path, device: str) -> Network:
        """Read weights to begin with."""
        return load_network(folder, device).network

    def loss(self, network: Network, batch: Batch, device: str) -> Tensor:
        """Sum over the tokens of a batch, ()."""
        return token_nll(network, batch, device, self.smoothing, self.fine_weight)[0].sum()

    def validate(self, network: Network, shards: Shards, device: str) -> dict[str, float]:
        """Mean negative log-likelihood per crystal, in nats, whole and by part."""
        totals: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        for start in range(0, len(shards), 64):
            indices = range(start, min(start + 64, len(shards)))
            rows = [
                shards.row(k, stability="any", spacegroup_first=False, formula=False)
                for k in indices
            ]
            nll, roles = token_nll(network, pad(rows), device)
            for name, value in part_nll(nll, roles).items():
                totals[name] += float(value.sum())
        means = {name: value / len(shards) for name, value in totals.items()}
        return {"nll": sum(means.values()), **means}
