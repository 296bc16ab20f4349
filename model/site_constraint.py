"""What may be asked of single sites: a Wyckoff position, its elements, its free coordinates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.coordinates import Box, has, read_intervals
from model.crystal import Site
from model.elements import atomic_number, in_formula_order
from model.wyckoff import table

NONE = "none"
"""Stands for the elements of a position that must stay empty."""
_SITE = re.compile(r"^\s*(\d+)\s*:\s*(\d*)([a-zA])\s*(?:=\s*([^@]+))?(?:@(.*))?$")


class ConstraintError(ValueError):
    """Constraints that cannot be met; ``field`` says which of them is to be mended."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SiteConstraint:
    """A Wyckoff position that must be occupied, as often as it is given, or that must be empty."""

    spacegroup: int
    """Number, 1-230."""
    letter: str
    """Wyckoff letter."""
    elements: tuple[str, ...] = ()
    """Elements that may sit there; empty for any."""
    forbidden: bool = False
    """Whether nothing may sit there; other space groups are not concerned."""
    coordinates: Box = ()
    """What its free coordinates may be, as far as they are asked for."""

    @property
    def position(self) -> int:
        """Row of the Wyckoff table."""
        return table().position(self.spacegroup, self.letter)

    @classmethod
    def parse(cls, text: str) -> SiteConstraint:
        """Read ``139:2a=Ca``, ``139:4e=Al,Cu``, ``139:2a`` or, for an empty one, ``139:4d=none``.

        Coordinates follow an @: ``139:4e=Al@z=0.36``, ``139:4e@z=0.34..0.38``.

        Raises
        ------
        ConstraintError
            If the text has another form, or the group has no such position.
        """
        match = _SITE.match(text)
        if match is None:
            raise ConstraintError(
                "sites",
                "expected a site such as 139:2a=Ca (group:position=element), or 139:4d=none where "
                f"nothing may be, got {text!r}",
            )
        number, multiplicity, letter, symbols, asked = match.groups()
        try:
            position = table().position(int(number), letter)
        except ValueError as error:
            raise ConstraintError("sites", f"site {text!r}: {error}") from None
        expected = table().name(position)
        if multiplicity and expected != multiplicity + letter:
            raise ConstraintError(
                "sites", f"site {text!r}: position {letter} of group {number} is {expected}"
            )
        parts = re.split(r"[,|\s]+", symbols.strip()) if symbols else []
        if NONE in map(str.lower, parts):
            if len(parts) > 1:
                raise ConstraintError(
                    "sites", f"site {text!r}: expected elements or {NONE}, got both; keep one"
                )
            if asked is not None:
                raise ConstraintError("sites", f"site {text!r}: where nothing may be, leave out @")
            return cls(int(number), letter, forbidden=True)
        other = next((part for part in parts if "=" in part or ":" in part), "")
        if other:
            own = other if ":" in other else f"{number}:{other}"
            raise ConstraintError(
                "sites", f"site {text!r}: expected elements, got {other!r}; give {own} by itself"
            )
        symbols = read_symbols(parts, "sites")
        return cls(int(number), letter, symbols, coordinates=_coordinates(text, asked, position))

    def __str__(self) -> str:
        """Return the form that ``parse`` reads."""
        held = NONE if self.forbidden else ",".join(self.elements)
        place = f"@{','.join(map(str, self.coordinates))}" if self.coordinates else ""
        return f"{self.spacegroup}:{table().name(self.position)}{'=' * bool(held)}{held}{place}"

    def is_at(self, other: SiteConstraint) -> bool:
        """Whether all coordinates of both are single values, of the same points."""
        boxes = (self.coordinates, other.coordinates)
        free = [
            [interval.low for interval in box if interval.low == interval.high] for box in boxes
        ]
        whole = all(len(values) == table().freedom[self.position] for values in free)
        return whole and has(self.position, free[0], other.coordinates)

    def fits(self, site: Site) -> bool:
        """Whether it may be a site of its space group; coordinates count where both have them."""
        if site.letter != self.letter or (self.elements and site.element not in self.elements):
            return False
        return not (self.coordinates and site.free) or has(
            self.position, site.free, self.coordinates
        )


def read_symbols(parts: Iterable[str], field: str) -> tuple[str, ...]:
    """Distinct valid symbols in formula order."""
    found = set()
    for part in parts:
        try:
            atomic_number(part)
        except ValueError as error:
            raise ConstraintError(field, str(error)) from None
        found.add(part)
    return in_formula_order(found)


def assigned(
    asked: Sequence[SiteConstraint], sites: Sequence[Site]
) -> dict[int, SiteConstraint] | None:
    """Find a different one of a crystal's sites for each that is asked for.

    Returns
    -------
    What is asked of a site, by its index; None where there is no such choice (Kuhn's matching).
    """
    holder: dict[int, int] = {}

    def seat(number: int, tried: set[int]) -> bool:
        """Find a site for one, moving others where that helps."""
        for index, site in enumerate(sites):
            if index in tried or not asked[number].fits(site):
                continue
            tried.add(index)
            if index not in holder or seat(holder[index], tried):
                holder[index] = number
                return True
        return False

    if not all(seat(number, set()) for number in range(len(asked))):
        return None
    return {index: asked[number] for index, number in holder.items()}


def _coordinates(site: str, asked: str | None, position: int) -> Box:
    """Coordinates that a site asks for."""
    if asked is None:
        return ()
    try:
        return read_intervals(asked, position)
    except ValueError as error:
        raise ConstraintError("sites", f"site {site!r}: {error}") from None
