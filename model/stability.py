"""How likely a crystal is to lie near the hull, told by networks that are trained for nothing else.

The drawing network's own log p(x | low) - log p(x | high) is the same log-odds up to a constant
(Bayes), but a difference of two large numbers that nothing was trained to get right. A stability
network begins with the weights of the drawing network and reads a row up to its lattice, every
token with all others in view; from the mean and the maximum of its states it tells the log-odds
that the energy above the hull is below each of `LEVELS`. What is told is the mean over a few of
them, trained with different seeds.

An informed one foresees the formation energy too, and reads what `model.facts` tells of the known
phases that the crystal competes with and of known crystals like it.

Run as ``python -m model.stability --shards FOLDER``; it writes ``stability-0.safetensors`` and so
on beside the weights, and keeps those that are there: run again, it goes on. `model.trees` tells
the same by other means. Letters in shapes: B rows, T tokens, D width, L levels.
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
from model.facts import INPUTS, Fact, facts_of, forget, inputs
from model.likelihood import context_of
from model.network import Network, NetworkConfig
from model.phases import load_phases
from model.shards import LOW_LIMIT, Batch, Shards, pad
from model.tokens import Role, Row, crystal_to_row, row_to_crystal

FILE = "stability-{}.safetensors"
MEMBERS = 2
"""Networks whose mean is told."""
LEVELS = (0.001, 0.01, 0.025, 0.05, LOW_LIMIT, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Energies above the hull, eV/atom, whose log-odds are told."""
HIDDEN = 256
DROPOUT = 0.2
PASSES = 6
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
GROUP_FIRST, FORMULA = 0.3, 0.3
"""Shares of training rows that begin with the space group, and that state the formula."""
FORGOTTEN = (0.3, 0.15)
"""Shares of training rows whose phases with all the elements, or of the composition, are hidden."""
ENERGIES = (-5.0, 4.0)
"""eV/atom; formation energies are learned within these bounds."""
ENERGY_WEIGHT, ENERGY_NEAR = 1.5, 0.05
"""Weight of the formation energy's loss, and the error in eV/atom from which on it is linear."""
COORDINATES = (int(Role.X), int(Role.Y), int(Role.Z))


class StabilityNetwork(nn.Module):
    """From rows to the log-odds of every level, (B, L).

    Parameters
    ----------
    config : NetworkConfig
        Of the drawing network whose weights it begins with.
    informed : bool
        Whether it foresees the formation energy and reads facts.
    """

    def __init__(self, config: NetworkConfig, *, informed: bool = True) -> None:
        super().__init__()
        self.trunk = Network(replace(config, dropout=DROPOUT))
        self.head = nn.Sequential(
            nn.LayerNorm(2 * config.width),
            nn.Linear(2 * config.width, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN, len(LEVELS)),
        )

        self.informed = informed
        if informed:
            self.facts = nn.Linear(INPUTS, HIDDEN, bias=False)
            self.energy = nn.Sequential(
                nn.Linear(2 * config.width + 1, HIDDEN),
                nn.GELU(),
                nn.Dropout(0.1),
                nn.Linear(HIDDEN, 1),
            )

    def forward(self, rows: Sequence[Row], facts: Tensor) -> tuple[Tensor, Tensor]:
        """Tell of rows that stop before their coordinates.

        Parameters
        ----------
        rows : sequence of Row
            In canonical form, B.
        facts : Tensor, shape (B, F)
            What `model.facts.facts_of` tells of them.

        Returns
        -------
        Log-odds of every level, (B, L), and formation energies in eV/atom, (B,); NaN by a network
        that is not informed.
        """
        context, _, _ = context_of(_with_end(pad(rows)), self.trunk.bias.device)
        states = self.trunk(context, self.trunk.embedding(), whole=True)  # (B, T, D)
        real = (context.tokens != vocabulary.PAD)[..., None]
        mean = (states * real).sum(dim=1) / real.sum(dim=1)
        largest = states.masked_fill(~real, float("-inf")).max(dim=1).values
        norm, widen, *rest = self.head
        whole = norm(torch.cat([mean, largest], dim=1))
        hidden, energy = widen(whole), facts.new_full((len(rows),), float("nan"))
        if self.informed:
            # the hull's energy is a first guess: what is learned is the distance from it
            hull = facts[:, Fact.HULL]
            energy = hull + self.energy(torch.cat([whole, hull[:, None]], dim=1))[:, 0].float()
            hidden = hidden + self.facts(inputs(facts, energy))
        for layer in rest:
            hidden = layer(hidden)
        return hidden, energy


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
    facts: np.ndarray | None = None,
    *,
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
    facts : ndarray, shape (B, F), optional
        What `model.facts.facts_of` tells of them, where somebody has asked already.
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
    if facts is None:
        informed = any(network.informed for network in networks)
        none = np.zeros((len(crystals), len(Fact)), np.float32)
        facts = facts_of(crystals, load_phases()) if informed else none
    rows = {
        informed: [
            before_coordinates(crystal_to_row(crystal, formula=informed)) for crystal in crystals
        ]
        for informed in {network.informed for network in networks}
    }
    told = [_told(network, rows[network.informed], facts, batch_size) for network in networks]
    return np.mean(told, axis=0)[:, LEVELS.index(level)]


def _told(
    network: StabilityNetwork, rows: Sequence[Row], facts: np.ndarray, batch_size: int = 64
) -> np.ndarray:
    """Log-odds of all levels, (rows, L); rows of like length go together."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    told = np.zeros((len(rows), len(LEVELS)))
    with torch.inference_mode():
        for some in _cut(order, batch_size):
            known = torch.from_numpy(facts[some]).to(network.trunk.bias.device)
            odds, _ = network([rows[k] for k in some], known)
            told[some] = odds.double().cpu().numpy()
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
        network = StabilityNetwork(config, informed="facts.weight" in weights)
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
        Training crystals, their energies above the hull and formation energies.

    Returns
    -------
    The network, and its area under the ROC curve at `LOW_LIMIT` on held-out training crystals.

    Raises
    ------
    ValueError
        If the shards hold no formation energies.
    """
    if shards.formation_energy is None:
        raise ValueError(
            "expected shards with formation energies, got none: make them again with "
            "'python -m explorer.prepare shards' from a table that has formation_energy_per_atom"
        )
    facts = _facts_of_shards(shards)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shards))
    cut = max(2, int(HELD_OUT * len(order)))
    held, learned = order[:cut], order[cut:]
    network = StabilityNetwork(start.config).to(start.bias.device)
    network.trunk.load_state_dict(start.state_dict())
    average = copy.deepcopy(network).eval()
    optimizer = _optimizer(network)
    steps, step = passes * -(-len(learned) // ROWS), 0
    rows = [before_coordinates(_row(shards, int(k))) for k in held]
    below = shards.e_above_hull[held] <= LOW_LIMIT
    area = 0.0
    for number in range(passes):
        network.train()
        for some in _batches(shards, learned, rng):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _share(step, steps)
            _step(network, optimizer, shards, some, facts[some], rng)
            step += 1
            _follow(average, network, step)
        area = _area(_told(average, rows, facts[held])[:, LEVELS.index(LOW_LIMIT)], below)
        print(
            f"pass {number + 1} of {passes}: held-out AUC {area:.4f}", file=sys.stderr, flush=True
        )
    return average, area


def _optimizer(network: StabilityNetwork) -> torch.optim.Optimizer:
    """AdamW, with a higher rate for what was not trained before."""
    trunk = list(network.trunk.requires_grad_().parameters())
    known = {id(parameter) for parameter in trunk}
    heads = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [{"params": trunk, "peak": RATE}, {"params": heads, "peak": HEAD_RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.05)


def _step(
    network: StabilityNetwork,
    optimizer: torch.optim.Optimizer,
    shards: Shards,
    some: np.ndarray,
    facts: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Learn from some crystals, whose headers are written in an order drawn at random."""
    device = network.trunk.bias.device
    rows = [before_coordinates(_row(shards, int(k), rng)) for k in some]
    less = forget(facts, *(rng.random((2, len(some))) < np.array(FORGOTTEN)[:, None]))
    with torch.autocast(device.type, torch.bfloat16):
        odds, energy = network(rows, torch.from_numpy(less).to(device))
    below = shards.e_above_hull[some][:, None] <= np.array(LEVELS, np.float32)
    below = torch.from_numpy(below).float().to(device)
    measured = torch.from_numpy(shards.formation_energy[some].clip(*ENERGIES)).to(device)
    loss = functional.binary_cross_entropy_with_logits(odds.float(), below)
    loss = loss + ENERGY_WEIGHT * functional.smooth_l1_loss(energy, measured, beta=ENERGY_NEAR)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def _facts_of_shards(shards: Shards) -> np.ndarray:
    """Return what the known phases tell of every crystal, (crystals, F)."""
    rows = (_row(shards, index) for index in range(len(shards)))
    return facts_of([row_to_crystal(row.tokens, row.fine) for row in rows], load_phases())


def _row(shards: Shards, index: int, rng: np.random.Generator | None = None) -> Row:
    """Return a crystal's row as it is scored, or drawn among the ways to write it."""
    group_first, formula, setting = False, shards.has_formula(index), 0
    if rng is not None:
        group_first, formula = rng.random() < GROUP_FIRST, formula and rng.random() < FORMULA
        setting = int(rng.integers(shards.settings(index)))
    header = {"stability": "any", "spacegroup_first": group_first, "formula": formula}
    return shards.row(index, **header, setting=setting)


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
        try:
            network, area = fit(loaded.network, train, options.seed + number)
        except ValueError as error:
            sys.exit(str(error))
        save_stability(network, options.weights, number, loaded.sha256, area)
        print(f"{options.weights / FILE.format(number)}: held-out AUC {area:.4f}", flush=True)


if __name__ == "__main__":
    main()
