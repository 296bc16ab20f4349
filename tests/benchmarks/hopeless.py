"""What giving relaxations up loses and saves: every crystal is relaxed to its end, then judged.

Run as ``python tests/benchmarks/hopeless.py --systems 40 --each 6``. Crystals are drawn by the
shipped model, without a search, for chemical systems chosen at random among those of the shipped
reference phases.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pymatgen.core import Structure

sys.path.insert(0, str(Path(__file__).parents[2]))

from explorer.batch_relaxation import Batch
from explorer.candidate import Relaxation
from explorer.crystals import to_structure
from explorer.hopeless import Ceiling, beyond_hope
from explorer.laboratory import Library
from explorer.phases import read_chemical_systems
from explorer.potentials import potential
from explorer.references import shipped_file
from explorer.relaxation import Limits
from model.checkpoint import load_network
from model.constraints import Constraints
from model.sample import sample

TOGETHER = 12
NEAR = 0.1
"""eV/atom above the hull."""


def drawn(systems: int, each: int, seed: int) -> Iterator[Structure]:
    """Draw crystals of random ternary systems."""
    network = load_network()
    known = sorted(set(read_chemical_systems(shipped_file())))
    ternary = [name for name in known if name.count("-") == 2]
    for name in np.random.default_rng(seed).choice(ternary, systems, replace=False):
        wish = Constraints.parse(str(name), max_atoms=24)
        for draw in sample(network, wish, seed=seed, count=each):
            if draw.crystal is not None:
                yield to_structure(draw.crystal)


def relaxed(structures: list[Structure]) -> Iterator[tuple[Structure, Relaxation]]:
    """Relax all to their ends."""
    chosen = potential("chgnet", "cpu")
    batch, waiting = Batch(chosen.model(), chosen.level, Limits()), list(enumerate(structures))
    while waiting or len(batch):
        while waiting and len(batch) < TOGETHER:
            key, structure = waiting.pop()
            answer = batch.add(key, structure)
            if answer is not None:
                yield structure, answer
        for key, answer in batch.advance():
            yield structures[key], answer


def main() -> None:
    """Print what was lost and saved as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=40)
    parser.add_argument("--each", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ceiling = Ceiling(Library("chgnet", None, "", "auto"), potential("chgnet", "cpu").level)
    counts = {"relaxed": 0, "near_hull": 0, "given_up": 0, "lost": 0}
    steps = saved = 0
    structures = list(drawn(options.systems, options.each, options.seed))
    for structure, relaxation in relaxed(structures):
        ceilings = ceiling(structure)
        if relaxation.trace is None or ceilings is None:
            continue
        energies = list(relaxation.trace.energies)
        ends = [k for k in range(len(energies)) if beyond_hope(energies[: k + 1], ceilings.go_on)]
        near = relaxation.energy_per_atom <= ceilings.hull + NEAR
        counts["relaxed"] += 1
        counts["near_hull"] += near
        counts["given_up"] += bool(ends)
        counts["lost"] += bool(ends) and near
        steps += len(energies) * len(structure)
        saved += (len(energies) - ends[0] - 1) * len(structure) if ends else 0
    print(json.dumps(counts | {"saved": round(saved / steps, 3), "seed": options.seed}))


if __name__ == "__main__":
    main()
