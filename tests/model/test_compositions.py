"""Ranges of stoichiometries and states of elements, against a search of everything there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement, cycle, product
from math import gcd

import numpy as np
import pytest
import torch

from model.checkpoint import LoadedNetwork
from model.constraints import ConstraintError, Constraints
from model.estimate import count_skeletons
from model.grammar import END, Skeletons
from model.headers import HeaderGrammar, elements_in
from model.likelihood import part_nll, token_nll
from model.sample import SEARCHES, sample
from model.shards import pad
from model.stoichiometry import Stoichiometry
from model.tokens import MAX_SITES, SPACEGROUP_0, crystal_to_row
from model.wyckoff import LETTERS, table

KNOWN = ("Ca", "Al", "Cu", "C")
Placed = tuple[tuple[str, str], ...]
"""(letter, element) of each site, sorted."""

CASES = [
    {"formula": "CaAl1-3"},
    {"formula": "Ca1-2Al2"},
    {"formula": "Ca0-1Al1-2Cu"},
    {"formula": "CaAl2, CaCu, Cu3"},
    {"formula": "Ca2-3Al2-4, C"},
    {"formula": "CaAl1-2Cu0-1, Al3Cu", "required": "Cu"},
    {"elements": "Ca-Al-Cu", "subset": True, "required": "Al"},
    {"elements": "Ca-Al-Cu", "subset": True, "required": "Al-Cu"},
    {"elements": "Ca-Al-Cu", "subset": True},
    {"required": "Ca", "excluded": "C"},
    {"excluded": "Ca-C"},
    {"required": "Al-Cu"},
    {"formula": "Ca0-2Al1-2C0-1", "sites": "Al"},
    {"required": "Ca", "excluded": "Cu", "sites": "Al,Ca"},
]
"""``sites`` names the elements of a required site on the first position."""


@cache
def everything(group: int, most: int) -> tuple[Placed, ...]:
    """All skeletons of a group with the known elements, listed without the grammar."""
    found: list[tuple[int, Placed]] = [(0, ())]
    for position in table().positions_of(group):
        size, letter = int(table().primitive_multiplicity[position]), table().letter[position]
        room = most // size if table().freedom[position] else min(1, most // size)
        some = [c for k in range(room + 1) for c in combinations_with_replacement(KNOWN, k)]
        found = [
            (atoms + size * len(c), (*sites, *((LETTERS[letter], e) for e in c)))
            for atoms, sites in found
            for c in some
            if atoms + size * len(c) <= most
        ]
    return tuple(tuple(sorted(sites)) for _, sites in found if 0 < len(sites) <= MAX_SITES)


def composition(group: int, sites: Placed) -> dict[str, int]:
    """Atoms in the primitive cell by element."""
    held: Counter[str] = Counter()
    for letter, element in sites:
        held[element] += int(table().primitive_multiplicity[table().position(group, letter)])
    return dict(held)


def wanted(case: dict, group: int, sites: Placed) -> bool:
    """Whether a skeleton is what a case asks for, told from the case's text alone."""
    held = composition(group, sites)
    if "sites" in case and not {("a", e) for e in case["sites"].split(",")} & set(sites):
        return False
    must, never = (case.get(name, "").split("-") for name in ("required", "excluded"))
    if not set(filter(None, must)) <= set(held) or set(never) & set(held):
        return False
    asked = set(filter(None, case.get("elements", "").split("-")))
    if asked and not (set(held) <= asked and (case.get("subset") or set(held) == asked)):
        return False
    divisor = gcd(*held.values())
    reduced = {symbol: count // divisor for symbol, count in held.items()}
    return "formula" not in case or reduced in formulas_of(case["formula"])


@cache
def formulas_of(text: str) -> list[dict[str, int]]:
    """Every formula within the ranges of some alternative, reduced."""
    found = []
    for part in text.split(", "):
        pattern = {s: (low, high) for s, low, high in Stoichiometry.parse(part).patterns[0]}
        for counts in product(*(range(low, high + 1) for low, high in pattern.values())):
            divisor = gcd(*counts) or 1
            found.append({s: c // divisor for s, c in zip(pattern, counts, strict=True) if c})
    return found


def constraints_of(case: dict, group: int, most: int) -> Constraints:
    """The constraints of a case in one group."""
    sites = [f"{group}:a={case['sites']}"] if "sites" in case else []
    return Constraints.parse(**case | {"sites": sites}, spacegroups=group, max_atoms=most)


def drawable(constraints: Constraints) -> set[Placed]:
    """All skeletons that the grammar lets through, headers and all."""
    grammar = HeaderGrammar(constraints, KNOWN)
    found: set[Placed] = set()

    def walk(prefix: tuple[int, ...]) -> None:
        choice = grammar.next(prefix)
        if choice is None:
            symbols = [KNOWN_BY_NUMBER[z] for z in elements_in(prefix)]
            assert any(t >= SPACEGROUP_0 for t in prefix)
            found.update(skeletons_of(Skeletons(grammar.header(prefix)), symbols))
            return
        for token in choice.tokens:
            walk((*prefix, int(token)))

    walk(grammar.prompt())
    return found


KNOWN_BY_NUMBER = {20: "Ca", 13: "Al", 29: "Cu", 6: "C"}


def skeletons_of(skeletons: Skeletons, symbols: list[str]) -> Iterator[Placed]:
    """All skeletons of a header; a state that leads nowhere fails."""

    def walk(state, sites: Placed) -> Iterator[Placed]:
        letters = np.flatnonzero(skeletons.letters(state))
        assert len(letters), "dead end"
        for letter in letters:
            if letter == END:
                yield tuple(sorted(sites))
                continue
            for slot in np.flatnonzero(skeletons.slots(state, int(letter))):
                after = skeletons.after(state, int(letter), int(slot))
                yield from walk(after, (*sites, (LETTERS[letter], symbols[slot])))

    if skeletons.possible():
        yield from walk(skeletons.start, ())


@pytest.mark.parametrize(("group", "most"), [(225, 8), (1, 5), (187, 3), (227, 6)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_exactly_what_is_asked_for_can_be_drawn(case: dict, group: int, most: int) -> None:
    """The grammar, the count and the check agree with a search that knows none of them."""
    expected = {sites for sites in everything(group, most) if wanted(case, group, sites)}
    constraints = constraints_of(case, group, most)
    if not expected:
        with pytest.raises(ConstraintError):
            constraints.check(KNOWN)
    else:
        constraints.check(KNOWN)
        assert drawable(constraints) == expected
    assert count_skeletons(constraints, KNOWN, seconds=60) == (len(expected), True)
    for sites in everything(group, most):
        if "sites" not in case:
            held = composition(group, sites)
            assert constraints.allows_composition(held) == (sites in expected)


def test_the_comparison_tells_a_wrong_grammar() -> None:
    """Negative control: a wider range lets through what the narrow one must not."""
    narrow = {sites for sites in everything(225, 5) if wanted({"formula": "CaAl1-2"}, 225, sites)}
    wide = drawable(constraints_of({"formula": "CaAl1-3"}, 225, 5))
    assert narrow < wide


@pytest.mark.parametrize("max_atoms", [12, 40])
@pytest.mark.parametrize("text", ["Ca1-3Al1-4", "Ca2-4Al3-6", "Ca4Al6-8", "Ca1-2Al2, CaAl5"])
def test_every_formula_of_a_range_is_listed(text: str, max_atoms: int) -> None:
    """Reduced, once, and none beyond the limit; those are the compositions that are allowed."""
    asked = Stoichiometry.parse(text)
    pairs = {(x, y) for x in range(1, max_atoms) for y in range(1, max_atoms + 1 - x)}
    reduced = {pair for pair in pairs if gcd(*pair) == 1}
    allowed = {pair for pair in reduced if asked.allows({"Ca": pair[0], "Al": pair[1]})}
    assert asked.formulas(("Ca", "Al"), max_atoms) == allowed
    flipped = {(y, x) for x, y in allowed}
    assert asked.formulas(("Al", "Ca"), max_atoms) == flipped
    assert min(map(sum, allowed)) == asked.least_atoms


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ca2Al4", "CaAl2"),
        ("Cu1 - 3 Ca Al1–4", "CaAl1-4Cu1-3"),
        ("Ca(Al₂Cu)₄, Ca((AlCu)2 Cu)3", "CaAl8Cu4, CaAl6Cu9"),
        ("CaAl2,Ca2Al4; Cu5Ca", "CaAl2, CaCu5"),
        ("LiCoO2, Li0-1CoO2", "LiCoO2, Li0-1CoO2"),
    ],
)
def test_formulas_are_written_as_they_are_read(text: str, written: str) -> None:
    """In formula order, formulas reduced and once each; what is written is read back."""
    assert str(Stoichiometry.parse(text)) == written
    assert Constraints.parse(formula=written).formula == written


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"formula": "Al-Ca"}, "formula", "a range such as CaAl1-4Cu1-3"),
        ({"formula": "Ca(Al1-2Cu)2"}, "formula", "expected a formula with whole counts"),
        ({"formula": "CaAl4-1"}, "formula", "smaller count of a range first"),
        ({"formula": "CaAl0"}, "formula", "counts of 1 or more"),
        ({"formula": "CaAl1-65"}, "formula", "up to 64 in 'CaAl1-65', got 65"),
        ({"formula": "Ca1-40Al1-40Cu1-40C1-40"}, "formula", "narrow the ranges"),
        ({"formula": "Ca3-4Al7", "max_atoms": 9}, "max_atoms", "has 10 atoms or more"),
        ({"formula": "Ca7Al5-6", "spacegroups": 230, "max_atoms": 13}, "spacegroups", "such as"),
        ({"elements": "Al-Ca", "formula": "CaAl1-2, CaCu"}, "formula", "add Cu to the elements"),
        ({"formula": "CaAl, CaCu", "required": "Al-Cu"}, "required", "Cu-Al together|Al-Cu"),
        ({"elements": "Al-Ca", "required": "Cu"}, "required", "not among the elements Al-Ca"),
        ({"elements": "Al-Ca", "excluded": "Ca"}, "excluded", "out of one of the two"),
        ({"required": "Ca", "excluded": "Ca"}, "excluded", "has to appear"),
        ({"excluded": "Ca-Al-Cu-C"}, "excluded", "allow some"),
        ({"required": "Ca-Al-Cu", "max_atoms": 2}, "max_atoms", "has 3 atoms or more"),
        ({"required": "Ca-Al", "spacegroups": 228, "max_atoms": 10}, "spacegroups", "such as"),
        ({"sites": ["225:4a=Al"], "excluded": "Al"}, "sites", "which is excluded"),
        ({"required": "Og"}, "elements", "has seen no crystal with Og"),
    ],
)
def test_what_cannot_be_is_explained_at_its_field(asked: dict, field: str, words: str) -> None:
    """One line that says what is in the way."""
    with pytest.raises(ConstraintError, match=words) as caught:
        Constraints.parse(**asked).check(KNOWN)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


WISHES = [
    {"elements": "Al-Ca-Cu", "formula": "CaAl1-4Cu1-3", "max_atoms": 20},
    {"formula": "CaAl2, CaCu5, Ca2-3Al", "max_atoms": 24},
    {"formula": "Li0-1CoO2", "spacegroups": (166, 194)},
    {"elements": "Al-Ca-Cu", "required": "Ca", "max_atoms": 20},
    {"required": "Li-O", "excluded": "F-Cl-H", "spacegroups": 62},
    {"excluded": "O-S-Se-F-Cl", "sites": ["225:4a=Ca,Na"], "max_atoms": 16},
]


@pytest.mark.parametrize(
    ("wish", "search"),
    [
        *((WISHES[0], search) for search in SEARCHES),
        *zip(WISHES[1:], cycle(SEARCHES), strict=False),
    ],
    ids=str,
)
def test_every_drawn_crystal_obeys(shipped: LoadedNetwork, wish: dict, search: str) -> None:
    """With the shipped weights, in all three searches; told from the crystals' atoms alone."""
    constraints = Constraints.parse(**wish)
    draws = list(sample(shipped, constraints, seed=1, count=12, search=search))
    assert len(draws) == 12
    for draw in draws:
        crystal = draw.crystal
        assert crystal is not None, draw.reason
        asked = {"elements": "", "subset": "required" in wish} | wish
        sites = tuple((s.letter, s.element) for s in crystal.sites)
        asked |= {"sites": "Ca,Na"} if "sites" in wish else {}
        assert wanted(asked, crystal.spacegroup, sites), crystal.formula
        assert not constraints.spacegroups or crystal.spacegroup in constraints.spacegroups


def test_likelihoods_in_a_range_are_those_of_the_network(shipped: LoadedNetwork) -> None:
    """Given elements and formula, whatever was masked: what a pass over the whole crystal gives."""
    wish = Constraints.parse(formula="CaAl1-4Cu1-3")
    draws = list(sample(shipped, wish, seed=2, count=32))
    # sites of one letter and element are sorted when a crystal is written; leave those out
    plain = [d for d in draws if len(set(d.crystal.skeleton[1])) == len(d.crystal.sites)]
    rows = [crystal_to_row(d.crystal, stability="low", formula=True) for d in plain]
    with torch.inference_mode():
        parts = part_nll(*token_nll(shipped.network, pad(rows)))
    assert len(plain) > 10
    for name in ("spacegroup", "skeleton", "lattice", "coordinates"):
        whole = [-float(value) for value in parts[name]]
        assert np.allclose(whole, [draw.parts[name] for draw in plain], atol=0.02)
    assert np.allclose(
        [sum(d.parts.values()) - d.parts["elements"] for d in draws],
        [d.log_likelihood for d in draws],
    )


def test_formulas_come_as_often_as_the_network_finds_them_likely(shipped: LoadedNetwork) -> None:
    """Within a range a formula keeps its share: no mask forces late what was not begun."""
    narrow = Constraints.parse(formula="CaAl1-2Cu1-2", spacegroups=(139, 187, 191, 194))
    draws = list(sample(shipped, narrow, seed=0, count=40))
    alone = Constraints.parse(formula="CaAl2Cu2", spacegroups=(139, 187, 191, 194))
    given = [d.log_likelihood for d in sample(shipped, alone, seed=0, count=40)]
    own = [d.log_likelihood for d in draws if d.crystal.formula == "CaAl2Cu2"]
    assert len({d.crystal.formula for d in draws}) == 4
    assert abs(np.median(own) - np.median(given)) < np.std(given)


def test_a_search_takes_the_likeliest_formulas_first(shipped: LoadedNetwork) -> None:
    """Falling probability of formula, group and skeleton together; none twice."""
    wish = Constraints.parse(formula="Ca1-2Al1-4", spacegroups=(139, 225), max_atoms=16)
    draws = list(sample(shipped, wish, seed=0, count=40, search="likeliest"))
    values = [sum(d.parts[p] for p in ("elements", "spacegroup", "skeleton")) for d in draws]
    assert np.allclose(values, sorted(values, reverse=True), atol=1e-3)
    assert len({draw.crystal.skeleton for draw in draws}) == 40
    assert len({draw.crystal.formula for draw in draws}) > 3
