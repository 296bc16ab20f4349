r"""How many skeletons satisfy some constraints, counted without listing them.

A skeleton gives each Wyckoff letter a multiset of elements: any for letters with free coordinates,
at most one element for letters without. In the primitive cell a site of a letter with m points
adds :math:`x^m y` (x counts atoms, y sites), so the letters of a group multiply to a generating
function: :math:`(1 - x^m y)^{-t}` for a letter with freedom and t elements, :math:`1 + t x^m y`
without. That every element occurs is had by inclusion and exclusion over the elements.

Letters in shapes: A = MAX_ATOMS + 1, S = MAX_SITES + 1, D assignments, C whole cells, K pairs of
both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, product
from math import comb, prod
from typing import NamedTuple

import numpy as np

from model.constraints import MAX_ATOMS, Constraints
from model.grammar import Header, Slots
from model.headers import HeaderGrammar
from model.stoichiometry import whole_cells
from model.tokens import ELEMENT_0, MAX_ELEMENTS, MAX_SITES, SPACEGROUP_0
from model.wyckoff import LETTERS, table

A, S = MAX_ATOMS + 1, MAX_SITES + 1
EXACT = 2**53
"""Doubles count exactly up to here."""
MOST_ASSIGNMENTS = 600
"""Ways to fill the letters without freedom that are told apart; beyond it the count is a bound."""
MOST_PAIRS = 40_000
"""Assignments times whole cells that are counted; beyond it the count is a bound."""
MOST_ON_A_LETTER = 4
"""Required sites of one letter whose element lists are told apart."""


class SkeletonCount(NamedTuple):
    """Number of skeletons, over all element sets and space groups."""

    number: float
    """At least this many; 0 is always exact."""
    exact: bool
    """Whether there are no more."""


class Open(NamedTuple):
    """Letters of one primitive multiplicity that may be occupied and need not be."""

    size: int
    """Atoms in the primitive cell."""
    free: int
    """Number of letters with free coordinates."""
    fixed: int
    """Number of letters without."""


def count_skeletons(
    constraints: Constraints, known_elements: tuple[str, ...], seconds: float = 0.2
) -> SkeletonCount:
    """Count what the grammar can draw.

    Parameters
    ----------
    known_elements : tuple of str
        What the network knows.
    seconds : float
        After this time the count so far is returned, as a lower bound.

    Raises
    ------
    ConstraintError
        If an element is not known.
    """
    grammar = HeaderGrammar(constraints, known_elements)
    end = time.monotonic() + seconds
    total, exact = 0.0, True
    for weight, chosen in _element_sets(grammar):
        for group in grammar.groups:
            if time.monotonic() > end:
                return SkeletonCount(total, False)
            prefix = (*(ELEMENT_0 + z - 1 for z in chosen), SPACEGROUP_0 + group - 1)
            found, all_found = _of_header(grammar.header(prefix))
            total += weight * found
            exact &= all_found
    return SkeletonCount(total, exact and total < EXACT)


def _element_sets(grammar: HeaderGrammar) -> Iterator[tuple[int, tuple[int, ...]]]:
    """How many sets of elements are alike to the constraints, and one of them."""
    pool = [int(number) for number in grammar.pool]
    if grammar.fixed:
        yield 1, tuple(pool)
        return
    classes: dict[tuple, list[int]] = {}
    for number in pool:
        classes.setdefault(grammar.kind(number), []).append(number)
    alike = list(classes.values())
    fewest = [len(c) if c[0] in grammar.required else 0 for c in alike]
    most = [min(len(c), MAX_ELEMENTS) + 1 for c in alike]
    for taken in product(*map(range, fewest, most)):
        if 1 <= sum(taken) <= MAX_ELEMENTS:
            chosen = [number for c, k in zip(alike, taken, strict=True) for number in c[:k]]
            yield prod(comb(len(c), k) for c, k in zip(alike, taken, strict=True)), tuple(chosen)


@lru_cache(maxsize=50_000)
def _of_header(header: Header) -> tuple[float, bool]:
    return _without_formula(header) if header.formulas is None else _with_formulas(header)


def _letters(header: Header) -> tuple[tuple[Open, ...], dict[int, tuple[Slots, ...]]]:
    """Letters that may be occupied, by size, and the required sites of the others by letter."""
    required: dict[int, tuple[Slots, ...]] = {}
    for letter, slots in header.required:
        required[letter] = (*required.get(letter, ()), slots)
    sizes: dict[int, list[int]] = {}
    for position in table().positions_of(header.spacegroup):
        letter = int(table().letter[position])
        if letter not in required and letter not in header.forbidden:
            kinds = sizes.setdefault(int(table().primitive_multiplicity[position]), [0, 0])
            kinds[int(not table().freedom[position])] += 1
    return tuple(Open(size, *kinds) for size, kinds in sorted(sizes.items())), required


def _without_formula(header: Header) -> tuple[float, bool]:
    """Every element at least once, atoms up to the limit."""
    letters, required = _letters(header)
    if any(len(wanted) > MOST_ON_A_LETTER for wanted in required.values()):
        return 1.0, False
    total, largest = 0.0, 0.0
    for present in _subsets(header.slots):
        counts = _series(letters, len(present))
        for letter, wanted in required.items():
            size, free = _size(header.spacegroup, letter)
            ways = _fillings(_patterns(wanted, present), len(wanted), free)
            counts = _times(counts, size, ways)
        # the skeleton without any site is none
        found = counts[: header.max_atoms + 1].sum() - counts[0, 0]
        total += (-1) ** (header.slots - len(present)) * found
        largest = max(largest, found)
    return max(float(round(total)), 0.0), largest < EXACT


def _size(spacegroup: int, letter: int) -> tuple[int, bool]:
    position = table().position(spacegroup, LETTERS[letter])
    return int(table().primitive_multiplicity[position]), bool(table().freedom[position])


def _subsets(slots: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, slots + 1):
        yield from combinations(range(slots), size)


@lru_cache(maxsize=10_000)
def _series(letters: tuple[Open, ...], elements: int) -> np.ndarray:
    """Ways to fill the letters with some elements, (A, S) by atoms and sites."""
    counts = np.zeros((A, S))
    counts[0, 0] = 1.0
    for size, free, fixed in letters:
        many = [float(comb(free * elements + j - 1, j)) for j in range(S)] if free else [1.0]
        once = [float(comb(fixed, j) * elements**j) for j in range(min(fixed, MAX_SITES) + 1)]
        counts = _times(_times(counts, size, many), size, once)
    counts.setflags(write=False)
    return counts


def _times(counts: np.ndarray, size: int, ways: list[float]) -> np.ndarray:
    """Multiply with a letter that is filled j times in ``ways[j]`` ways."""
    result = np.zeros_like(counts)
    for j, number in enumerate(ways[:S]):
        if number and j * size < A:
            result[j * size :, j:] += number * counts[: A - j * size, : S - j]
    return result


def _patterns(wanted: tuple[Slots, ...], present: tuple[int, ...]) -> tuple:
    """Elements by the required sites that they may fill: ((sites, number of elements), ...)."""
    found: dict[frozenset[int], int] = {}
    for slot in present:
        fills = frozenset(k for k, slots in enumerate(wanted) if slot in slots)
        found[fills] = found.get(fills, 0) + 1
    return tuple(sorted(found.items(), key=lambda item: sorted(item[0])))


@lru_cache(maxsize=10_000)
def _fillings(patterns: tuple, wanted: int, free: bool) -> list[float]:
    """Multisets of j elements on one letter that fill its required sites, for j up to S - 1."""
    total = np.zeros(S)
    for taken in product(range(wanted + 1), repeat=len(patterns)):
        if _fills([fills for fills, _ in patterns], taken, wanted):
            ways = np.zeros(S)
            ways[0] = 1.0
            for (_, elements), count in zip(patterns, taken, strict=True):
                most = S if count == wanted else count + 1  # the last stands for all that is more
                own = [float(comb(elements + j - 1, j)) for j in range(count, most)]
                ways = np.convolve(ways, [0.0] * count + own)[:S]
            total += ways
    return list(total if free else np.where(np.arange(S) == 1, total, 0.0))


def _fills(patterns: list[frozenset[int]], taken: tuple[int, ...], wanted: int) -> bool:
    """Whether every required site can get an element of its own (Hall's condition)."""
    for sites in range(1, 2**wanted):
        chosen = {k for k in range(wanted) if sites >> k & 1}
        fit = sum(count for fills, count in zip(patterns, taken, strict=True) if fills & chosen)
        if fit < len(chosen):
            return False
    return True


def _with_formulas(header: Header) -> tuple[float, bool]:
    """Whole cells of any formula: letters with freedom go by element, the others together."""
    letters, required = _letters(header)
    cells = whole_cells(header.formulas, header.max_atoms) if header.formulas else np.zeros((0, 1))
    if not len(cells):
        return 0.0, True
    assigned, exact = _assignments(header, letters, required, cells.max(axis=0))
    held = np.array([atoms for atoms, _ in assigned]).reshape(-1, header.slots)
    sites = np.array([ways for _, ways in assigned]).reshape(-1, S)
    if len(held) * len(cells) > MOST_PAIRS:
        cells, exact = cells[: MOST_PAIRS // len(held)], False
    first, second = np.nonzero((cells[None] >= held[:, None]).all(axis=2))
    left = cells[second] - held[first]  # (K, slots)
    free = _series(tuple(letter._replace(fixed=0) for letter in letters), 1)
    ways = sites[first]  # (K, S)
    for slot in range(header.slots):
        ways = _convolved(ways, free[left[:, slot]])
    total = float(ways.sum())
    return total, exact and total < EXACT


def _convolved(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of polynomials in the number of sites, (K, S) each."""
    result = np.zeros_like(left)
    for j in range(S):
        result[..., j:] += left[..., : S - j] * right[..., j : j + 1]
    return result


def _assignments(
    header: Header,
    letters: tuple[Open, ...],
    required: dict[int, tuple[Slots, ...]],
    most: np.ndarray,
) -> tuple[list[tuple[tuple[int, ...], np.ndarray]], bool]:
    """Fill the letters without freedom and those with required sites.

    Returns
    -------
    list of (atoms by slot, ways by number of sites (S,)), and whether these are all.
    """
    empty = np.zeros(S)
    empty[0] = 1.0
    held = {(0,) * header.slots: empty}
    exact = True
    for size, _, fixed in letters:
        counts, all_counts = _counts(header.slots, fixed)
        options = [(taken, float(_multinomial(fixed, taken))) for taken in counts]
        held, complete = _extended(held, size, options, most)
        exact &= complete and all_counts
    for letter, wanted in required.items():
        size, free = _size(header.spacegroup, letter)
        room = min(int(most.sum()) // size, MAX_SITES) if free else 1
        counts, all_counts = _counts(header.slots, room)
        options = [(taken, 1.0) for taken in counts if _holds(wanted, taken)]
        held, complete = _extended(held, size, options, most)
        exact &= complete and all_counts
    return list(held.items()), exact


def _extended(held: dict, size: int, options: list, most: np.ndarray) -> tuple[dict, bool]:
    """Every assignment with every option added, as far as the atoms and the limit allow."""
    result: dict[tuple[int, ...], np.ndarray] = {}
    for atoms, ways in held.items():
        for taken, number in options:
            more = tuple(a + size * t for a, t in zip(atoms, taken, strict=True))
            sites = sum(taken)
            if sites < S and all(a <= b for a, b in zip(more, most, strict=True)):
                if more not in result and len(result) >= MOST_ASSIGNMENTS:
                    return result, False
                own = result.setdefault(more, np.zeros(S))
                own[sites:] += number * ways[: S - sites]
    return result, True


@lru_cache(maxsize=1000)
def _counts(slots: int, most: int) -> tuple[list[tuple[int, ...]], bool]:
    """Ways to take up to ``most`` sites, by slot, few sites first, and whether these are all."""
    found: list[tuple[int, ...]] = [(0,) * slots]
    edge = found
    for _ in range(most):
        # one site more, on the last slot taken or a later one, so that no way comes twice
        edge = [
            (*taken[:slot], taken[slot] + 1, *taken[slot + 1 :])
            for taken in edge
            for slot in range(max((k for k, t in enumerate(taken) if t), default=0), slots)
        ]
        found = found + edge
        if len(found) > MOST_ASSIGNMENTS:
            return found[:MOST_ASSIGNMENTS], False
    return found, True


def _multinomial(letters: int, taken: tuple[int, ...]) -> int:
    """Ways to give some of the letters to the slots."""
    ways = 1
    for count in taken:
        ways *= comb(letters, count)
        letters -= count
    return ways


def _holds(wanted: tuple[Slots, ...], taken: tuple[int, ...]) -> bool:
    patterns = [
        frozenset(k for k, slots in enumerate(wanted) if slot in slots)
        for slot in range(len(taken))
    ]
    return _fills(patterns, taken, len(wanted))
