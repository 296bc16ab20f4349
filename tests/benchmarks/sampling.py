"""Compare ways to draw the same crystals, in one run.

    python tests/benchmarks/sampling.py -n 256 [--elements Al-Ca-Cu] [--device cuda]

As shipped, rows are drawn in batches, and each token is read once: its keys and values are kept.
Both are taken away in turn: batches of one; every token so far read again for each new one. All
draw from the same random numbers; `same` tells the share of crystals that come out alike (the last
bits of sums differ, and now and then a bin with them). Every way is charged its own processor time,
on one thread, the making of tables included; on a GPU the time of the clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from model.checkpoint import load_network
from model.constraints import Constraints
from model.growth import Draw, Growth
from model.headers import HeaderGrammar
from model.network import Cache, Context
from model.sampler import Sampler

SHIPPED = 128
"""Crystals of a batch."""
PUBLISHED = 0.040
"""Seconds in which CrystalFormer draws a crystal on an A100 (Cao et al., arXiv 2403.15734)."""


class ReadAgain(Growth):
    """Rows whose tokens are all read again for each new one."""

    def run(self) -> Iterator[Draw]:
        """Grow all rows with a network that forgets."""
        network = self.sampler.network
        if not isinstance(network, Forgetful):
            self.sampler.network = Forgetful(network)
        return super().run()


class Forgetful:
    """A network that reads whole rows; its cache holds what was read, not what came of it."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network

    def __getattr__(self, name: str) -> object:
        """Everything else is the network's own."""
        return getattr(self._network, name)

    def new_cache(self, rows: int) -> Cache:
        """One column a token for each of the five inputs."""
        return Cache([torch.zeros(rows, 0, dtype=torch.long) for _ in Context._fields], [])

    def step(self, context: Context, vectors: Tensor, cache: Cache, place: int) -> Tensor:
        """State after one more token of every row, from all of them."""
        for k, column in enumerate(context):
            cache.keys[k] = torch.cat([cache.keys[k].to(column.device), column], dim=1)
        return self._network(Context(*cache.keys), vectors)[:, place]


def draw(way: type[Growth], options: argparse.Namespace, size: int) -> tuple[list[Draw], float]:
    """Draw all crystals in batches of a size; returns them with the seconds that they took."""
    loaded = load_network(device=options.device)
    constraints = Constraints.parse(options.elements, stability="low")
    sampler = Sampler(loaded, HeaderGrammar(constraints, loaded.known_elements), 1.0, 1.0, 1.0)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    began, drawn = clock(), []
    for first in range(0, options.n, size):
        indices = range(first, min(first + size, options.n))
        drawn += list(way(sampler, options.seed, indices).run())
    return drawn, clock() - began


def main() -> None:
    """Print crystals a second and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=256)
    parser.add_argument("--elements", default="")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw(Growth, argparse.Namespace(**{**vars(options), "n": 2}), 2)  # imports, tables of tokens
    shipped, seconds = draw(Growth, options, SHIPPED)
    ways = {
        f"batches of {SHIPPED}, each token read once (as shipped)": (shipped, seconds),
        f"batches of {SHIPPED}, all tokens read again": draw(ReadAgain, options, SHIPPED),
        "one by one, each token read once": draw(Growth, options, 1),
        "one by one, all tokens read again": draw(ReadAgain, options, 1),
    }
    for name, (drawn, took) in ways.items():
        alike = [a.crystal == b.crystal for a, b in zip(drawn, shipped, strict=True)]
        result = {
            "way": name,
            "crystals": options.n,
            "crystals_per_second": round(options.n / took, 1),
            "times_as_long": round(took / seconds, 2),
            "same": round(sum(alike) / len(alike), 3),
            "times_crystalformer_a100": round(PUBLISHED * options.n / took, 2),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
