"""Skeletons proposed from elsewhere: in turn with the search, none twice, all within the wishes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from explorer.baseline_substitution import proposals, satisfies
from explorer.baseline_transformer import transformer
from explorer.crystals import to_structure
from explorer.encode import encode
from explorer.prototypes import skeleton
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.headers import HeaderGrammar
from model.proposals import skeleton_tokens
from model.sample import sample
from model.search import SkeletonSearch
from model.templates import load_templates

WISHES = [
    {"elements": "Al-Ca-Cu", "max_atoms": 20},
    {"elements": "Al-Ca-Cu", "formula": "CaAl2Cu2"},
    {"elements": "Ca-O-Ti", "spacegroups": (62,)},
    {"elements": "Al-Ca-Cu", "sites": ["139:2b=Ca"], "max_atoms": 20},
    {"elements": "Al-Ca-Cu", "subset": True, "max_atoms": 10},
]


MORE = {"variants": True, "retry_every": 3}


@pytest.mark.parametrize(
    ("wish", "more"),
    [*((wish, {}) for wish in WISHES[2:]), *((w, MORE) for w in WISHES[:3])],
    ids=str,
)
def test_proposals_obey_and_a_run_goes_on_anywhere(shipped: LoadedNetwork, wish: dict, more: dict):
    """With every kind of wish; half of what comes first is proposed."""
    constraints = Constraints.parse(**wish)
    how = {"search": "likeliest", "templates": True, "prototypes": True, **more}
    draws = list(transformer(shipped, constraints, n=40, seed=0, **how))
    assert len(draws) == 40
    assert all(satisfies(draw.crystal, constraints) for draw in draws)
    plain = transformer(shipped, constraints, n=40, seed=0, search="likeliest")
    alone = {draw.crystal.skeleton for draw in plain}
    assert sum(draw.crystal.skeleton not in alone for draw in draws) >= 7
    later = transformer(shipped, constraints, n=40, seed=0, start=21, **how)
    assert [draw.crystal for draw in later] == [draw.crystal for draw in draws[21:]]


def test_no_skeleton_comes_twice_whoever_knew_it(shipped: LoadedNetwork):
    """What the search finds later was given already."""
    constraints = Constraints.parse("Al-Ca-Cu", max_atoms=16)
    proposed = [c for c, _ in zip(proposals(constraints), range(40), strict=False)]
    how = {"search": "likeliest", "count": 150, "seed": 0}
    searched = [draw.crystal.skeleton for draw in sample(shipped, constraints, **how)]
    both = list(sample(shipped, constraints, proposed=proposed, **how))
    given = [draw.crystal.skeleton for draw in both]
    assert len(set(given)) == len(given)
    others = [crystal.skeleton for crystal in proposed]
    assert set(others) & set(searched)
    assert set(others) <= set(given)
    kept = [one for one in given if one in searched and one not in others]
    assert kept == [one for one in searched if one in kept]


def test_proposed_skeletons_come_again_for_other_coordinates(shipped: LoadedNetwork):
    """In their order, each once more, none without free coordinates; the rest is as without."""
    constraints = Constraints.parse("Al-Ca-Cu", max_atoms=16)
    how = {"search": "likeliest", "seed": 0, "templates": load_templates()}
    how["proposed"] = [c for c, _ in zip(proposals(constraints), range(60), strict=False)]
    once = list(sample(shipped, constraints, count=110, **how))
    twice = list(sample(shipped, constraints, count=120, retry_every=3, **how))
    seen: set = set()
    repeated = []
    for draw in twice:
        if draw.crystal.skeleton in seen:
            repeated.append(draw.crystal)
        seen.add(draw.crystal.skeleton)
    assert 10 <= len(repeated) <= 20
    assert len({crystal.skeleton for crystal in repeated}) == len(repeated)
    others = [c.skeleton for c in how["proposed"] if any(site.free for site in c.sites)]
    places = [others.index(crystal.skeleton) for crystal in repeated]
    assert places == sorted(places)
    first = {draw.crystal.skeleton: draw.crystal for draw in reversed(once)}
    assert all(first[crystal.skeleton] != crystal for crystal in repeated)
    order = list(dict.fromkeys(draw.crystal.skeleton for draw in twice))
    assert order == [draw.crystal.skeleton for draw in once][: len(order)]
    with pytest.raises(ValueError, match="retry every 0 or more"):
        sample(shipped, constraints, seed=0, count=1, retry_every=-1)


def test_proposals_are_canonical_and_the_nearest_prototype_leads():
    """As the encoder writes them, each skeleton once; without elements there are none."""
    constraints = Constraints.parse("Ba-Ni-Sn", max_atoms=12)
    crystals = [c for c, _ in zip(proposals(constraints), range(25), strict=False)]
    keys = [skeleton(crystal) for crystal in crystals]
    assert len(set(keys)) == len(keys)
    same = 0
    for crystal in crystals:
        again = encode(to_structure(crystal))
        same += again.spacegroup == crystal.spacegroup and again.skeleton == crystal.skeleton
    assert same >= 20  # some geometries have a higher symmetry with these elements
    assert list(proposals(Constraints.parse(spacegroups=225))) == []


@pytest.mark.parametrize(
    "wish",
    [
        {"elements": "Al-Ca-Cu"},
        {"elements": "Al-Ca-Cu", "spacegroups": 139},
        {"formula": "CaAl2Cu2"},
        {"elements": "Al-Ca-Cu", "formula": "CaAl1-2Cu2", "stability": "any"},
    ],
    ids=str,
)
def test_tokens_are_those_that_the_search_writes(shipped: LoadedNetwork, wish: dict):
    """In either order of the header, with a formula or without."""
    constraints = Constraints.parse(**wish, max_atoms=16)
    grammar = HeaderGrammar(constraints, shipped.known_elements)
    search = SkeletonSearch(shipped, grammar)
    searched = {found.tokens for found, _ in zip(search, range(60), strict=False)}
    crystals = [c for c, _ in zip(proposals(constraints), range(60), strict=False)]
    assert searched & {skeleton_tokens(crystal, grammar) for crystal in crystals}


def test_what_the_header_does_not_allow_is_left_out(shipped: LoadedNetwork):
    """Crystals of other elements have no tokens."""
    crystal = next(iter(proposals(Constraints.parse("Al-Ca-Cu"))))
    other = HeaderGrammar(Constraints.parse("Al-Ca-Mg"), shipped.known_elements)
    assert skeleton_tokens(crystal, other) is None
    grammar = HeaderGrammar(Constraints.parse("Al-Ca-Cu"), shipped.known_elements)
    assert skeleton_tokens(crystal, grammar)
    huge = replace(crystal, lattice=(90.0, 90.0, 90.0, *crystal.lattice[3:]))
    assert skeleton_tokens(huge, grammar) is None
