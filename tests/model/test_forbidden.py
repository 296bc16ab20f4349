"""Positions that must stay empty: as text, and in whatever is drawn."""

from __future__ import annotations

import pytest

from explorer.baseline_substitution import satisfies, substitution
from explorer.baseline_transformer import transformer
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints, SiteConstraint
from model.crystal import WyckoffCrystal

HOW = {
    "independent": {},
    "best of": {"best_of": 3, "templates": True},
    "distinct": {"search": "distinct"},
    "likeliest": {"search": "likeliest"},
    "all of it": {"search": "likeliest", "templates": True, "prototypes": True, "again": 2.0},
}
BANS = ("139:4d=none", "139:4e=none", "62:4c=none", "225:4a=none")


def fields(sites: tuple[str, ...]) -> Constraints:
    """Four groups in which the banned positions are common, of which 166 has no ban."""
    return Constraints.parse("Al-Ca-Cu", spacegroups=(62, 139, 166, 225), sites=sites, max_atoms=24)


def held(crystals: list[WyckoffCrystal]) -> set[tuple[int, str]]:
    """Which positions of which groups are occupied anywhere."""
    return {(crystal.spacegroup, site.letter) for crystal in crystals for site in crystal.sites}


@pytest.mark.parametrize("text", ["139:4d=none", "1:1a=none", "47:8A=none"])
def test_a_ban_is_written_as_it_is_read(text: str) -> None:
    """Also with spaces, capitals and without the multiplicity; twice is once."""
    site = SiteConstraint.parse(text)
    assert site.forbidden
    assert str(site) == text
    loose = f" {site.spacegroup} : {site.letter} = None "
    assert SiteConstraint.parse(loose) == site
    wish = Constraints.parse("Al-Ca", sites=[text, loose, "225:4a=none"])
    assert set(map(str, wish.sites)) == {text, "225:4a=none"}
    assert Constraints.from_dict(wish.to_dict()) == wish


def test_a_ban_chooses_no_space_group() -> None:
    """Beside sites to fill it may name any group; those sites still choose theirs."""
    assert Constraints.parse("Al-Ca", sites=["139:4d=none"]).spacegroups == ()
    assert Constraints.parse("Al-Ca", spacegroups=225, sites=["139:4d=none"]).spacegroups == (225,)
    both = Constraints.parse("Al-Ca", sites=["139:4d=none", "225:4a=Ca"])
    assert both.spacegroups == (225,)
    assert both.empty_letters(139) == {3}
    assert not both.empty_letters(225)


@pytest.mark.parametrize("how", HOW.values(), ids=list(HOW))
def test_nothing_drawn_sits_on_a_forbidden_position(shipped: LoadedNetwork, how: dict) -> None:
    """In every way to draw; without the bans the positions are taken, in other groups still."""
    free = [one.crystal for one in transformer(shipped, fields(()), n=48, seed=1, **how)]
    bans = {(62, "c"), (139, "d"), (139, "e"), (225, "a")}
    assert len(held(free) & bans) >= 2
    wish = fields(BANS)
    drawn = [one.crystal for one in transformer(shipped, wish, n=48, seed=1, **how)]
    assert len(drawn) == 48
    assert all(satisfies(crystal, wish) for crystal in drawn)
    assert not held(drawn) & bans
    assert held(drawn) & {(166, "a"), (166, "c")}
    assert {crystal.spacegroup for crystal in drawn} & {62, 139, 225}


def test_any_group_may_be_drawn_beside_a_ban(shipped: LoadedNetwork) -> None:
    """A ban in one group leaves the choice among all of them."""
    wish = Constraints.parse("Al-Cu", sites=["225:4a=none", "225:4b=none"], max_atoms=12)
    drawn = [one.crystal for one in transformer(shipped, wish, n=64, seed=0)]
    assert len({crystal.spacegroup for crystal in drawn}) > 8
    assert not held(drawn) & {(225, "a"), (225, "b")}


def test_substitution_leaves_them_empty_too() -> None:
    """Prototypes that occupy a forbidden position are left out, and no others."""
    everything = [one.crystal for one in substitution(fields(()), n=300)]
    kept = [one.crystal for one in substitution(fields(BANS), n=10_000)]
    allowed = [crystal for crystal in everything if satisfies(crystal, fields(BANS))]
    assert 0 < len(allowed) < len(everything)
    assert {crystal.skeleton for crystal in allowed} <= {crystal.skeleton for crystal in kept}
    assert not held(kept) & {(62, "c"), (139, "d"), (139, "e"), (225, "a")}
