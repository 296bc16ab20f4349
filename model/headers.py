"""Which header tokens may come next, and whether anything can satisfy the constraints.

The header is short and the same for many crystals, so it is walked as a function of its prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from model.constraints import ConstraintError, Constraints
from model.elements import atomic_number, formula_rank, symbol_of
from model.grammar import Header, Skeletons
from model.stoichiometry import Counts
from model.tokens import (
    COUNT_0,
    ELEMENT_0,
    ELEMENTS_FIRST,
    MAX_COUNT,
    MAX_ELEMENTS,
    N_ELEMENTS_0,
    NO_FORMULA,
    SPACEGROUP_0,
    SPACEGROUP_FIRST,
    STABILITY,
    Role,
)
from model.wyckoff import LETTERS, table

MOST_NAMED = 6
"""Forbidden positions that an explanation lists."""
Required = tuple[tuple[int, frozenset[int]], ...]
"""Letter and slots of each required site."""
Formulas = frozenset[Counts] | None
"""Counts by slot of the formulas to choose from; None for any."""


class Choice(NamedTuple):
    """What may follow a prefix of the header."""

    role: Role
    """Role of the next token."""
    tokens: np.ndarray
    """Tokens that may stand there; a single one is not drawn."""


class HeaderGrammar:
    """Legal headers under some constraints, for a network that knows some elements."""

    def __init__(self, constraints: Constraints, known_elements: tuple[str, ...]) -> None:
        self.constraints, self.known_elements = constraints, known_elements
        asked = dict.fromkeys((*constraints.elements, *constraints.required))
        unknown = [s for s in asked if s not in known_elements]
        if unknown:
            raise ConstraintError(
                "elements",
                f"the model has seen no crystal with {', '.join(unknown)}; "
                f"it knows {len(known_elements)} elements, choose among those",
            )
        sets = constraints.element_sets
        pool = set(known_elements) - set(constraints.excluded) if sets is None else {*sum(sets, ())}
        rank = formula_rank()
        numbers = sorted((atomic_number(s) for s in pool), key=lambda z: rank[z - 1])
        self.pool = np.array(numbers, int)
        self.required = tuple(z for z in numbers if symbol_of(z) in constraints.required)
        self.fixed = sets is not None and len(sets) == 1
        self.groups = constraints.spacegroups or tuple(range(1, 231))
        self.spacegroup_first = len(self.groups) == 1 and not self.fixed
        self._choices: dict[tuple[int, ...], Choice | None] = {}
        self._fitting: dict[tuple[int, Required, Formulas], np.ndarray] = {}
        self._classes: dict[int, list[list[int]]] = {}
        self._stated: dict[tuple[tuple[int, ...], Counts], frozenset[Counts]] = {}

    def prompt(self) -> tuple[int, int]:
        """Return the first two tokens: stability and order."""
        order = SPACEGROUP_FIRST if self.spacegroup_first else ELEMENTS_FIRST
        return STABILITY[self.constraints.stability], order

    def next(self, prefix: tuple[int, ...]) -> Choice | None:
        """What may follow the tokens so far; None when the header is complete."""
        if prefix not in self._choices:
            self._choices[prefix] = self._next(prefix)
        return self._choices[prefix]

    def header(self, prefix: tuple[int, ...]) -> Header:
        """Read a complete header."""
        group = next(t for t in prefix if SPACEGROUP_0 <= t < COUNT_0) - SPACEGROUP_0 + 1
        return self._header_of(group, elements_in(prefix), _counts_in(prefix))

    def check(self) -> None:
        """Find out whether any crystal can satisfy the constraints.

        Raises
        ------
        ConstraintError
            If none can, saying what excludes them and what would help.
        """
        choice = self.next(self.prompt())
        if self.spacegroup_first:
            choice = self.next((*self.prompt(), int(choice.tokens[0])))
        if not len(choice.tokens) or (self.fixed and not len(self._groups_for(self._all()))):
            raise self._explain()

    def _next(self, prefix: tuple[int, ...]) -> Choice | None:
        chosen = elements_in(prefix)
        has_group = any(SPACEGROUP_0 <= t < COUNT_0 for t in prefix)
        if self.spacegroup_first and not has_group:
            return Choice(Role.SPACEGROUP, np.array(self.groups) + SPACEGROUP_0 - 1)
        number = next((t for t in prefix if N_ELEMENTS_0 <= t < ELEMENT_0), None)
        if number is None:
            return Choice(Role.N_ELEMENTS, self._numbers() + N_ELEMENTS_0 - 1)
        left = number - N_ELEMENTS_0 + 1 - len(chosen)
        if left:
            return Choice(Role.ELEMENT, self._elements(chosen, left) + ELEMENT_0 - 1)
        stated = _counts_in(prefix)
        if self.constraints.formula and len(stated) < len(chosen):
            return Choice(Role.COUNT, self._counts(chosen, stated) + COUNT_0 - 1)
        if not stated and NO_FORMULA not in prefix[2:]:
            return Choice(Role.PROMPT, np.array([NO_FORMULA]))
        if not has_group:
            return Choice(Role.SPACEGROUP, self._groups_for(chosen, stated) + SPACEGROUP_0 - 1)
        return None

    def _all(self) -> tuple[int, ...]:
        """Atomic numbers of all elements that may appear."""
        return tuple(int(z) for z in self.pool)

    def _counts(self, chosen: tuple[int, ...], stated: Counts) -> np.ndarray:
        """Counts of the next element with which some formula can be completed."""
        after = {formula[len(stated)] for formula in self._formulas(chosen, stated)}
        fitting = [
            count
            for count in sorted(after)
            if any(possible(self._header_of(g, chosen, (*stated, count))) for g in self.groups)
        ]
        return np.array(fitting, int)

    def _numbers(self) -> np.ndarray:
        """Numbers of elements with which some header can be completed."""
        if self.fixed:
            return np.array([len(self.pool)])
        most = min(MAX_ELEMENTS, len(self.pool))
        fitting = [n for n in range(1, most + 1) if self._reachable((), n)]
        return np.array(fitting, int)

    def _elements(self, chosen: tuple[int, ...], left: int) -> np.ndarray:
        """Atomic numbers that may come next, in formula order after those chosen."""
        if self.fixed:
            return self.pool[len(chosen) : len(chosen) + 1]
        after = np.flatnonzero(self.pool == chosen[-1])[0] + 1 if chosen else 0
        fitting = [z for z in self.pool[after:] if self._reachable((*chosen, int(z)), left - 1)]
        return np.array(fitting, int)

    def _reachable(self, chosen: tuple[int, ...], left: int) -> bool:
        """Whether ``left`` more elements can complete the header."""
        return any(len(self._groups_for(some)) for some in self._completions(chosen, left))

    def _completions(self, chosen: tuple[int, ...], left: int) -> Iterator[tuple[int, ...]]:
        """Sets of elements that ``left`` more make of those chosen, one of each kind.

        Elements that may fill the same required sites, with the same counts, are interchangeable,
        so it is enough to try how many of each such class there are.
        """
        after = int(np.flatnonzero(self.pool == chosen[-1])[0]) + 1 if chosen else 0
        missing = tuple(z for z in self.required if z not in chosen)
        if set(missing) <= set(self.pool[after:].tolist()) and len(missing) <= left:
            for more in _pick_from(self._classes_from(after), left - len(missing)):
                yield (*chosen, *missing, *more)

    def _classes_from(self, after: int) -> list[list[int]]:
        """Elements of the pool from a place on that need not appear, those alike together."""
        if after not in self._classes:
            classes: dict[tuple, list[int]] = {}
            for number in self.pool[after:].tolist():
                if number not in self.required:
                    classes.setdefault(self.kind(number), []).append(number)
            self._classes[after] = list(classes.values())
        return self._classes[after]

    def kind(self, number: int) -> tuple:
        """What the constraints say of an element: the same of those that are interchangeable."""
        symbol, wanted = symbol_of(number), self.constraints
        fills = tuple(not s.elements or symbol in s.elements for s in wanted.occupied)
        return number in self.required, fills, wanted.formula and wanted.stoichiometry.role(symbol)

    def _header_of(self, group: int, chosen: tuple[int, ...], stated: Counts = ()) -> Header:
        required, formulas = self._required(chosen), self._formulas(chosen, stated)
        wanted = self.constraints
        empty = wanted.empty_letters(group)
        return Header(group, len(chosen), formulas, required, wanted.max_atoms, empty)

    def _formulas(self, chosen: tuple[int, ...], stated: Counts = ()) -> Formulas:
        """Formulas of the chosen elements, counts in their order, that begin with those stated."""
        if not self.constraints.formula:
            return None
        key = chosen, stated
        if key not in self._stated:
            symbols = tuple(symbol_of(number) for number in chosen)
            try:
                every = self.constraints.stoichiometry.formulas(symbols, self.constraints.max_atoms)
            except ValueError as error:
                raise ConstraintError("formula", str(error)) from None
            fitting = frozenset(some for some in every if some[: len(stated)] == stated)
            self._stated[key] = fitting if stated else every
        return self._stated[key]

    def _required(self, chosen: tuple[int, ...]) -> Required:
        """Required sites over the slots of the chosen elements."""
        required = []
        for site in self.constraints.occupied:
            numbers = {atomic_number(s) for s in site.elements}
            slots = frozenset(k for k, z in enumerate(chosen) if not numbers or z in numbers)
            required.append((LETTERS.index(site.letter), slots))
        return tuple(required)

    def _groups_for(self, chosen: tuple[int, ...], stated: Counts = ()) -> np.ndarray:
        """Allowed space groups in which the chosen elements have some skeleton.

        It matters only how many elements there are, which of them may fill required sites, and
        their counts.
        """
        key = len(chosen), self._required(chosen), self._formulas(chosen, stated)
        if key not in self._fitting:
            none = key[-1] is not None and not key[-1]
            groups = () if none else self.groups
            fitting = [g for g in groups if possible(self._header_of(g, chosen, stated))]
            self._fitting[key] = np.array(fitting, int)
        return self._fitting[key]

    @cached_property
    def _described(self) -> str:
        wanted = self.constraints
        groups = wanted.spacegroups
        where = f"space group {groups[0]}" if len(groups) == 1 else "the space groups asked for"
        named = ", ".join(map(str, wanted.occupied))
        sites = f" with {named} occupied" if named else ""
        place = where if groups else "any space group"
        return (
            f"{self._what} in {place}{sites} and at most {wanted.max_atoms} atoms in the "
            "primitive cell"
        )

    @cached_property
    def _what(self) -> str:
        """The composition asked for, in words."""
        wanted = self.constraints
        what = wanted.formula or "-".join(sorted(wanted.elements)) or "any elements"
        if wanted.required:
            what += f" including {'-'.join(sorted(wanted.required))}"
        if wanted.excluded and not wanted.elements:
            what += f" without {'-'.join(sorted(wanted.excluded))}"
        return what

    def _explain(self) -> ConstraintError:
        """Name the constraint whose loosening helps."""
        wanted = self.constraints
        least = self._least_atoms()
        if least > wanted.max_atoms:
            return ConstraintError(
                "max_atoms",
                f"{self._what} has {least} atoms or more, but at most {wanted.max_atoms} atoms in "
                "the primitive cell are asked for; allow more",
            )
        if not len(self.pool):
            return ConstraintError(
                "excluded", "every element that the model knows is excluded; allow some"
            )
        if wanted.forbidden:
            return self._explain_bans()
        if wanted.spacegroups and not wanted.sites:
            elsewhere = self._groups_elsewhere()
            if elsewhere:
                some = ", ".join(f"{g} ({table().symbol[g - 1]})" for g in elsewhere[:5])
                return ConstraintError(
                    "spacegroups",
                    f"no combination of Wyckoff positions makes {self._described}; "
                    f"{len(elsewhere)} other space groups can, such as {some}",
                )
        field = "sites" if wanted.sites else "formula" if wanted.formula else "max_atoms"
        return ConstraintError(
            field,
            f"no combination of Wyckoff positions makes {self._described}; "
            "allow more atoms, other sites or another formula",
        )

    def _explain_bans(self) -> ConstraintError:
        """Say which positions to allow again, or what is wrong even without any forbidden one."""
        wanted = self.constraints
        try:
            HeaderGrammar(replace(wanted, sites=wanted.occupied), self.known_elements).check()
        except ConstraintError as error:
            return error
        concerned = (site for site in wanted.forbidden if site.spacegroup in self.groups)
        bans = [f"{site.spacegroup}:{table().name(site.position)}" for site in concerned]
        if len(bans) == sum(len(table().positions_of(group)) for group in self.groups):
            groups = f"space group{'s' * (len(self.groups) > 1)} {', '.join(map(str, self.groups))}"
            return ConstraintError(
                "sites", f"every Wyckoff position of {groups} is forbidden; allow some"
            )
        named = ", ".join(bans[:MOST_NAMED]) + " and others" * (len(bans) > MOST_NAMED)
        return ConstraintError(
            "sites",
            f"no combination of the Wyckoff positions left makes {self._described}, since {named} "
            "must be empty; allow one of them",
        )

    def _least_atoms(self) -> int:
        """Fewest atoms that hold the elements, or a formula unit, wherever they sit."""
        wanted = self.constraints
        if wanted.formula:
            return wanted.stoichiometry.least_atoms
        return len(self.pool) if self.fixed else max(len(self.required), 1)

    def _groups_elsewhere(self) -> list[int]:
        """Space groups that could hold the composition."""
        free = replace(self.constraints, spacegroups=(), sites=())
        grammar = HeaderGrammar(free, self.known_elements)
        sizes = (int(n) for n in grammar._numbers())
        sets = (some for n in sizes for some in grammar._completions((), n))
        return sorted({int(g) for some in sets for g in grammar._groups_for(some)})


def _pick_from(classes: list[list[int]], count: int) -> Iterator[tuple[int, ...]]:
    """First members of each class, in every way that gives ``count`` in all."""
    if not classes:
        if count == 0:
            yield ()
        return
    for taken in range(min(count, len(classes[0])) + 1):
        for rest in _pick_from(classes[1:], count - taken):
            yield (*classes[0][:taken], *rest)


def elements_in(prefix: tuple[int, ...]) -> tuple[int, ...]:
    """Atomic numbers of the element tokens, in order."""
    return tuple(t - ELEMENT_0 + 1 for t in prefix if ELEMENT_0 <= t < SPACEGROUP_0)


def _counts_in(prefix: tuple[int, ...]) -> Counts:
    """Counts of the formula as far as it is stated, in the order of the elements."""
    return tuple(t - COUNT_0 + 1 for t in prefix if COUNT_0 <= t < COUNT_0 + MAX_COUNT)


@lru_cache(maxsize=50_000)
def possible(header: Header) -> bool:
    """Whether any skeleton exists for a header."""
    return Skeletons(header).possible()
