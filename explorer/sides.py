"""Phases that pairs of elements most likely have, where no published energy is known.

A hull that lacks a compound makes everything stable that would fall apart into it: without rubidium
fluoride RbPF6 lies 2 eV/atom below the hull. So the chemically likeliest prototypes of every pair
of elements of different electronegativity are relaxed with a potential, and what lies well below
the published hull of the pair competes on the sides of larger systems. Nothing is predicted for the
very system of a candidate: what a search finds there is its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import inf, isfinite
from pathlib import Path

import numpy as np
from pymatgen.core import Element, Structure

from explorer.baseline_substitution import substitution
from explorer.batch_evaluation import static_energies
from explorer.crystals import gate, spacegroup_of, to_structure
from explorer.dft_hull import HullModeError, dft_references, fit_of, refuse_scale
from explorer.hull import Hull
from explorer.phases import PREDICTED, RELAXED, Phase, phase_from_structure, write_phases
from explorer.potentials import Potential
from explorer.references import ReferencePhases
from explorer.relax import Relaxer
from explorer.relaxed import RATTLE
from model.constraints import Constraints

PROTOTYPES = 12
"""Fillings of known prototypes that are tried for a pair, the most similar first."""
NEAR = 0.1
"""eV/atom above the published hull up to which an unrelaxed one is worth a relaxation."""
RELAXATIONS = 4
"""Of a pair at most."""
POLAR = 0.8
"""Difference of Pauling's electronegativities from which on a pair is looked at."""
GAP = 0.1
"""eV/atom below the published hull of its pair; less may be the error of the potential."""
ATTRIBUTION = (
    "Known prototypes of the training crystals, filled with elements that resemble theirs and "
    "relaxed by Hullscape."
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SideReport:
    """What became of the pairs.

    Attributes
    ----------
    pairs, tried, relaxed
        Pairs of elements, crystals that got an energy, and relaxations.
    written
        Phases in the file.
    failed
        Reasons of relaxations that gave none, with their counts.
    """

    pairs: int
    tried: int
    relaxed: int
    written: int
    failed: Mapping[str, int]


@dataclass
class _Published:
    """Published hulls at the level of a potential, read when first asked for."""

    potential: Potential
    tried: int = 0
    relaxed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    _hulls: dict[str, Hull] = field(default_factory=dict)

    def phases(self, system: str) -> ReferencePhases:
        """Return the corners of the published hull of a system."""
        # its elements lie at the fitted zeros of the level, whoever's energies were shipped
        shipped = ReferencePhases.shipped(system)
        return dft_references(replace(shipped, level=self.potential.level))

    def above(self, structure: Structure, energy: float) -> float:
        """Return the distance from the hull of its system, eV/atom, negative below it."""
        system = structure.chemical_system
        if system not in self._hulls:
            self._hulls[system] = Hull(self.phases(system))
        formula = structure.composition.reduced_formula
        return self._hulls[system].place(formula, energy, self.potential.level).energy_above_hull


def build_sides(
    potential: Potential,
    out: Path,
    elements: Sequence[str] = (),
    *,
    workers: int | None = None,
    progress: Progress = print,
) -> SideReport:
    """Predict what the pairs of elements lack, and write it as a set of phases.

    Parameters
    ----------
    potential
        Gives the energies, for which fitted elements must come with the program.
    out
        Parquet file to write, with the level of the energies.
    elements
        Whose polar pairs; all of the potential's when none are given.
    workers
        Of the relaxation.

    Raises
    ------
    HullModeError
        When there are no fitted elements for the potential, or its energies have another scale.
    """
    refuse_scale(potential.level)
    if fit_of(potential.level) is None:
        raise HullModeError(
            f"expected a potential with fitted elements, such as chgnet, got {potential.level}: "
            "'hullscape references fit' makes them, as explorer/data/elements-NAME.json"
        )
    pairs = [
        pair for pair in combinations(sorted(elements or potential.elements), 2) if polar(pair)
    ]
    published = _Published(potential)
    likely = _likely(pairs, published, progress)
    phases: dict[str, list[Phase]] = {}
    with Relaxer(potential, workers=workers, rattle=RATTLE) as relaxer:
        for name, relaxation in relaxer.relax(likely):
            published.relaxed += 1
            if relaxation.reason or relaxation.structure is None:
                published.failed[relaxation.reason] += 1
                continue
            phase = _phase(name, relaxation.structure, relaxation.energy_per_atom)
            phases.setdefault(phase.chemsys, []).append(phase)
    kept = [phase for pair in sorted(phases) for phase in _gaps(phases[pair], published)]
    write_phases(out, kept, potential.level, {"attribution": ATTRIBUTION})
    counts = (len(pairs), published.tried, published.relaxed, len(kept))
    return SideReport(*counts, dict(published.failed))


def polar(pair: tuple[str, str]) -> bool:
    """Whether two elements differ so much that a compound of theirs is worth a lot."""
    first, second = (Element(symbol) for symbol in pair)
    return not (first.is_noble_gas or second.is_noble_gas) and abs(first.X - second.X) >= POLAR


def _likely(
    pairs: Sequence[tuple[str, str]], published: _Published, progress: Progress
) -> Iterator[tuple[str, Structure]]:
    """Yield what is worth a relaxation, by name."""
    model = published.potential.model(gradients=False)
    for done, pair in enumerate(pairs):
        filled = substitution(Constraints(elements=pair), n=PROTOTYPES, similar=True)
        sound = [s for drawn in filled if not gate(s := to_structure(drawn.crystal))]
        energies = zip(sound, static_energies(model, sound), strict=True)
        placed = [published.above(s, energy) if isfinite(energy) else inf for s, energy in energies]
        published.tried += len(sound)
        for k in np.argsort(placed, kind="stable")[:RELAXATIONS]:
            if placed[k] < NEAR:
                yield f"{'-'.join(pair)}:{k}", sound[k]
        if done % 50 == 0:
            progress(f"energies of {done + 1}/{len(pairs)} pairs")


def _phase(name: str, structure: Structure, energy: float) -> Phase:
    group, formula = spacegroup_of(structure), structure.composition.reduced_formula
    number = name.partition(":")[2]
    return phase_from_structure(
        f"predicted-{formula}-{group}-{number}",
        structure,
        energy,
        PREDICTED,
        spacegroup=group,
        geometry=RELAXED,
    )


def _gaps(phases: Sequence[Phase], published: _Published) -> Iterator[Phase]:
    """Yield the phases that lie well below the published hull, and on the hull that results."""
    deep = [p for p in phases if published.above(p.structure, p.energy_per_atom) < -GAP]
    if not deep:
        return
    known = published.phases(deep[0].chemsys)
    corners = set(Hull(replace(known, phases=(*known.phases, *deep))).stable)
    yield from (phase for phase in deep if phase.id in corners)
