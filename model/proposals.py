"""Skeletons from elsewhere, in turn with those of a search.

A search orders skeletons by what the network finds likely; somebody else, such as a table of which
ions replace each other, may know of others. Both are asked in turn, and none is given twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import count
from math import gcd

from model import tokens as vocabulary
from model.crystal import WyckoffCrystal
from model.headers import HeaderGrammar
from model.search import Skeleton, has_coordinates
from model.tokens import SPACEGROUP_0, Role, TokenError, crystal_to_row, element_token


def in_turn(
    searched: Iterator[Skeleton],
    proposed: Iterable[WyckoffCrystal],
    grammar: HeaderGrammar,
    retry_every: int = 0,
) -> Iterator[Skeleton]:
    """Give a skeleton of the search, then one of the proposed crystals, and so on.

    Parameters
    ----------
    searched : iterator of Skeleton
        One that comes again there, for another try at its coordinates, does so here.
    proposed : iterable of WyckoffCrystal
        In canonical form; their numbers are left aside, and those that the grammar does not allow.
    retry_every : int
        After so many proposed skeletons one of them with free coordinates comes again, for another
        try at these, in the order in which they were proposed; 0 for never.
    """
    given: Counter[tuple[int, ...]] = Counter()
    number, once = count(1), deque[tuple[int, ...]]()
    others = (tokens for crystal in proposed if (tokens := skeleton_tokens(crystal, grammar)))
    for skeleton in searched:
        if skeleton.times < given[skeleton.tokens]:
            continue  # proposed before
        yield skeleton._replace(times=given[skeleton.tokens])
        given[skeleton.tokens] += 1
        other = next((tokens for tokens in others if not given[tokens]), None)
        if other is not None:
            yield Skeleton(other, {}, skeleton.key)
            given[other] += 1
            if has_coordinates(other):
                once.append(other)
            if retry_every and next(number) % retry_every == 0 and once:
                again = once.popleft()
                yield Skeleton(again, {}, skeleton.key, given[again])
                given[again] += 1
    for tokens in others:
        if not given[tokens]:
            yield Skeleton(tokens, {}, float("-inf"))
            given[tokens] += 1


def skeleton_tokens(crystal: WyckoffCrystal, grammar: HeaderGrammar) -> tuple[int, ...] | None:
    """Tokens of a crystal up to the end of its sites.

    None where the header does not allow it, or where it does not fit the vocabulary.
    """
    header = _header(crystal, grammar)
    if header is None:
        return None
    try:
        tokens = [int(token) for token in crystal_to_row(crystal).tokens]
    except TokenError:
        return None
    first = next(k for k, token in enumerate(tokens) if token >= vocabulary.POSITION_0)
    return (*header, *tokens[first : tokens.index(vocabulary.END) + 1])


def _header(crystal: WyckoffCrystal, grammar: HeaderGrammar) -> tuple[int, ...] | None:
    """Tokens of a crystal's header in the order that the grammar asks for."""
    counts = crystal.composition
    divisor = gcd(*counts.values())
    elements = [element_token(symbol) for symbol in counts]
    said = {
        Role.N_ELEMENTS: [vocabulary.N_ELEMENTS_0 + len(counts) - 1],
        Role.ELEMENT: elements,
        Role.COUNT: [vocabulary.COUNT_0 + n // divisor - 1 for n in counts.values()],
        Role.SPACEGROUP: [SPACEGROUP_0 + crystal.spacegroup - 1],
    }
    prefix = grammar.prompt()
    while (choice := grammar.next(prefix)) is not None:
        queue = said.get(choice.role)
        wanted = queue.pop(0) if queue else int(choice.tokens[0])
        if wanted not in choice.tokens:
            return None
        prefix = (*prefix, wanted)
    return prefix
