"""How likely a crystal is to lie near the hull, read off the states of the trained network.

The network's own log p(x | low) - log p(x | high) is the same log-odds up to a constant (Bayes),
but a difference of two large numbers that nothing was trained to get right. Here a small head is
trained for it: from the states of a row (their mean and maximum, the last one, and the one at the
end of the skeleton) to the log-odds that the energy above the hull is below each of `LEVELS`. The
network stays as it is.

Run as ``python -m model.stability --shards FOLDER``; it writes ``stability.safetensors`` beside the
weights. Letters in shapes: B rows, T tokens, D width, F = 4 D features, L levels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
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
from model.network import Network
from model.shards import LOW_LIMIT, Batch, Shards, pad
from model.tokens import Role, crystal_to_row

FILE = "stability.safetensors"
LEVELS = (0.001, 0.01, 0.025, 0.05, LOW_LIMIT, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Energies above the hull, eV/atom, whose log-odds the head tells."""
HIDDEN = 256
PASSES = 30
ROWS = 256
"""Crystals of a training step."""
HELD_OUT = 0.1
"""Share of the training crystals that tells when to stop."""


class StabilityHead(nn.Module):
    """From the features of a crystal, (B, F), to log-odds, (B, L)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(features, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, len(LEVELS)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the log-odds of every level."""
        return self.layers((features - self.mean) / self.spread)


def features_of(network: Network, batch: Batch, device: torch.device | str = "cpu") -> Tensor:
    """Pool the network's states over each row of a batch, (B, F)."""
    context, _, _ = context_of(_with_end(batch), device)
    states = network(context, network.embedding())  # (B, T, D)
    real = (context.tokens != vocabulary.PAD)[..., None]
    length = real.sum(dim=1)
    mean = (states * real).sum(dim=1) / length
    largest = states.masked_fill(~real, float("-inf")).max(dim=1).values
    rows = torch.arange(len(states), device=device)
    end = (context.tokens == vocabulary.END).int().argmax(dim=1)
    return torch.cat([mean, largest, states[rows, length[:, 0] - 1], states[rows, end]], dim=1)


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
    network: Network,
    head: StabilityHead,
    crystals: list[WyckoffCrystal],
    level: float = LOW_LIMIT,
    batch_size: int = 64,
) -> np.ndarray:
    """Log-odds that each crystal's energy above the hull is at most ``level``, (crystals,).

    Parameters
    ----------
    crystals : list of WyckoffCrystal
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
    rows = [crystal_to_row(crystal) for crystal in crystals]
    order = np.argsort([len(row) for row in rows], kind="stable")
    told, device = np.zeros(len(rows)), network.bias.device
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            some = order[start : start + batch_size]
            features = features_of(network, pad([rows[k] for k in some]), device)
            told[some] = head(features)[:, LEVELS.index(level)].double().cpu().numpy()
    return told


def save_head(head: StabilityHead, folder: Path, network_sha256: str, held_out_auc: float) -> None:
    """Write a head beside the network that it belongs to, in half precision."""
    weights = {name: value.detach().half().cpu() for name, value in head.state_dict().items()}
    notes = {"network": network_sha256, "held_out_auc": f"{held_out_auc:.4f}"}
    save_file(weights, folder / FILE, metadata=notes)


def load_head(folder: Path, network_sha256: str, width: int, device: str) -> StabilityHead | None:
    """Read the head of a network; None where there is none, or that of another network."""
    if not (folder / FILE).is_file():
        return None
    with safe_open(folder / FILE, framework="pt") as stored:
        if stored.metadata().get("network") != network_sha256:
            return None
        weights = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
    head = StabilityHead(4 * width)
    head.load_state_dict(weights)
    return head.eval().requires_grad_(requires_grad=False).to(device)


def fit(features: Tensor, energies: np.ndarray, seed: int) -> tuple[StabilityHead, float]:
    """Train a head; the pass that ranks the held-out crystals best is kept.

    Parameters
    ----------
    features : Tensor, shape (N, F)
    energies : ndarray, shape (N,)
        Above the hull, eV/atom.

    Returns
    -------
    The head, and its area under the ROC curve at `LOW_LIMIT` on the held-out crystals.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(features))
    cut = int(HELD_OUT * len(order))
    held, learned = order[:cut], order[cut:]
    head = StabilityHead(features.shape[1])
    head.mean.copy_(features[learned].mean(dim=0))
    head.spread.copy_(features[learned].std(dim=0) + 1e-6)
    below = torch.from_numpy(energies[:, None] <= np.array(LEVELS)).float()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    best, kept = 0.0, head.state_dict()
    for number in range(PASSES):
        _one_pass(head, optimizer, features, below, rng.permutation(learned))
        with torch.no_grad():
            odds = head.eval()(features[held])[:, LEVELS.index(LOW_LIMIT)]
        area = _area(odds.numpy(), energies[held] <= LOW_LIMIT)
        print(f"pass {number + 1}: held-out AUC {area:.4f}", file=sys.stderr, flush=True)
        if area > best:
            best = area
            kept = {name: value.clone() for name, value in head.state_dict().items()}
    head.load_state_dict(kept)
    return head.eval(), best


def _one_pass(
    head: StabilityHead,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    below: Tensor,
    order: np.ndarray,
) -> None:
    head.train()
    for start in range(0, len(order), ROWS):
        some = order[start : start + ROWS]
        loss = functional.binary_cross_entropy_with_logits(head(features[some]), below[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive one scores higher than another; scores do not tie."""
    rank = scores.argsort().argsort() + 1
    count = int(positive.sum())
    wins = rank[positive].sum() - count * (count + 1) / 2
    return float(wins / (count * (len(scores) - count)))


def _features(network: Network, shards: Shards, batch_size: int = 64) -> Tensor:
    """Features of all crystals of a shard, (N, F)."""
    order = np.argsort(shards.lengths(), kind="stable")
    told = torch.zeros(len(shards), 4 * network.config.width)
    with torch.inference_mode():
        for some in _cut(order, batch_size):
            rows = [
                shards.row(int(k), stability="any", spacegroup_first=False, formula=False)
                for k in some
            ]
            told[some] = features_of(network, pad(rows), network.bias.device).float().cpu()
    return told


def _cut(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def main() -> None:
    """Run from the shell."""
    from model.checkpoint import SHIPPED, load_network  # noqa: PLC0415 - it imports this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="folder with train.npz")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    loaded = load_network(options.weights, options.device)
    train = Shards(options.shards / "train.npz")
    head, area = fit(_features(loaded.network, train), train.e_above_hull, options.seed)
    save_head(head, options.weights, loaded.sha256, area)
    print(f"{options.weights / FILE}: held-out AUC {area:.4f}")


if __name__ == "__main__":
    main()
