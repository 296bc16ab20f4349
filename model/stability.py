"""How likely a crystal is to lie near the hull, told by networks that are trained for nothing else.

The drawing network's own log p(x | low) - log p(x | high) is the same log-odds up to a constant
(Bayes), but a difference of two large numbers that nothing was trained to get right. A stability
network begins with the weights of the drawing network and reads a row up to its lattice, every
token with all others in view; from the mean and the maximum of its states it tells the log-odds
that the energy above the hull is below each of `LEVELS`. What is told is the mean over a few of
them, trained with different seeds.

Run as ``python -m model.stability --shards FOLDER``; it writes ``stability-0.safetensors`` and so
on beside the weights, and keeps those that are there: run again, it goes on. Letters in shapes: B
rows, T tokens, D width, L levels.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from model import tokens as vocabulary
from model.crystal import WyckoffCrystal
from model.likelihood import context_of
from model.network import Network, NetworkConfig
from model.shards import LOW_LIMIT, Batch, Shards, pad
from model.tokens import Role, Row, crystal_to_row

FILE = "stability-{}.safetensors"
MEMBERS = 2
"""Networks whose mean is told."""
LEVELS = (0.001, 0.01, 0.025, 0.05, LOW_LIMIT, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Energies above the hull, eV/atom, whose log-odds are told."""
HIDDEN = 256
DROPOUT = 0.2
PASSES = 5
ROWS = 96
"""Crystals of a training step."""
RATE, HEAD_RATE = 3e-4, 1e-3
"""Peaks of AdamW's rate, for what was trained before and what was not."""
RISING, FALLING = 0.15, 0.7
"""Shares of the steps, at the beginning and at the end, over which the rates rise and fall."""
AVERAGE = 0.998
"""Decay of the running average of the weights that is kept."""
HELD_OUT = 0.05
"""Share of the training crystals that is left out to tell how well the rest was learned."""
COORDINATES = (int(Role.X), int(Role.Y), int(Role.Z))


class StabilityNetwork(nn.Module):
    """From rows to the log-odds of every level, (B, L).

    Parameters
    ----------
    config : NetworkConfig
        Of the drawing network whose weights it begins with.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk = Network(replace(config, dropout=DROPOUT))
        self.head = nn.Sequential(
            nn.LayerNorm(2 * config.width),
            nn.Linear(2 * config.width, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN, len(LEVELS)),
        )

    def forward(self, rows: Sequence[Row]) -> Tensor:
        """Return the log-odds of every level, (B, L), for rows that stop before coordinates."""
        context, _, _ = context_of(_with_end(pad(rows)), self.trunk.bias.device)
        states = self.trunk(context, self.trunk.embedding(), whole=True)  # (B, T, D)
        real = (context.tokens != vocabulary.PAD)[..., None]
        mean = (states * real).sum(dim=1) / real.sum(dim=1)
        largest = states.masked_fill(~real, float("-inf")).max(dim=1).values
        return self.head(torch.cat([mean, largest], dim=1))


def before_coordinates(row: Row) -> Row:
    """Return a row up to its lattice."""
    coordinates = np.isin(row.roles, COORDINATES)
    stop = int(coordinates.argmax()) if coordinates.any() else len(row)
    return Row(*(column[:stop] for column in (row.tokens, row.fine, row.roles, row.sites)))


def _with_end(batch: Batch) -> Batch:
    """Put one more column after the rows, so that their last tokens are read too."""
    empty = (vocabulary.PAD, 0, int(Role.DONE), -1)
    return Batch(
        *(
            np.pad(column, ((0, 0), (0, 1)), constant_values=value)
            for column, value in zip(vars(batch).values(), empty, strict=True)
        )
    )


def log_odds(
    networks: Sequence[StabilityNetwork],
    crystals: Sequence[WyckoffCrystal],
    level: float = LOW_LIMIT,
    batch_size: int = 64,
) -> np.ndarray:
    """Log-odds that each crystal's energy above the hull is at most ``level``, (crystals,).

    Parameters
    ----------
    networks : sequence of StabilityNetwork
        The mean of theirs is told.
    crystals : sequence of WyckoffCrystal
        In canonical form.
    level : float
        One of `LEVELS`, eV/atom.

    Raises
    ------
    ValueError
        For another level.
    TokenError
        If a crystal does not fit the vocabulary.
    """
    if level not in LEVELS:
        raise ValueError(f"expected a level of {', '.join(map(str, LEVELS))}, got {level}")
    rows = [before_coordinates(crystal_to_row(crystal)) for crystal in crystals]
    return _told(networks, rows, batch_size)[:, LEVELS.index(level)]


def _told(
    networks: Sequence[StabilityNetwork], rows: Sequence[Row], batch_size: int = 64
) -> np.ndarray:
    """Mean log-odds of all levels, (rows, L); rows of like length go together."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    told = np.zeros((len(rows), len(LEVELS)))
    with torch.inference_mode():
        for some in _cut(order, batch_size):
            odds = [network([rows[k] for k in some]) for network in networks]
            told[some] = torch.stack(odds).mean(dim=0).double().cpu().numpy()
    return told


def save_stability(
    network: StabilityNetwork, folder: Path, number: int, network_sha256: str, auc: float
) -> None:
    """Write one beside the drawing network that it belongs to, in half precision."""
    weights = {name: value.detach().half().cpu() for name, value in network.state_dict().items()}
    notes = {"network": network_sha256, "held_out_auc": f"{auc:.4f}"}
    partial = folder / (FILE.format(number) + ".partial")
    save_file(weights, partial, metadata=notes)
    partial.replace(folder / FILE.format(number))


def load_stability(
    folder: Path, network_sha256: str, config: NetworkConfig, device: str
) -> tuple[StabilityNetwork, ...]:
    """Read the stability networks of a drawing network; those of another one are not taken."""
    told = []
    for path in sorted(folder.glob(FILE.format("*"))):
        with safe_open(path, framework="pt") as stored:
            if stored.metadata().get("network") != network_sha256:
                continue
            weights = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
        network = StabilityNetwork(config)
        network.load_state_dict(weights)
        told.append(network.eval().requires_grad_(requires_grad=False).to(device))
    return tuple(told)


def fit(
    start: Network, shards: Shards, seed: int, passes: int = PASSES
) -> tuple[StabilityNetwork, float]:
    """Train a stability network.

    Parameters
    ----------
    start : Network
        The drawing network, whose weights it begins with.
    shards : Shards
        Training crystals and their energies above the hull.

    Returns
    -------
    The network, and its area under the ROC curve at `LOW_LIMIT` on held-out training crystals.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shards))
    cut = max(2, int(HELD_OUT * len(order)))
    held, learned = order[:cut], order[cut:]
    network = StabilityNetwork(start.config).to(start.bias.device)
    network.trunk.load_state_dict(start.state_dict())
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(
        [
            {"params": network.trunk.requires_grad_().parameters(), "peak": RATE},
            {"params": network.head.parameters(), "peak": HEAD_RATE},
        ],
        betas=(0.9, 0.98),
        weight_decay=0.05,
    )
    steps, step = passes * -(-len(learned) // ROWS), 0
    rows = [before_coordinates(_row(shards, int(k))) for k in held]
    below = shards.e_above_hull[held] <= LOW_LIMIT
    area = 0.0
    for number in range(passes):
        network.train()
        for some in _batches(shards, learned, rng):
            _step(network, optimizer, shards, some, rng, _share(step, steps))
            step += 1
            _follow(average, network, step)
        area = _area(_told([average], rows)[:, LEVELS.index(LOW_LIMIT)], below)
        print(
            f"pass {number + 1} of {passes}: held-out AUC {area:.4f}", file=sys.stderr, flush=True
        )
    return average, area


def _step(
    network: StabilityNetwork,
    optimizer: torch.optim.Optimizer,
    shards: Shards,
    some: np.ndarray,
    rng: np.random.Generator,
    share: float,
) -> None:
    """Learn from some crystals, whose headers are written in an order drawn at random."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    device = network.trunk.bias.device
    rows = [before_coordinates(_row(shards, int(k), rng)) for k in some]
    below = shards.e_above_hull[some][:, None] <= np.array(LEVELS, np.float32)
    with torch.autocast(device.type, torch.bfloat16):
        odds = network(rows)
    target = torch.from_numpy(below).float().to(device)
    loss = functional.binary_cross_entropy_with_logits(odds.float(), target)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def _row(shards: Shards, index: int, rng: np.random.Generator | None = None) -> Row:
    """Return a crystal's row as it is scored, or drawn among the ways to write it."""
    plain = {"stability": "any", "spacegroup_first": False, "formula": False}
    if rng is None:
        return shards.row(index, **plain)
    plain["spacegroup_first"] = rng.random() < 0.3
    plain["formula"] = rng.random() < 0.3 and shards.has_formula(index)
    return shards.row(index, **plain, setting=int(rng.integers(shards.settings(index))))


def _batches(shards: Shards, learned: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One pass over crystals, in groups of like length and random order."""
    order = rng.permutation(learned)
    lengths = shards.lengths()[order] + rng.uniform(-6, 6, len(order))
    groups = list(_cut(order[np.argsort(lengths, kind="stable")], ROWS))
    for k in rng.permutation(len(groups)):
        yield groups[k]


def _share(step: int, steps: int) -> float:
    """Share of the peak rates at a step: rise, plateau, fall."""
    return min(1.0, (step + 1) / (RISING * steps), (steps - step) / (FALLING * steps))


@torch.no_grad()
def _follow(average: StabilityNetwork, network: StabilityNetwork, step: int) -> None:
    """Move the running average; early on it follows faster."""
    keep = min(AVERAGE, step / (9 + step))
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive one scores higher than another; scores do not tie."""
    rank = scores.argsort().argsort() + 1
    count = int(positive.sum())
    wins = rank[positive].sum() - count * (count + 1) / 2
    return float(wins / (count * (len(scores) - count)))


def _cut(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def main() -> None:
    """Run from the shell."""
    from model.checkpoint import SHIPPED, load_network  # noqa: PLC0415 - it imports this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="folder with train.npz")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    loaded = load_network(options.weights, options.device)
    train = Shards(options.shards / "train.npz")
    for number in range(len(loaded.stability), options.members):
        network, area = fit(loaded.network, train, options.seed + number)
        save_stability(network, options.weights, number, loaded.sha256, area)
        print(f"{options.weights / FILE.format(number)}: held-out AUC {area:.4f}", flush=True)


if __name__ == "__main__":
    main()
