"""Which sites may come next: every legal continuation of a skeleton, no illegal one.

A state knows only what the future depends on (the place in the alphabet of letters, the atoms so
far), over *slots*, the indices of the header's elements; so crystals of one header share states.
A state is entered only if it can be completed: the sampler never meets a dead end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from model.constraints import MAX_ATOMS
from model.stoichiometry import Counts, whole_cells
from model.tokens import MAX_ELEMENTS, MAX_SITES
from model.wyckoff import table

END = 27
"""Choice that ends the skeleton; choices 0-26 are letters."""
NEVER = 10**6
"""More sites or atoms than any crystal has."""
Slots = frozenset[int]
"""Elements of the header that may fill a required site."""


class Header(NamedTuple):
    """What the header of a row says, as far as the skeleton depends on it."""

    spacegroup: int
    """Number, 1-230."""
    slots: int
    """Number of elements."""
    formulas: frozenset[Counts] | None
    """Reduced formulas to choose from, counts by slot; None for any."""
    required: tuple[tuple[int, Slots], ...]
    """(letter index, slots allowed) of each required site."""
    max_atoms: int
    """Most atoms in the primitive cell."""
    forbidden: frozenset[int] = frozenset()
    """Indices of the letters that must be empty."""


class State(NamedTuple):
    """What the rest of a skeleton depends on."""

    letter: int
    """Letter of the last site; -1 before the first."""
    slot: int
    """Slot of the last site: sites of one letter come with rising slots."""
    atoms: tuple[int, ...]
    """Atoms so far in the primitive cell, by slot."""
    sites: int
    """Sites so far."""
    placed: tuple[int, ...]
    """Slots on the last letter, kept only where sites are required on it."""


class Way(NamedTuple):
    """One way to fill the required sites that are still open."""

    atoms: tuple[int, ...]
    """Atoms that they hold, by slot."""
    sites: int
    """Their number."""


class Skeletons:
    """All skeletons of one header, as an automaton."""

    def __init__(self, header: Header) -> None:
        self.header = header
        positions = table().positions_of(header.spacegroup)
        self.size = [int(table().primitive_multiplicity[p]) for p in positions]
        self.free = [bool(table().freedom[p]) for p in positions]
        self.open = [letter not in header.forbidden for letter in range(len(positions))]
        """Whether a letter may be occupied."""
        self.required: dict[int, tuple[Slots, ...]] = {}
        for letter, slots in sorted(header.required, key=lambda r: (r[0], sorted(r[1]))):
            self.required[letter] = (*self.required.get(letter, ()), slots)
        self.cells, self._ends = _cells_of(header.formulas, header.slots, header.max_atoms)
        """Atoms by slot that a skeleton may end with, where formulas are asked for, (G, slots)."""
        self.start = State(-1, 0, (0,) * header.slots, 0, ())
        self._known: dict[State, bool] = {}

    def possible(self) -> bool:
        """Whether any skeleton exists."""
        return self.completable(self.start)

    def letters(self, state: State) -> np.ndarray:
        """Choices after a whole site, (28,) bool: letters a to A, then the end."""
        allowed = np.zeros(END + 1, bool)
        for letter in range(max(state.letter, 0), len(self.size)):
            allowed[letter] = self.slots(state, letter).any()
        allowed[END] = self._may_end(state)
        return allowed

    def slots(self, state: State, letter: int) -> np.ndarray:
        """Elements that may sit on ``letter`` next, (8,) bool by slot."""
        allowed = np.zeros(MAX_ELEMENTS, bool)
        again = letter == state.letter
        if not self.open[letter]:
            return allowed
        if again and not self.free[letter]:
            return allowed
        if not again and not self._may_reach(state, letter):
            return allowed
        for slot in range(state.slot if again else 0, self.header.slots):
            allowed[slot] = self.completable(self.after(state, letter, slot))
        return allowed

    def after(self, state: State, letter: int, slot: int) -> State:
        """State after one more site."""
        atoms = list(state.atoms)
        atoms[slot] += self.size[letter]
        kept = state.placed if letter == state.letter else ()
        placed = (*kept, slot) if letter in self.required else ()
        return State(letter, slot, self._reduced(atoms), state.sites + 1, placed)

    def completable(self, state: State) -> bool:
        """Whether some continuation ends legally; remembered."""
        if state not in self._known:
            self._known[state] = self._completable(state)
        return self._known[state]

    def _reduced(self, atoms: list[int]) -> tuple[int, ...]:
        """Without a formula only the total, and which slots are empty, matter."""
        if self.header.formulas is not None:
            return tuple(atoms)
        present = [int(count > 0) for count in atoms]
        last = max(k for k, value in enumerate(present) if value)
        present[last] += sum(atoms) - sum(present)
        return tuple(present)

    def _may_reach(self, state: State, letter: int) -> bool:
        """Whether no required site stays open before ``letter``."""
        between = any(state.letter < required < letter for required in self.required)
        return not between and not _unfilled(self.required.get(state.letter, ()), state.placed)

    def _may_end(self, state: State) -> bool:
        if state.sites == 0 or not self._may_reach(state, END):
            return False
        if self.header.formulas is None:
            return all(state.atoms)
        return state.atoms in self._ends

    def _completable(self, state: State) -> bool:
        if sum(state.atoms) > self.header.max_atoms or state.sites > MAX_SITES:
            return False
        fits = self._fits_size if self.header.formulas is None else self._fits_formula
        return any(fits(state, way) for way in self._ways(state))

    def _fits_size(self, state: State, way: Way) -> bool:
        """Whether the elements still missing can be placed within the size limits."""
        atoms = [a + b for a, b in zip(state.atoms, way.atoms, strict=True)]
        missing = [slot for slot, count in enumerate(atoms) if not count]
        cost = sum(atoms) + self._least_atoms(state, missing)
        sites = state.sites + way.sites + len(missing)
        # a skeleton has at least one site
        return cost <= self.header.max_atoms and sites <= MAX_SITES

    def _least_atoms(self, state: State, missing: list[int]) -> int:
        """Fewest atoms that place one site of each missing slot."""
        open_size = {slot: min(self._coins(state, slot), default=NEVER) for slot in missing}
        costs = sorted(open_size.values(), reverse=True)
        fixed = self._fixed(state)
        # the cheapest sites without freedom go to the slots that would pay most for a free one
        return sum(min(cost, fixed[k]) if k < len(fixed) else cost for k, cost in enumerate(costs))

    def _fits_formula(self, state: State, way: Way) -> bool:
        """Whether whole formula units of any of the formulas can be filled exactly."""
        used = [a + b for a, b in zip(state.atoms, way.atoms, strict=True)]
        rest = self.cells - used  # (G, slots)
        rest = rest[(rest >= 0).all(axis=1)]
        left = MAX_SITES - state.sites - way.sites
        coins = tuple(self._coins(state, slot) for slot in range(self.header.slots))
        sites = sum(_fewest_upto(sizes)[rest[:, slot]] for slot, sizes in enumerate(coins))
        if (sites <= left).any():
            return True
        fixed = tuple(self._fixed(state))
        if not fixed:
            return False
        largest = max(fixed[-1], *(max(sizes, default=0) for sizes in coins))
        rest = rest[rest.sum(axis=1) <= left * largest]
        return any(_fewest_sites(fixed, coins, tuple(some)) <= left for some in rest.tolist())

    def _fixed(self, state: State) -> list[int]:
        """Sizes of the letters without freedom that are still free to take, ascending."""
        return sorted(
            self.size[k]
            for k in range(state.letter + 1, len(self.size))
            if self.open[k] and not self.free[k] and k not in self.required
        )

    def _coins(self, state: State, slot: int) -> tuple[int, ...]:
        """Sizes of the sites that ``slot`` may take any number of, ascending."""
        first = state.letter if slot >= state.slot else state.letter + 1
        letters = range(max(first, 0), len(self.size))
        return tuple(sorted({self.size[k] for k in letters if self.open[k] and self.free[k]}))

    def _ways(self, state: State) -> Iterator[Way]:
        """All ways to fill the required sites that are still open."""
        open_sites = [
            (letter, slots)
            for letter, wanted in self.required.items()
            if letter >= state.letter
            for slots in (_unfilled(wanted, state.placed) if letter == state.letter else wanted)
        ]
        if any(letter == state.letter and not self.free[letter] for letter, _ in open_sites):
            return
        choices = [
            [slot for slot in slots if letter > state.letter or slot >= state.slot]
            for letter, slots in open_sites
        ]
        sizes = [self.size[letter] for letter, _ in open_sites]
        found = set()
        for chosen in product(*choices):
            atoms = [0] * self.header.slots
            for slot, size in zip(chosen, sizes, strict=True):
                atoms[slot] += size
            found.add(Way(tuple(atoms), len(chosen)))
        yield from found


@lru_cache(maxsize=1000)
def _cells_of(
    formulas: frozenset[Counts] | None, slots: int, max_atoms: int
) -> tuple[np.ndarray, frozenset[Counts]]:
    """Atoms of whole formula units, as rows and as a set."""
    rows = whole_cells(formulas, max_atoms) if formulas else np.zeros((0, slots), int)
    return rows, frozenset(map(tuple, rows.tolist()))


@lru_cache(maxsize=500_000)
def _fewest_sites(
    fixed: tuple[int, ...], coins: tuple[tuple[int, ...], ...], rest: tuple[int, ...]
) -> int:
    """Fewest sites that hold exactly ``rest`` atoms by slot.

    ``fixed`` sizes may be taken once, by one slot; ``coins`` any number of times by their slot.
    """
    if not fixed:
        return sum(_fewest_coins(sizes, amount) for sizes, amount in zip(coins, rest, strict=True))
    size, others = fixed[0], fixed[1:]
    best = _fewest_sites(others, coins, rest)
    for slot, amount in enumerate(rest):
        if amount >= size:
            less = (*rest[:slot], amount - size, *rest[slot + 1 :])
            best = min(best, 1 + _fewest_sites(others, coins, less))
    return best


@lru_cache(maxsize=100_000)
def _fewest_coins(sizes: tuple[int, ...], amount: int) -> int:
    """Fewest sites of the given sizes that hold exactly ``amount`` atoms."""
    if amount == 0:
        return 0
    return min((1 + _fewest_coins(sizes, amount - s) for s in sizes if s <= amount), default=NEVER)


@lru_cache(maxsize=10_000)
def _fewest_upto(sizes: tuple[int, ...]) -> np.ndarray:
    """Fewest sites of the given sizes for each number of atoms that a cell may have, (A,)."""
    return np.array([_fewest_coins(sizes, amount) for amount in range(MAX_ATOMS + 1)])


def _unfilled(wanted: tuple[Slots, ...], placed: tuple[int, ...]) -> tuple[Slots, ...]:
    """Required sites that the placed slots leave open, after the best assignment."""
    if not placed or not wanted:
        return wanted
    slot, rest = placed[0], placed[1:]
    options = [_unfilled(wanted, rest)]
    options += [
        _unfilled(wanted[:k] + wanted[k + 1 :], rest)
        for k, slots in enumerate(wanted)
        if slot in slots
    ]
    return min(options, key=len)
