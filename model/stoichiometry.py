"""Which formulas are asked for: one, several, or all whose counts lie in ranges.

``CaAl2Cu2`` is one formula, ``CaAl1-4Cu1-3`` all with one to four Al and one to three Cu for one
Ca, ``Li0-1CoO2`` may do without Li, and commas separate alternatives: ``CaAl2, CaCu5``. A range
stands for the list of formulas with whole counts in it, and a formula for every crystal of that
composition: counts matter up to a common factor, so ``Ca1-2Al2`` asks for CaAl2 and for CaAl.
``Ca(Al2Cu)4``, as pymatgen writes formulas, is CaAl8Cu4.

Letters in shapes: F formulas, G compositions of whole cells, S elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import combinations
from math import gcd

import numpy as np

from model.elements import atomic_number, in_formula_order
from model.tokens import MAX_COUNT, MAX_ELEMENTS

MOST_FORMULAS = 20_000
"""Formulas that ranges may hold; beyond it the tables of the grammar would take too long."""
_PART = re.compile(r"([A-Z][a-z]?)(?:(\d+)(?:[-\u2013](\d+))?)?")  # a hyphen or an en dash
_GROUP = re.compile(r"\(((?:[A-Z][a-z]?\d*)+)\)(\d*)")  # ranges in it would be no ranges outside
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_EXAMPLES = "CaAl2Cu2, a range such as CaAl1-4Cu1-3, or several with commas"

Counts = tuple[int, ...]
"""Reduced counts of a formula, or atoms of a whole cell, element by element."""
Pattern = tuple[tuple[str, int, int], ...]
"""(symbol, least count, largest count) of each element, in formula order."""


@dataclass(frozen=True)
class Stoichiometry:
    """Alternatives, of which a crystal fits at least one."""

    patterns: tuple[Pattern, ...]

    @classmethod
    def parse(cls, text: str) -> Stoichiometry:
        """Read formulas and ranges, separated by commas.

        Raises
        ------
        ValueError
            With what was expected and what was given.
        """
        parts = [part for part in re.split(r"[,;]", text) if part.strip()]
        return cls(tuple(dict.fromkeys(_read_pattern(part) for part in parts or [text])))

    def __str__(self) -> str:
        """Return the form that ``parse`` reads."""
        return ", ".join(_write_pattern(pattern) for pattern in self.patterns)

    @property
    def exact(self) -> dict[str, int] | None:
        """Reduced counts if there is one formula alone, else None."""
        if len(self.patterns) > 1 or not _is_exact(self.patterns[0]):
            return None
        return {symbol: low for symbol, low, _ in self.patterns[0]}

    @property
    def elements(self) -> tuple[str, ...]:
        """Every element of any alternative, in formula order."""
        return in_formula_order({symbol for p in self.patterns for symbol, *_ in p})

    @property
    def element_sets(self) -> tuple[tuple[str, ...], ...]:
        """Sets of elements that a crystal may have, few elements first; each in formula order."""
        sets = {chosen for pattern in self.patterns for chosen in _sets_of(pattern)}
        return tuple(sorted(sets, key=lambda chosen: (len(chosen), chosen)))

    @property
    def least_atoms(self) -> int:
        """Atoms of the smallest formula."""
        return min(least for pattern in self.patterns for least in _least_atoms(pattern))

    def allows(self, counts: Mapping[str, int]) -> bool:
        """Whether atoms in these numbers fit an alternative, up to a common factor."""
        divisor = reduce(gcd, counts.values())
        held = {symbol: count // divisor for symbol, count in counts.items()}
        return any(_fits(pattern, held) for pattern in self.patterns)

    def role(self, symbol: str) -> tuple[tuple[int, int], ...]:
        """Range of an element in each alternative; elements of one role are interchangeable."""
        ranges = [{s: (low, high) for s, low, high in p} for p in self.patterns]
        return tuple(own.get(symbol, (0, 0)) for own in ranges)

    def formulas(self, chosen: tuple[str, ...], max_atoms: int) -> frozenset[Counts]:
        """Reduced counts, in the order of ``chosen``, of the formulas with just these elements.

        Raises
        ------
        ValueError
            If there are too many to work with.
        """
        return _formulas(self, chosen, max_atoms)


@lru_cache(maxsize=10_000)
def _formulas(asked: Stoichiometry, chosen: tuple[str, ...], max_atoms: int) -> frozenset[Counts]:
    found: frozenset[Counts] = frozenset()
    for pattern in asked.patterns:
        ranges = {symbol: (low, high) for symbol, low, high in pattern}
        absent = [low for symbol, (low, _) in ranges.items() if symbol not in chosen]
        if all(symbol in ranges for symbol in chosen) and not any(absent):
            found |= _within(tuple(ranges[symbol] for symbol in chosen), max_atoms)
    if len(found) > MOST_FORMULAS:
        raise _too_many(max_atoms)
    return found


@lru_cache(maxsize=10_000)
def _within(ranges: tuple[tuple[int, int], ...], max_atoms: int) -> frozenset[Counts]:
    """Reduced counts of which some multiple lies in the ranges, up to a number of atoms."""
    lows, highs = (np.array(ends) for ends in zip(*ranges, strict=True))
    found: set[Counts] = set()
    for factor in range(1, int(highs.min()) + 1):
        least = np.maximum(-(-lows // factor), 1)
        rows = _rows(least, highs // factor, max_atoms)  # (F, S)
        found.update(map(tuple, rows[np.gcd.reduce(rows, axis=1) == 1].tolist()))
    return frozenset(found)


def _rows(lows: np.ndarray, highs: np.ndarray, most: int) -> np.ndarray:
    """All vectors between two, of which the sum is at most ``most``, (F, S)."""
    rows = np.zeros((1, 0), int)
    for place, (low, high) in enumerate(zip(lows, highs, strict=True)):
        room = most - int(lows[place + 1 :].sum())
        values = np.arange(low, min(high, room) + 1)
        if len(rows) * len(values) > 20 * MOST_FORMULAS:
            raise _too_many(most)
        rows = np.column_stack([np.repeat(rows, len(values), axis=0), np.tile(values, len(rows))])
        rows = rows[rows.sum(axis=1) <= room]
        if len(rows) > 2 * MOST_FORMULAS:  # up to half of them may be multiples of others
            raise _too_many(most)
    return rows


def _too_many(max_atoms: int) -> ValueError:
    return ValueError(
        f"expected ranges of at most {MOST_FORMULAS:,} formulas with up to {max_atoms} atoms, "
        "got more; narrow the ranges or allow fewer atoms"
    )


@lru_cache(maxsize=1000)
def whole_cells(formulas: frozenset[Counts], max_atoms: int) -> np.ndarray:
    """Atoms by element of whole numbers of formula units, few atoms first, (G, S)."""
    rows = np.array(sorted(formulas))
    cells = [rows * factor for factor in range(1, max_atoms + 1)]
    found = np.concatenate([some[some.sum(axis=1) <= max_atoms] for some in cells])
    found = found[np.argsort(found.sum(axis=1), kind="stable")]
    found.setflags(write=False)
    return found


def _read_pattern(text: str) -> Pattern:
    compact = _without_brackets("".join(text.split()).translate(_SUBSCRIPTS))
    matches = list(_PART.finditer(compact))
    if not compact or "".join(match.group() for match in matches) != compact:
        raise ValueError(f"expected a formula with whole counts such as {_EXAMPLES}, got {text!r}")
    ranges: dict[str, tuple[int, int]] = {}
    for match in matches:
        symbol, low, high = match.groups()
        least, most = int(low or 1), int(high or low or 1)
        if most < least or most == 0:
            wanted = "counts of 1 or more" if most == 0 else "the smaller count of a range first"
            raise ValueError(f"expected {wanted} in {text.strip()!r}, got {match.group()}")
        before = ranges.get(symbol, (0, 0))  # an element written twice counts twice
        ranges[symbol] = before[0] + least, before[1] + most
    for symbol in ranges:
        atomic_number(symbol)
    pattern = _reduced(tuple((s, *ranges[s]) for s in in_formula_order(set(ranges))))
    largest = max(high for *_, high in pattern)
    if largest > MAX_COUNT:
        raise ValueError(f"expected counts up to {MAX_COUNT} in {text.strip()!r}, got {largest}")
    return pattern


def _without_brackets(text: str) -> str:
    """Multiply groups out, the innermost first: Ca(Al2Cu)4 is CaAl8Cu4."""

    def multiplied(group: re.Match[str]) -> str:
        times = int(group[2] or 1)
        parts = re.findall(r"([A-Z][a-z]?)(\d*)", group[1])
        return "".join(f"{symbol}{int(count or 1) * times}" for symbol, count in parts)

    while (flat := _GROUP.sub(multiplied, text)) != text:
        text = flat
    return text


def _reduced(pattern: Pattern) -> Pattern:
    """Divide the counts of a formula by their common divisor; ranges stay as they are."""
    if not _is_exact(pattern):
        return pattern
    divisor = reduce(gcd, (low for _, low, _ in pattern))
    return tuple((symbol, low // divisor, high // divisor) for symbol, low, high in pattern)


def _is_exact(pattern: Pattern) -> bool:
    return all(low == high for _, low, high in pattern)


def _write_pattern(pattern: Pattern) -> str:
    def count(low: int, high: int) -> str:
        if low < high:
            return f"{low}-{high}"
        return str(low) if low > 1 else ""

    return "".join(symbol + count(low, high) for symbol, low, high in pattern)


def _sets_of(pattern: Pattern) -> Iterator[tuple[str, ...]]:
    """Sets of elements of one alternative: those with a count of 0 in reach may be left out."""
    needed = [symbol for symbol, low, _ in pattern if low]
    spare = [symbol for symbol, low, _ in pattern if not low]
    for size in range(min(len(spare), MAX_ELEMENTS - len(needed)) + 1):
        for some in combinations(spare, size):
            if needed or some:
                yield in_formula_order({*needed, *some})


def _fits(pattern: Pattern, held: Mapping[str, int]) -> bool:
    """Whether some multiple of reduced counts lies in the ranges."""
    ranges = {symbol: (low, high) for symbol, low, high in pattern}
    if any(symbol not in ranges for symbol in held):
        return False
    if any(low and symbol not in held for symbol, (low, _) in ranges.items()):
        return False
    least = max(-(-ranges[symbol][0] // count) for symbol, count in held.items())
    most = min(ranges[symbol][1] // count for symbol, count in held.items())
    return max(least, 1) <= most


def _least_atoms(pattern: Pattern) -> Iterator[int]:
    """Fewest atoms of the formulas that are taken so many times."""
    for factor in range(1, max(high for *_, high in pattern) + 1):
        if all(-(-low // factor) <= high // factor for _, low, high in pattern):
            yield max(sum(-(-low // factor) for _, low, _ in pattern), 1)
