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


@dataclass(frozen=True)
class Focus:
    """The space group whose positions can be picked.

    Attributes
    ----------
    group
        Its number; None when there is no single one.
    value
        The sites asked for in it, and those forbidden.
    several
        Groups to narrow down to.
    foreign
        Sites of other groups.
    anywhere
        Whether crystals of any group may be drawn: the sites only forbid positions in this one.
    """

    group: int | None = None
    value: tuple[SiteConstraint, ...] = ()
    several: tuple[int, ...] = ()
    foreign: tuple[SiteConstraint, ...] = ()
    anywhere: bool = False

    @property
    def panel_value(self) -> PanelSites:
        """The sites as the panel takes them."""
        return [_panel_site(site) for site in self.value]


def _panel_site(site: SiteConstraint) -> list:
    """One site as the panel takes it."""
    asked = dict(str(interval).split("=") for interval in site.coordinates)
    symbols = None if site.forbidden else sorted(site.elements)
    return [site.letter, symbols, *([asked] if asked else [])]


def focus_of(spacegroups: Sequence[int], text: str) -> Focus:
    """Find the group to pick sites in: the one chosen, else the one that the sites name.

    Sites to fill choose a group; forbidden ones are shown in theirs.
    """
    sites = read_sites(text)
    filled = {site.spacegroup for site in sites if not site.forbidden}
    groups = set(spacegroups) or filled or {site.spacegroup for site in sites}
    if len(groups) != 1:
        return Focus(several=tuple(sorted(groups)), foreign=tuple(sites))
    (group,) = groups
    own = [site for site in sites if site.spacegroup == group]
    own.sort(key=lambda site: LETTERS.index(site.letter))
    foreign = tuple(site for site in sites if site.spacegroup != group)
    return Focus(group, tuple(own), (), foreign, anywhere=not spacegroups and not filled)


def split_sites(text: str) -> list[str]:
    """Split "139:2a=Ca, 139:4d=Al Cu" at commas before a space group, at semicolons and lines."""
    parts: Iterable[str] = re.split(r"[;\n]+|,(?=\s*\d+\s*:)", text)
    return [part.strip() for part in parts if part.strip()]


def read_sites(text: str) -> list[SiteConstraint]:
    """Return those sites of a text that can be read; the form says what is wrong with others.

    A site whose coordinates cannot be read is there without them.
    """
    sites = []
    for part in split_sites(text):
        for readable in (part, part.partition("@")[0]):
            with suppress(ConstraintError):
                sites.append(SiteConstraint.parse(readable))
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
