"""The network of the published baseline Matra-Genoa, and what it is trained by.

De Breuck, Piracha, Rignanese and Marques, arXiv:2501.16051: a causal transformer over the rows of
``model.matra_rows``. Values enter as Gaussian basis functions, linear and logarithmic, and leave
through a regression head with squared errors; all else by cross entropy. Its blocks are ours, so
that order, embedding and head alone differ. What the paper leaves open is said where it is chosen.

Letters in shapes: B rows, T entries, D width, G Gaussians of each scale, V tokens, K entries.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model import tokens as vocabulary
from model.checkpoint import LoadedNetwork, load_weights
from model.matra_rows import MAX_LENGTH, NUMBER, ORBIT_0, VOCABULARY, MatraBatch, Role, reassemble
from model.network import Block, Cache, NetworkConfig
from model.shards import Batch, Shards, pad

KIND = "matra"
"""Of the weights, in recipes and on disk."""
COORDINATES = (Role.X, Role.Y, Role.Z)
LENGTHS = (Role.A, Role.B, Role.C)
ANGLES = (Role.ALPHA, Role.BETA, Role.GAMMA)
QUANTITIES = (COORDINATES, LENGTHS, ANGLES)
"""Roles of values that have a scale in common."""
LOWEST, HIGHEST = (1e-3, 1.0, 20.0), (1.0, 120.0, 160.0)
"""Between these the basis functions of each quantity lie; training crystals reach 109 angstrom."""
MEAN, SPREAD = (0.37, 1.88, 101.0), (0.26, 0.43, 16.0)
"""Of coordinates, logarithms of lengths and free angles in training: targets are told in these."""
PARTS = {
    "elements": (Role.AMOUNT, Role.ELEMENT, Role.COUNT),
    "spacegroup": (Role.SPACEGROUP,),
    "skeleton": (Role.SITE_ELEMENT, Role.ORBIT),
}
"""Parts of a crystal's likelihood, as far as it is defined."""
ERRORS = {"lattice": (*LENGTHS, *ANGLES), "coordinates": COORDINATES}
"""What is regressed."""


class MatraContext(NamedTuple):
    """What the network reads at each entry."""

    tokens: Tensor
    """(B, T) int."""
    values: Tensor
    """(B, T)."""
    roles: Tensor
    """(B, T) int."""
    next_role: Tensor
    """Role of the following entry, (B, T) int."""


class GaussianEmbedding(nn.Module):
    """Numbers as Gaussian basis functions of the value and of its logarithm, mapped linearly."""

    def __init__(self, width: int, gaussians: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(len(QUANTITIES) * 2 * gaussians, width)
        places = torch.linspace(0, 1, gaussians)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("lowest", torch.tensor(LOWEST), persistent=False)
        self.register_buffer("highest", torch.tensor(HIGHEST), persistent=False)

    def basis(self, values: Tensor, quantity: Tensor) -> Tensor:
        """Values of the basis functions, (...,) and (...,) -> (..., 2 G): linear, logarithmic.

        Neighbours are one standard deviation apart, so that a value moves several of them.
        """
        low, high = self.lowest[quantity], self.highest[quantity]
        inside = torch.minimum(torch.maximum(values, low), high)
        linear = (inside - low) / (high - low)
        logarithmic = (inside / low).log() / (high / low).log()
        offset = torch.stack([linear, logarithmic], dim=-1)[..., None] - self.places
        return torch.exp(-0.5 * (offset * (len(self.places) - 1)) ** 2).flatten(-2)

    def forward(self, values: Tensor, quantity: Tensor) -> Tensor:
        """Vectors of numbers, (...,) and (...,) -> (..., D)."""
        own = functional.one_hot(quantity, len(QUANTITIES)).to(values.dtype)
        basis = self.basis(values, quantity)
        return self.linear((own[..., :, None] * basis[..., None, :]).flatten(-2))


class MatraNetwork(nn.Module):
    """Transformer over Matra's rows."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.number = GaussianEmbedding(width)
        self.role = nn.Embedding(len(Role), width)
        self.place = nn.Embedding(MAX_LENGTH, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.to_logits = nn.Linear(width, VOCABULARY)
        self.to_numbers = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(QUANTITIES))
        )
        for part in (self.embedding, self.role, self.place):
            nn.init.normal_(part.weight, std=0.02)

    def forward(self, context: MatraContext) -> Tensor:
        """States that predict the following entry, (B, T, D)."""
        x = self._read(context) + self.place.weight[: context.tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def step(self, context: MatraContext, cache: Cache, place: int) -> Tensor:
        """State after one more entry of every row, (B, D); the cache grows by it."""
        x = self._read(context) + self.place.weight[place]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            x = block.step(x, keys, values, place)
        return self.norm(x)[:, 0]

    def new_cache(self, rows: int) -> Cache:
        """Empty cache for rows of the greatest length."""
        heads = self.config.heads
        shape = (rows, heads, MAX_LENGTH, self.config.width // heads)
        weight = self.place.weight
        keys = [weight.new_zeros(shape) for _ in self.blocks]
        return Cache(keys, [weight.new_zeros(shape) for _ in self.blocks])

    def logits(self, states: Tensor, roles: Tensor) -> Tensor:
        """Logits of the tokens that an entry of that role may be, else -inf, (K, V)."""
        outside = ~allowed(str(states.device))[roles]
        return self.to_logits(states).float().masked_fill(outside, float("-inf"))

    def numbers(self, states: Tensor, roles: Tensor) -> Tensor:
        """Values regressed, in units of ``MEAN`` and ``SPREAD``, (K, D) and (K,) -> (K,)."""
        return self.to_numbers(states).float().gather(1, quantity_of(roles)[:, None])[:, 0]

    def _read(self, context: MatraContext) -> Tensor:
        """Input vectors of entries, without their places, (B, T, D)."""
        x = self.embedding(context.tokens) + self.role(context.next_role)
        number = self.number(context.values, quantity_of(context.roles))
        return x + number * (context.tokens == NUMBER)[..., None]


def standardised(values: Tensor, roles: Tensor) -> Tensor:
    """Targets of the regression, (K,); lengths by their logarithm."""
    quantity = quantity_of(roles)
    told = torch.where(quantity == 1, values.clamp(min=1e-3).log(), values)
    return (told - told.new_tensor(MEAN)[quantity]) / told.new_tensor(SPREAD)[quantity]


def natural(numbers: Tensor, roles: Tensor) -> Tensor:
    """Inverse of ``standardised``: angstrom, degrees, fractions in [0, 1), (K,)."""
    quantity = quantity_of(roles)
    told = numbers * numbers.new_tensor(SPREAD)[quantity] + numbers.new_tensor(MEAN)[quantity]
    return torch.where(quantity == 1, told.exp(), torch.where(quantity == 0, told % 1.0, told))


def quantity_of(roles: Tensor) -> Tensor:
    """Index into ``QUANTITIES``; 0 where a role is no number."""
    return ((roles - int(Role.X)) // 3).clamp(0, len(QUANTITIES) - 1)


def losses(
    network: MatraNetwork, batch: MatraBatch, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy of tokens in nats, squared error of values, and roles, (B, T - 1) each.

    Errors are in units of ``SPREAD``. Each is 0 where the other is meant, for the stability and
    for padding.
    """
    tokens, values, roles = (
        torch.as_tensor(array, device=device) for array in (batch.tokens, batch.values, batch.roles)
    )
    states = network(MatraContext(tokens[:, :-1], values[:, :-1], roles[:, :-1], roles[:, 1:]))
    tokens, values, roles = tokens[:, 1:], values[:, 1:], roles[:, 1:]
    nll = states.new_zeros(roles.shape, dtype=torch.float32)
    error = torch.zeros_like(nll)
    drawn = (roles > Role.PROMPT) & (roles < Role.X)
    logits = network.logits(states[drawn], roles[drawn])
    nll[drawn] = functional.cross_entropy(logits, tokens[drawn], reduction="none")
    told = (roles >= Role.X) & (roles < Role.DONE)
    aim = standardised(values[told], roles[told])
    error[told] = (network.numbers(states[told], roles[told]) - aim) ** 2
    return nll, error, roles


class Matra:
    """The objective: what a training run needs to know of this kind of network.

    Parameters
    ----------
    value_weight : float
        Weight of a squared error, in units of ``SPREAD``, against a nat.
    """

    def __init__(self, value_weight: float) -> None:
        self.value_weight = value_weight

    kind = KIND
    decides = "objective"
    build = MatraNetwork

    def start(self, folder: Path, device: str) -> MatraNetwork:
        """Read weights to begin with."""
        return load_matra(folder, device).network

    def loss(self, network: MatraNetwork, batch: Batch, device: str) -> Tensor:
        """Sum of the losses of all entries of one of our own batches."""
        nll, error, _ = losses(network, reassemble(batch), device)
        return nll.sum() + self.value_weight * error.sum()

    def validate(self, network: MatraNetwork, shards: Shards, device: str) -> dict[str, float]:
        """Nats per crystal of what has a likelihood, whole and by part; root mean square errors.

        Errors are in units of ``SPREAD``; a regressed value has no likelihood. ``objective`` is
        what training makes small.
        """
        nats = dict.fromkeys(PARTS, 0.0)
        squares, counts = dict.fromkeys(ERRORS, 0.0), dict.fromkeys(ERRORS, 0)
        for start in range(0, len(shards), 64):
            plain = {"stability": "any", "spacegroup_first": False, "formula": False}
            rows = [shards.row(k, **plain) for k in range(start, min(start + 64, len(shards)))]
            nll, error, roles = losses(network, reassemble(pad(rows)), device)
            for name, part in PARTS.items():
                nats[name] += float(nll[_is_one_of(roles, part)].sum())
            for name, part in ERRORS.items():
                where = _is_one_of(roles, part)
                squares[name] += float(error[where].sum())
                counts[name] += int(where.sum())
        means = {name: value / len(shards) for name, value in nats.items()}
        rms = {f"rms_{n}": float(np.sqrt(squares[n] / max(1, counts[n]))) for n in ERRORS}
        whole = sum(means.values())
        objective = whole + self.value_weight * sum(squares.values()) / len(shards)
        return {"nll": whole, **means, **rms, "objective": objective}


def load_matra(folder: Path, device: str = "cpu") -> LoadedNetwork:
    """Read a network that was trained by a recipe of this kind.

    Raises
    ------
    CheckpointError
        If the folder holds no network, one of another kind or format, or damaged weights.
    """
    return load_weights(folder, device, KIND, MatraNetwork)


def _is_one_of(roles: Tensor, part: tuple[Role, ...]) -> Tensor:
    return torch.isin(roles, torch.tensor(part, device=roles.device))


@cache
@torch.inference_mode(mode=False)  # kept for training too, whoever asks first
def allowed(device: str) -> Tensor:
    """Which tokens each role chooses from: the whole vocabulary of the role, (roles, V) bool."""
    v = vocabulary
    bounds = {
        Role.AMOUNT: (v.N_ELEMENTS_0, v.ELEMENT_0),
        Role.ELEMENT: (v.ELEMENT_0, v.SPACEGROUP_0),
        Role.COUNT: (v.COUNT_0, v.POSITION_0),
        Role.SPACEGROUP: (v.SPACEGROUP_0, v.COUNT_0),
        Role.SITE_ELEMENT: (v.ELEMENT_0, v.SPACEGROUP_0),
        Role.ORBIT: (ORBIT_0, NUMBER),
    }
    mask = torch.zeros(len(Role), VOCABULARY, dtype=torch.bool)
    for role, (first, last) in bounds.items():
        mask[role, first:last] = True
    mask[Role.SITE_ELEMENT, v.END] = True
    mask[Role.COUNT, v.NO_FORMULA] = True
    return mask.to(device)
