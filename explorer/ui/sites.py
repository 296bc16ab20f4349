"""Wyckoff sites as the text field writes them and as the panel shows them. No widgets here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from model.constraints import ConstraintError, SiteConstraint
from model.wyckoff import LETTERS

PanelSites = list[list]
"""[letter, symbols] of each site, None for the symbols where nothing may be; a third entry holds
what is asked of its free coordinates, by x, y and z."""

BEFORE_AXIS = re.compile(r",(?=\s*\w+\s*=)")


@dataclass(frozen=True)
class Focus:
    """The space group whose positions can be picked.

    Attributes
    ----------
    group
        Its number; None when there is no single one.
    value
        The sites asked for in it, and those forbidden.
    places
        What was written of the free coordinates of each of them, by x, y and z.
    several
        Groups to narrow down to.
    foreign
        Sites of other groups.
    anywhere
        Whether crystals of any group may be drawn: the sites only forbid positions in this one.
    """

    group: int | None = None
    value: tuple[SiteConstraint, ...] = ()
    places: tuple[dict[str, str], ...] = ()
    several: tuple[int, ...] = ()
    foreign: tuple[SiteConstraint, ...] = ()
    anywhere: bool = False

    @property
    def panel_value(self) -> PanelSites:
        """The sites as the panel takes them."""
        return [
            [site.letter, None if site.forbidden else sorted(site.elements), *([at] if at else [])]
            for site, at in zip(self.value, self.places, strict=True)
        ]


def focus_of(spacegroups: Sequence[int], text: str) -> Focus:
    """Find the group to pick sites in: the one chosen, else the one that the sites name.

    Sites to fill choose a group; forbidden ones are shown in theirs.
    """
    pairs = read_sites(text)
    sites = [site for site, _ in pairs]
    filled = {site.spacegroup for site in sites if not site.forbidden}
    groups = set(spacegroups) or filled or {site.spacegroup for site in sites}
    if len(groups) != 1:
        return Focus(several=tuple(sorted(groups)), foreign=tuple(sites))
    (group,) = groups
    own = [pair for pair in pairs if pair[0].spacegroup == group]
    own.sort(key=lambda pair: LETTERS.index(pair[0].letter))
    return Focus(
        group,
        value=tuple(site for site, _ in own),
        places=tuple(places for _, places in own),
        foreign=tuple(site for site in sites if site.spacegroup != group),
        anywhere=not spacegroups and not filled,
    )


def split_sites(text: str) -> list[str]:
    """Split "139:2a=Ca, 139:4d=Al Cu" at commas before a space group, at semicolons and lines."""
    parts: Iterable[str] = re.split(r"[;\n]+|,(?=\s*\d+\s*:)", text)
    return [part.strip() for part in parts if part.strip()]


def read_sites(text: str) -> list[tuple[SiteConstraint, dict[str, str]]]:
    """Return those sites of a text that can be read, and what it says of their coordinates.

    The form says what is wrong with the others, and with coordinates that cannot be read.
    """
    sites = []
    for part in split_sites(text):
        bare, _, asked = part.partition("@")
        # A decimal comma stays with its number: z=0,4 is no z=0.
        pairs = (one.split("=", 1) for one in BEFORE_AXIS.split(asked) if "=" in one)
        places = {axis.strip(): value.strip() for axis, value in pairs}
        for readable in (part, bare):
            with suppress(ConstraintError):
                sites.append((SiteConstraint.parse(readable), places))
                break
    return sites


def write_sites(group: int, value: PanelSites) -> str:
    """Write the panel's sites as the text field does; inverse of `focus_of` for one group."""
    written = []
    for letter, symbols, *places in value:
        site = SiteConstraint(group, letter, tuple(symbols or ()), forbidden=symbols is None)
        # as they were typed: the form says what is wrong with them
        asked = ",".join(f"{axis}={text}" for some in places for axis, text in sorted(some.items()))
        written.append(f"{site}@{asked}" if asked else str(site))
    return ", ".join(written)
