"""Every legal skeleton can be written, no illegal one, and no prefix is a dead end."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.encode import encode
from explorer.references import ReferencePhases
from model.constraints import ConstraintError, Constraints
from model.crystal import WyckoffCrystal
from model.elements import in_formula_order
from model.grammar import END, Header, Skeletons, State
from model.headers import HeaderGrammar
from model.tokens import MAX_SITES, sorted_sites
from model.wyckoff import LETTERS, table


@pytest.mark.parametrize("number", range(1, 231))
def test_random_walks_end_legally(number: int) -> None:
    """Any choice of allowed letters and elements ends within the limits, in every group."""
    rng = np.random.default_rng(number)
    header = Header(number, 3, None, (), 40)
    skeletons = Skeletons(header)
    for _ in range(5):
        sites = random_walk(skeletons, rng)
        assert {slot for _, slot in sites} == {0, 1, 2}
        assert sum(skeletons.size[letter] for letter, _ in sites) <= 40
        assert len(sites) <= MAX_SITES
        assert sites == sorted(sites)
        fixed = [letter for letter, _ in sites if not skeletons.free[letter]]
        assert len(fixed) == len(set(fixed))


@pytest.mark.parametrize("number", [1, 2, 14, 62, 139, 166, 191, 194, 216, 221, 225, 227, 230])
def test_random_walks_keep_a_formula(number: int) -> None:
    """With a formula, every way of choosing ends on a whole number of formula units."""
    rng = np.random.default_rng(number)
    counts = (1, 2, 2)
    skeletons = Skeletons(Header(number, 3, frozenset({counts}), (), 60))
    assert skeletons.possible()
    for _ in range(5):
        atoms = np.zeros(3, int)
        for letter, slot in random_walk(skeletons, rng):
            atoms[slot] += skeletons.size[letter]
        assert (atoms * counts[0] == atoms[0] * np.array(counts)).all()


def test_real_crystals_are_legal() -> None:
    """The grammar allows each step of each real crystal that fits its limits."""
    checked = 0
    for phase in ReferencePhases.shipped("Ca-O-Ti").phases:
        crystal = encode(phase.structure)
        if len(crystal.sites) <= MAX_SITES and crystal.n_atoms <= 64:
            assert is_legal(crystal), crystal.skeleton
            checked += 1
    assert checked > 15


def test_illegal_steps_are_refused() -> None:
    """A full position is not filled again, letters do not fall, and a formula is not exceeded."""
    skeletons = Skeletons(Header(225, 2, frozenset({(1, 1)}), (), 2))
    after_a = skeletons.after(skeletons.start, 0, 0)
    assert not skeletons.slots(after_a, 0).any()
    assert not skeletons.slots(after_a, 1)[0]
    assert skeletons.slots(after_a, 1)[1]
    after_b = skeletons.after(after_a, 1, 1)
    assert not skeletons.letters(after_b)[0]
    assert skeletons.letters(after_b)[END]


def test_required_sites_are_filled() -> None:
    """Every walk fills the required sites, twice where asked, with the elements asked for."""
    constraints = Constraints.parse(
        "Al-Ca-Cu", sites=["139:2a=Ca", "139:4e=Al,Cu", "139:4e=Cu"], max_atoms=30
    )
    grammar = HeaderGrammar(constraints, ("Ca", "Al", "Cu"))
    slots = dict(enumerate(in_formula_order(("Ca", "Al", "Cu"))))
    skeletons = Skeletons(grammar._header_of(139, grammar._all()))
    rng = np.random.default_rng(0)
    for _ in range(20):
        sites = [(LETTERS[letter], slots[slot]) for letter, slot in random_walk(skeletons, rng)]
        assert ("a", "Ca") in sites
        on_e = [symbol for letter, symbol in sites if letter == "e"]
        assert "Cu" in on_e
        assert sum(symbol in {"Al", "Cu"} for symbol in on_e) >= 2


BANS = ["139:2b=none", "139:2a=none"]


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        ({"elements": "Al-Xx"}, "elements", "got 'Xx'"),
        ({"elements": "Al-Ca", "formula": "CaAl2Cu2"}, "formula", "add Cu to the elements"),
        ({"elements": "Al-Ca-Cu", "formula": "CaAl2"}, "formula", "lacks Cu"),
        ({"formula": "CaAl2.5"}, "formula", "whole counts"),
        ({"spacegroups": 231}, "spacegroups", "from 1 to 230, got 231"),
        ({"sites": ["139:2q=Ca"]}, "sites", "letters a to o"),
        ({"sites": ["139:4a=Ca"]}, "sites", "is 2a"),
        ({"sites": ["139:2a=Ca", "139:2a=Al"]}, "sites", "filled once"),
        ({"sites": ["139:2a=Ca"], "spacegroups": 225}, "sites", "make them agree"),
        ({"elements": "Al-Ca-Cu", "max_atoms": 2}, "max_atoms", "at most 2 atoms"),
        ({"formula": "NaCl3", "max_atoms": 3}, "max_atoms", "NaCl3 has 4 atoms"),
        (
            {"formula": "Ca7Al5", "spacegroups": 230, "max_atoms": 12},
            "spacegroups",
            "others? can|other space groups can",
        ),
        (
            {"elements": "Al-Ca-Cu", "spacegroups": 230, "max_atoms": 10},
            "spacegroups",
            "189 other space groups can",  # with all three elements
        ),
        ({"formula": "Ca7Al5", "sites": ["225:4a=Ca", "225:4b=O"]}, "sites", "not among"),
        ({"sites": ["139:4d=Al", "139:4d=none"]}, "sites", "139:4d=none forbids; remove one"),
        ({"sites": ["139:4d=none,Al"]}, "sites", "expected elements or none, got both"),
        ({"sites": ["139:4q=none"]}, "sites", "letters a to o"),
        (
            {"elements": "Al", "spacegroups": 1, "sites": ["1:1a=none"]},
            "sites",
            "every Wyckoff position of space group 1 is forbidden",
        ),
        (
            {"formula": "CaAl2Cu2", "max_atoms": 5, "spacegroups": 139, "sites": BANS},
            "sites",
            "left makes CaAl2Cu2 .* since 139:2a, 139:2b must be empty",
        ),
        (
            {"formula": "Ca7Al5", "spacegroups": 230, "max_atoms": 12, "sites": ["230:16a=none"]},
            "spacegroups",
            "other space groups can",
        ),
        ({"max_atoms": 0}, "max_atoms", "expected 1 to 100"),
        ({"stability": "lowest"}, "stability", "expected a stability of low"),
    ],
)
def test_impossible_wishes_are_explained(wanted: dict, field: str, words: str) -> None:
    """Each bad wish raises at once, names its field and says how to mend it."""
    with pytest.raises(ConstraintError, match=words) as caught:
        Constraints.parse(**wanted).check()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_feasibility_agrees_with_search() -> None:
    """For small cells, what the check calls possible is exactly what a full search finds.

    Also where about half of the positions are forbidden, which leaves some groups with nothing.
    """
    rng = np.random.default_rng(1)
    lost = 0
    for number in rng.choice(np.arange(2, 231), 40, replace=False):
        letters = len(table().positions_of(int(number)))
        for counts in ((1, 1), (1, 2), (2, 3), (1, 3)):
            header = Header(int(number), 2, frozenset({counts}), (), 12)
            assert Skeletons(header).possible() == exists(header), header
            fewer = header._replace(forbidden=frozenset(np.flatnonzero(rng.random(letters) < 0.5)))
            assert Skeletons(fewer).possible() == exists(fewer), fewer
            lost += exists(header) and not exists(fewer)
    assert lost > 10


def test_walks_leave_forbidden_positions_empty() -> None:
    """In many groups, without a dead end; the same walks without the ban do go there."""
    rng = np.random.default_rng(0)
    visited = 0
    for number in (2, 12, 47, 62, 139, 166, 191, 194, 221, 225, 227):
        letters = len(table().positions_of(number))
        banned = frozenset(rng.choice(letters, letters // 2, replace=False).tolist())
        header = Header(number, 2, frozenset({(1, 1), (1, 2)}), (), 48)
        for _ in range(4):
            kept = {letter for letter, _ in random_walk(Skeletons(header), rng)}
            visited += bool(kept & banned)
            walk = random_walk(Skeletons(header._replace(forbidden=banned)), rng)
            assert not {letter for letter, _ in walk} & banned
    assert visited > 20


def exists(header: Header) -> bool:
    """Search all assignments of atoms to positions, letter by letter, without the grammar."""
    positions = list(table().positions_of(header.spacegroup))
    goals = {
        tuple(cells * count for count in counts)
        for counts in header.formulas
        for cells in range(1, header.max_atoms // sum(counts) + 1)
    }
    reached = {(0, 0)}
    for letter, position in enumerate(positions):
        if letter in header.forbidden:
            continue
        size = int(table().primitive_multiplicity[position])
        most = header.max_atoms // size if table().freedom[position] else 1
        adds = [(a * size, b * size) for a in range(most + 1) for b in range(most + 1 - a)]
        reached = {
            (x + a, y + b) for x, y in reached for a, b in adds if x + y + a + b <= header.max_atoms
        }
    return bool(goals & reached)


def random_walk(skeletons: Skeletons, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Choose uniformly among what is allowed until the end; fails on a dead end."""
    state, sites = skeletons.start, []
    while True:
        allowed = np.flatnonzero(skeletons.letters(state))
        assert len(allowed), f"dead end at {state}"
        letter = int(rng.choice(allowed))
        if letter == END:
            return sites
        slot = int(rng.choice(np.flatnonzero(skeletons.slots(state, letter))))
        sites.append((letter, slot))
        state = skeletons.after(state, letter, slot)


def is_legal(crystal: WyckoffCrystal) -> bool:
    """Whether the grammar allows the crystal's skeleton step by step."""
    slots = {symbol: k for k, symbol in enumerate(crystal.composition)}
    skeletons = Skeletons(Header(crystal.spacegroup, len(slots), None, (), 64))
    state: State = skeletons.start
    for site in sorted_sites(crystal):
        letter, slot = LETTERS.index(site.letter), slots[site.element]
        if not (skeletons.letters(state)[letter] and skeletons.slots(state, letter)[slot]):
            return False
        state = skeletons.after(state, letter, slot)
    return bool(skeletons.letters(state)[END])
