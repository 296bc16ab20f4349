"""What a crystal holds of the space groups and sites that its campaign asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pymatgen.core import Structure

from explorer.crystals import gate
from explorer.encode import EncodingError, descriptions, encode
from model.constraints import Constraints
from model.crystal import WyckoffCrystal
from model.site_constraint import SiteConstraint, assigned


def holds(crystal: WyckoffCrystal, asked: Constraints) -> tuple[bool, ...]:
    """Tell what is held: the space groups if some were asked for, then each of the sites.

    A position has other names in other choices of origin and axes: what counts is the choice in
    which most of the sites are held.
    """
    groups = [crystal.spacegroup in asked.spacegroups] if asked.spacegroups else []
    choices = [_sites_held(crystal, asked.sites)]
    if not all(choices[0]):
        choices += [_sites_held(described, asked.sites) for described in descriptions(crystal)]
    return (*groups, *max(choices, key=sum))


def described(structure: Structure | None) -> WyckoffCrystal | None:
    """Return the sites of a structure; None where there is no structure, or nothing to describe."""
    if structure is None or gate(structure):
        return None
    try:
        return encode(structure)
    except EncodingError:
        return None


def _sites_held(crystal: WyckoffCrystal, asked: Sequence[SiteConstraint]) -> list[bool]:
    """Tell which sites are held in the crystal's own description, each by a site of its own."""
    held: list[SiteConstraint] = []
    told = []
    for site in asked:
        if site.forbidden:
            free = all(other.letter != site.letter for other in crystal.sites)
            told.append(free or site.spacegroup != crystal.spacegroup)
            continue
        here = site.spacegroup == crystal.spacegroup
        fits = here and assigned([*held, site], crystal.sites) is not None
        held += [site] if fits else []
        told.append(fits)
    return told
