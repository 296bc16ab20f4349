"""Compare the engines of relaxation on the same structures, in one run.

    python tests/benchmarks/relaxation.py STRUCTURES.parquet -n 30

Each engine runs alone in this process, on one thread, and is charged its own processor time, so
that other work on the machine changes no ratio much: ASE's FIRE on the calculator that comes with
the potential, one crystal at a time; torch-sim's FIRE, and the descent of this project, on batches
and the batched model. All stop at the same limits of forces, stress and change of energy.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Structure

sys.path.insert(0, str(Path(__file__).parents[2]))

from explorer.batch_evaluation import as_state, evaluate
from explorer.batch_relaxation import Batch
from explorer.candidate import Relaxation
from explorer.crystals import gate, read_structures, to_atoms
from explorer.potentials import Potential, potential
from explorer.relaxation import Limits, relax_structure


def by_ase(structures: Sequence[Structure], chosen: Potential, limits: Limits) -> list[Relaxation]:
    """Relax one crystal at a time by ASE's FIRE."""
    calculator = chosen.calculator()
    return [relax_structure(s, calculator, chosen.level, limits) for s in structures]


def by_batches(
    structures: Sequence[Structure], chosen: Potential, limits: Limits, size: int
) -> list[Relaxation]:
    """Relax up to `size` crystals together by this project's engine."""
    batch = Batch(chosen.model(), chosen.level, limits)
    waiting, done = list(enumerate(structures))[::-1], {}
    while waiting or len(batch):
        while waiting and len(batch) < size:
            batch.add(*waiting.pop())
        done.update(batch.advance())
    return [done[place] for place in range(len(structures))]


def by_torch_sim(
    structures: Sequence[Structure], chosen: Potential, limits: Limits, size: int
) -> list[Relaxation]:
    """Relax blocks of `size` crystals by torch-sim's FIRE; a block ends with its last crystal."""
    from torch_sim.optimizers import frechet_cell_fire  # noqa: PLC0415

    model, done = chosen.model(), []
    start, step = frechet_cell_fire(model)
    for begin in range(0, len(structures), size):
        block = [to_atoms(structure) for structure in structures[begin : begin + size]]
        state, steps, left = start(as_state(block, model)), [0] * len(block), set(range(len(block)))
        energies: list[list[float]] = [[] for _ in block]
        for turn in range(limits.max_steps + 1):
            frames = state.to_atoms()
            answers = evaluate(model, frames)
            for told, answer, atoms in zip(energies, answers, frames, strict=True):
                told.append(answer.energy / len(atoms))
            left -= {
                i for i in left if limits.met(answers[i].forces, answers[i].stress, energies[i])
            }
            steps = [turn if i in left else count for i, count in enumerate(steps)]
            if not left:
                break
            state = step(state)
        for i, (atoms, answer) in enumerate(zip(frames, answers, strict=True)):
            energy = answer.energy / len(atoms)
            reason = "" if i not in left else limits.too_many_steps
            done.append(
                Relaxation(None, energy, None, None, steps[i], not reason, 0, reason, chosen.level)
            )
    return done


def measured(work: Callable[[], list[Relaxation]]) -> tuple[list[Relaxation], dict[str, Any]]:
    """Return the relaxations and what they cost."""
    began = time.process_time()
    results = work()
    seconds = time.process_time() - began
    return results, {
        "n": len(results),
        "converged": sum(result.converged for result in results),
        "steps": sum(result.steps for result in results),
        "cpu_seconds": round(seconds, 2),
        "structures_per_minute": round(60 * len(results) / seconds, 1),
    }


def compared(first: Sequence[Relaxation], second: Sequence[Relaxation]) -> dict[str, Any]:
    """Return how far energies differ where both converged."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a.converged and b.converged]
    gaps = np.array([b.energy_per_atom - a.energy_per_atom for a, b in both])
    return {
        "both_converged": len(both),
        "within_1_meV": int((np.abs(gaps) <= 1e-3).sum()),
        "lower_by_more": int((gaps < -1e-3).sum()),
        "higher_by_more": int((gaps > 1e-3).sum()),
    }


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path)
    parser.add_argument("-n", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-steps", type=int, default=300)
    parser.add_argument("--torch-sim", action="store_true", help="also torch-sim's own FIRE")
    parser.add_argument("--rattle", type=float, default=0.0, help="displace atoms by so much, Å")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = [item.structure for item in read_structures(options.structures)]
    found = [structure for structure in found if not gate(structure)]
    order = np.random.default_rng(options.seed).permutation(len(found))[: options.n]
    structures = [found[i] for i in order]
    for structure in structures:
        structure.perturb(options.rattle)
    chosen, limits = potential(options.potential), Limits(max_steps=options.max_steps)
    chosen.model()  # loading and the health check are nobody's cost
    batched, report = measured(lambda: by_batches(structures, chosen, limits, options.batch))
    told: dict[str, Any] = {"atoms": sum(map(len, structures)), "batched": report}
    if options.torch_sim:
        theirs, told["torch_sim_fire"] = measured(
            lambda: by_torch_sim(structures, chosen, limits, options.batch)
        )
        told["torch_sim_fire"] |= compared(theirs, batched)
    single, told["ase_fire"] = measured(lambda: by_ase(structures, chosen, limits))
    told["energies"] = compared(single, batched)
    told["ratio"] = round(told["ase_fire"]["cpu_seconds"] / report["cpu_seconds"], 2)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
