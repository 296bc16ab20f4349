"""Known sites with other kinds of atoms: which there are, how they are ranked, what they obey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.baseline_substitution import element_similarity, proposals, satisfies
from explorer.encode import encode
from explorer.ordered_variants import MOST_KINDS, likeliest_variants, variants_of
from explorer.prototypes import build_library, load_library, skeleton
from model.constraints import Constraints
from model.elements import atomic_number

GALLIDE = Structure.from_spacegroup(
    "I4/mmm",
    Lattice.tetragonal(4.1, 10.8),
    ["Ca", "Al", "Cu"],
    [[0, 0, 0], [0, 0, 0.38], [0, 0.5, 0.25]],
)
PEROVSKITE = Structure.from_spacegroup(
    "Pnma",
    Lattice.orthorhombic(5.44, 7.64, 5.38),
    ["Ca", "Ti", "O", "O"],
    [[0.036, 0.25, 0.993], [0, 0, 0.5], [0.484, 0.25, 0.071], [0.289, 0.037, 0.711]],
)
LIBRARY = build_library([encode(GALLIDE), encode(PEROVSKITE)])


def test_one_change_makes_a_variant() -> None:
    """Kinds that share no letter are merged in three ways; one kind with two sites splits once."""
    formulas = {2: 3 + 3, 3: 2 * 2, 4: 1, 5: 0}
    # of three kinds: either of the two O sites becomes Ca or Ti
    for kinds, number in formulas.items():
        made = variants_of(LIBRARY.prototypes, kinds).made
        assert len(made) == number
        assert all(set(slots) == set(range(kinds)) for _, slots in made)


@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_rank_is_the_sum_over_members_of_products(kinds: int) -> None:
    """Of the chances that each old element becomes each new one that takes a site of it."""
    shipped = load_library().prototypes[:300]
    variants = variants_of(shipped, kinds)
    numbers = [atomic_number(symbol) for symbol in ("Ca", "Al", "Cu", "O")[:kinds]]
    similarity = element_similarity()
    scores = variants.resemblance(numbers, similarity)
    for place in range(0, len(scores), max(1, len(scores) // 50)):
        prototype, slots = variants.made[place]
        pairs = {(k, slot) for (_, k, _), slot in zip(prototype.sites, slots, strict=True)}
        by_hand = sum(
            np.prod([similarity[member[k], numbers[slot]] for k, slot in pairs])
            for member in prototype.members
        )
        assert scores[place] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    "wish",
    [
        {"elements": "Mo-Te-W"},
        {"elements": "Mo-Te-W", "formula": "MoWTe4"},
        {"elements": "Mo-Te-W", "formula": "Mo1-3W1-2Te2-6", "spacegroups": "trigonal"},
        {"elements": "Al-Ca-Cu-Mg", "spacegroups": (139, 225)},
        {"elements": "Al-Cu", "subset": True},
        {"elements": "Al-Ca-Cu", "max_atoms": 6},
    ],
    ids=str,
)
def test_variants_have_the_groups_sizes_and_compositions_asked_for(wish: dict) -> None:
    """And come in falling likelihood; each is new among the prototypes or is found there."""
    constraints = Constraints.parse(**wish)
    some = list(itertools.islice(likeliest_variants(constraints, element_similarity()), 200))
    assert len(some) > 20
    keys = [key for key, _ in some]
    assert keys == sorted(keys)
    for _, crystal in some:
        assert constraints.allows_composition(crystal.composition)
        assert crystal.n_atoms <= constraints.max_atoms
        assert not constraints.spacegroups or crystal.spacegroup in constraints.spacegroups


def test_many_elements_have_none() -> None:
    """They would be too many to rank."""
    elements = "Al-Ca-Cu-Mg-O-S-Ti"[: 3 * (MOST_KINDS + 1)].rstrip("-")
    assert len(elements.split("-")) > MOST_KINDS
    wish = Constraints.parse(elements)
    assert not list(likeliest_variants(wish, element_similarity()))


def test_they_are_ranked_among_the_prototypes() -> None:
    """No prototype is lost, none comes twice, and MoTe2 with some W comes early."""
    constraints = Constraints.parse("Mo-Te-W", max_atoms=20)
    plain = [skeleton(c) for c in itertools.islice(proposals(constraints), 20)]
    both = list(itertools.islice(proposals(constraints, variants=True), 400))
    keys = [skeleton(crystal) for crystal in both]
    assert len(set(keys)) == len(keys)
    kept = [key for key in keys if key in plain]
    assert kept == plain[: len(kept)]
    assert len(kept) >= 5
    assert all(satisfies(crystal, constraints) for crystal in both)
    split = [c.spacegroup for c in both[:10] if c.composition == {"Te": 6, "Mo": 1, "W": 2}]
    assert split == [187]  # of 2H-MoTe2 in a cell of three layers
