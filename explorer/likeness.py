"""How much a crystal resembles the known phases of its composition, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from explorer.isolation import run
from explorer.novelty import Matcher
from explorer.structure_files import NamedStructure

USUAL = Matcher()
WIDE = Matcher(ltol=0.4, stol=0.8, angle_tol=12.0)
"""Tolerances within which a distance is still told, of what is no longer the same crystal."""
MOST = 12
"""Phases compared, those that come first."""
SECONDS = 20.0


@dataclass(frozen=True)
class Likeness:
    """How a crystal compares with one known phase.

    Attributes
    ----------
    name
        Of the phase.
    same
        Whether pymatgen's StructureMatcher calls them the same crystal.
    rms, largest
        Root mean square and largest distance between matched sites once both cells are scaled to
        one volume, Å; None when no match was found even within `WIDE`.
    """

    name: str
    same: bool
    rms: float | None = None
    largest: float | None = None


def likenesses(
    structure: Structure, phases: Sequence[NamedStructure], matcher: Matcher = USUAL
) -> list[Likeness]:
    """Compare a crystal with phases of its reduced formula, the most alike first.

    Runs in a disposable child process: a matcher that meets a strange cell may take forever.

    Parameters
    ----------
    structure
        Gated, as are the phases.
    phases
        Those of another reduced formula are passed over; at most `MOST` are compared.
    matcher
        When two crystals are the same.

    Raises
    ------
    IsolationError
        When it took too long.
    """
    formula = structure.composition.reduced_formula
    same = [item for item in phases if item.structure.composition.reduced_formula == formula]
    tolerances = [(m.ltol, m.stol, m.angle_tol) for m in (matcher, WIDE)]
    return run(compare, structure, same[:MOST], tolerances, seconds=SECONDS)


def compare(
    structure: Structure,
    phases: Sequence[NamedStructure],
    tolerances: Sequence[tuple[float, float, float]],
) -> list[Likeness]:
    """Do the work of `likenesses`: the first tolerances decide, the others only measure."""
    found = [_compare(structure, phase, tolerances) for phase in phases]
    return sorted(found, key=lambda each: (not each.same, each.rms is None, each.rms or 0.0))


def _compare(
    structure: Structure,
    phase: NamedStructure,
    tolerances: Sequence[tuple[float, float, float]],
) -> Likeness:
    scale = (structure.volume / len(structure)) ** (1 / 3)
    for place, (ltol, stol, angle_tol) in enumerate(tolerances):
        matcher = StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle_tol)
        distances = matcher.get_rms_dist(structure, phase.structure)
        if distances is not None:
            rms, largest = (float(distance) * scale for distance in distances)
            return Likeness(phase.name, place == 0, rms, largest)
    return Likeness(phase.name, False)
