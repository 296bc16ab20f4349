"""Same crystal or not: against the known phases and within a campaign.

Only structures of one reduced formula are ever compared, so most need no matcher at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite
from typing import NamedTuple

from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from explorer.isolation import Here, IsolationError, Sandbox, run
from explorer.phases import FORM, Phase
from explorer.references import ReferencePhases
from explorer.strangers import bare

Lookup = Callable[[str], ReferencePhases]
"""From a chemical system such as "Al-Ca" to its known phases."""


class MatchError(RuntimeError):
    """Two structures that could not be compared, and why."""


@dataclass(frozen=True)
class Matcher:
    """pymatgen's StructureMatcher, run in a disposable child process.

    Attributes
    ----------
    ltol
        Fractional tolerance of lengths.
    stol
        Tolerance of positions, in units of (volume / atom) ** (1 / 3).
    angle_tol
        Degrees.
    seconds
        Wall time of one question; a needle-shaped cell can take half a minute.
    """

    ltol: float = 0.2
    stol: float = 0.3
    angle_tol: float = 5.0
    seconds: float = 10.0
    sandbox: Sandbox | Here | None = field(default=None, compare=False, repr=False)

    def reduced(self, structure: Structure) -> Structure:
        """Return the reduced primitive cell that matching works on: do it once, compare often.

        Raises
        ------
        MatchError
            When it took too long or could not be done.
        """
        return self._run(_reduce, structure)

    def first_match(self, structure: Structure, pool: Sequence[Structure]) -> int | None:
        """Return the index of the first structure of the pool that is the same crystal, or None.

        All must be gated. Raises MatchError when the question took too long.
        """
        formula = structure.composition.reduced_formula
        same = [i for i, s in enumerate(pool) if s.composition.reduced_formula == formula]
        if not same:
            return None
        found = self.match_reduced(self.reduced(structure), [self.reduced(pool[i]) for i in same])
        return None if found is None else same[found]

    def match_reduced(self, structure: Structure, pool: Sequence[Structure]) -> int | None:
        """Do the same for cells that `reduced` made, of one reduced formula."""
        # Reduced cells of one crystal hold equally many atoms.
        same = [i for i, other in enumerate(pool) if len(other) == len(structure)]
        if not same:
            return None
        tolerances = (self.ltol, self.stol, self.angle_tol)
        found = self._run(_first_match, tolerances, structure, [pool[i] for i in same])
        return None if found is None else same[found]

    def _run(self, function: Callable, *args: object) -> object:
        runner = self.sandbox.run if self.sandbox else run
        try:
            return runner(function, *args, seconds=self.seconds)
        except Exception as error:
            # Whatever goes wrong in there says something about this pair only.
            kind = "" if isinstance(error, IsolationError) else f"{type(error).__name__}: "
            raise MatchError(f"could not be compared: {kind}{error}") from error


def _reduce(structure: Structure) -> Structure:
    return bare(structure).get_primitive_structure().get_reduced_structure(reduction_algo="niggli")


@lru_cache(maxsize=4)
def _matcher(ltol: float, stol: float, angle_tol: float) -> StructureMatcher:
    return StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle_tol)


def _first_match(
    tolerances: tuple[float, float, float], structure: Structure, pool: Sequence[Structure]
) -> int | None:
    matcher = _matcher(*tolerances)
    for index, other in enumerate(pool):
        if matcher.fit(structure, other, skip_structure_reduction=True):
            return index
    return None


class Entry(NamedTuple):
    """A named crystal of a pool; `reduced` is filled when it is first needed."""

    id: str
    structure: Structure


class Pool:
    """Crystals by reduced formula, each reduced once, when its formula is first asked for again."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self._entries: dict[str, list[Entry]] = {}
        self._reduced: dict[str, Structure | None] = {}

    def add(self, entry_id: str, structure: Structure) -> None:
        """Put a gated structure in; ids must be unique within the pool."""
        formula = structure.composition.reduced_formula
        self._entries.setdefault(formula, []).append(Entry(entry_id, structure))

    def match(self, structure: Structure) -> str | None:
        """Return the id of the first crystal that equals `structure`, or None.

        Raises
        ------
        MatchError
            When `structure` could not be compared.
        """
        return next(self._equals(structure), None)

    def matches(self, structure: Structure) -> list[str]:
        """Return the ids of all crystals that equal `structure`; raises as `match` does."""
        return list(self._equals(structure))

    def _equals(self, structure: Structure) -> Iterator[str]:
        entries = self._entries.get(structure.composition.reduced_formula, [])
        if not entries:
            return
        pool = [(entry.id, self._reduce(entry)) for entry in entries]
        usable = [(name, cell) for name, cell in pool if cell is not None]
        cell = self.matcher.reduced(structure)
        while usable:
            found = self.matcher.match_reduced(cell, [other for _, other in usable])
            if found is None:
                return
            yield usable[found][0]
            usable = usable[found + 1 :]

    def _reduce(self, entry: Entry) -> Structure | None:
        if entry.id not in self._reduced:
            try:
                self._reduced[entry.id] = self.matcher.reduced(entry.structure)
            except MatchError:
                # Such a crystal equals nothing; it must not make the others incomparable.
                self._reduced[entry.id] = None
        return self._reduced[entry.id]


class _System(NamedTuple):
    """The known phases of a chemical system, and the formulas of those that are published."""

    pool: Pool
    published: frozenset[str]


class KnownPhases:
    """The known phases as a pool, read by chemical system when a crystal asks.

    Parameters
    ----------
    references
        The phases of one system, or a function that gives those of any system.
    matcher
        How to compare.
    """

    def __init__(self, references: ReferencePhases | Lookup, matcher: Matcher) -> None:
        self.matcher = matcher
        self._references = references
        self._systems: dict[str, _System] = {}

    def match(self, structure: Structure) -> str | None:
        """Return the id of the known phase that the structure equals, lowest in energy first.

        Published ones come before the forms that the potential gives to some of them.

        Raises
        ------
        MatchError
            When it could not be compared.
        """
        return self._system(structure.chemical_system).pool.match(structure)

    def has_composition(self, structure: Structure) -> bool:
        """Return whether a published phase has the composition of a structure."""
        published = self._system(structure.chemical_system).published
        return structure.composition.reduced_formula in published

    def _system(self, name: str) -> _System:
        if name not in self._systems:
            pool, phases = Pool(self.matcher), self._phases(name)
            for phase in sorted(phases, key=_rank):
                pool.add(phase.id, phase.structure)
            published = frozenset(phase.formula for phase in phases if phase.published)
            self._systems[name] = _System(pool, published)
        return self._systems[name]

    def _phases(self, system: str) -> list[Phase]:
        known = self._references
        found = known if isinstance(known, ReferencePhases) else known(system)
        return [phase for phase in found.phases if phase.chemsys == system]


def _rank(phase: Phase) -> tuple[bool, bool, float]:
    """Order known phases by energy, then those without one by their published distance.

    Relaxed forms come last.
    """
    form = phase.geometry == FORM
    if isfinite(phase.energy_per_atom):
        return form, False, phase.energy_per_atom
    return form, True, inf if phase.e_above_hull_dft is None else phase.e_above_hull_dft
