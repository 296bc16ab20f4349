"""What a crystal must satisfy, checked as far as can be before anything is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from math import gcd
from typing import Any

from model.elements import atomic_number, elements, in_formula_order
from model.tokens import MAX_COUNT, MAX_ELEMENTS, MAX_SITES, STABILITY
from model.wyckoff import LETTERS, table

MAX_ATOMS = 100
"""Largest primitive cell that may be asked for."""
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)(\d*)")
_SITE = re.compile(r"^\s*(\d+)\s*:\s*(\d*)([a-zA])\s*(?:=\s*(.+))?$")


class ConstraintError(ValueError):
    """Constraints that cannot be met; ``field`` says which of them is to be mended."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SiteConstraint:
    """A Wyckoff position that must be occupied; given twice, it must be occupied twice."""

    spacegroup: int
    """Number, 1-230."""
    letter: str
    """Wyckoff letter."""
    elements: tuple[str, ...] = ()
    """Elements that may sit there; empty for any."""

    @property
    def position(self) -> int:
        """Row of the Wyckoff table."""
        return table().position(self.spacegroup, self.letter)

    @classmethod
    def parse(cls, text: str) -> SiteConstraint:
        """Read ``139:2a=Ca``, ``139:4e=Al,Cu`` or ``139:2a``.

        Raises
        ------
        ConstraintError
            If the text has another form, or the group has no such position.
        """
        match = _SITE.match(text)
        if match is None:
            raise ConstraintError(
                "sites", f"expected a site such as 139:2a=Ca (group:position=element), got {text!r}"
            )
        number, multiplicity, letter, symbols = match.groups()
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
        return cls(int(number), letter, _symbols(parts, "sites"))

    def __str__(self) -> str:
        """Return the form that ``parse`` reads."""
        allowed = f"={','.join(self.elements)}" if self.elements else ""
        return f"{self.spacegroup}:{table().name(self.position)}{allowed}"


@dataclass(frozen=True)
class Constraints:
    """What every drawn crystal satisfies. Empty fields leave the choice to the model."""

    elements: tuple[str, ...] = ()
    """Element symbols, in formula order."""
    formula: str | None = None
    """Reduced formula; its elements are then the elements."""
    spacegroups: tuple[int, ...] = ()
    """Allowed space groups."""
    sites: tuple[SiteConstraint, ...] = ()
    """Positions that must be occupied."""
    max_atoms: int = 64
    """Most atoms in the primitive cell."""
    stability: str = "low"
    """Energy above the hull asked of the model: low (to 0.075 eV/atom), high or any."""
    subset: bool = False
    """Whether crystals with only some of the elements are wanted too."""

    @classmethod
    def parse(
        cls,
        elements: str | Iterable[str] = (),
        formula: str | None = None,
        spacegroups: int | Iterable[int] = (),
        sites: Iterable[str | SiteConstraint] = (),
        max_atoms: int = 64,
        stability: str = "low",
        subset: bool = False,
    ) -> Constraints:
        """Read constraints as people write them, and check each.

        Raises
        ------
        ConstraintError
            With the field, what was expected, what was given and how to mend it.
        """
        parts = re.split(r"[-,\s]+", elements.strip()) if isinstance(elements, str) else elements
        symbols = _symbols([part for part in parts if part], "elements")
        counts = parse_formula(formula) if formula and formula.strip() else None
        if counts is not None:
            symbols = _formula_elements(symbols, counts, formula or "")
        groups = (spacegroups,) if isinstance(spacegroups, int) else tuple(spacegroups)
        wanted = tuple(
            s if isinstance(s, SiteConstraint) else SiteConstraint.parse(s) for s in sites
        )
        made = cls(
            elements=symbols,
            formula=_write_formula(counts) if counts else None,
            spacegroups=_groups(groups, wanted),
            sites=tuple(sorted(wanted, key=lambda s: (s.spacegroup, LETTERS.index(s.letter)))),
            max_atoms=max_atoms,
            stability=stability,
            subset=subset,
        )
        made._check_fields()
        return made

    @property
    def formula_counts(self) -> dict[str, int] | None:
        """Reduced counts of the formula, in formula order."""
        return parse_formula(self.formula) if self.formula else None

    def check(self, known_elements: tuple[str, ...] | None = None) -> None:
        """Find out whether any crystal can satisfy the constraints.

        Parameters
        ----------
        known_elements : tuple of str, optional
            What the network knows; by default all elements.

        Raises
        ------
        ConstraintError
            If none can, saying which constraint excludes all crystals.
        """
        from model.headers import HeaderGrammar  # noqa: PLC0415  it builds on this module

        known = known_elements or tuple(str(s) for s in elements().symbol)
        HeaderGrammar(self, known).check()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "sites": [str(site) for site in self.sites]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Constraints:
        """Inverse of ``to_dict``."""
        return cls.parse(**values)

    def _check_fields(self) -> None:
        if len(self.elements) > MAX_ELEMENTS:
            got = len(self.elements)
            raise ConstraintError(
                "elements", f"expected at most {MAX_ELEMENTS} elements, got {got}; remove some"
            )
        if not 1 <= self.max_atoms <= MAX_ATOMS:
            raise ConstraintError(
                "max_atoms", f"expected 1 to {MAX_ATOMS} atoms in the cell, got {self.max_atoms}"
            )
        if self.stability not in STABILITY:
            choices = ", ".join(STABILITY)
            raise ConstraintError(
                "stability", f"expected a stability of {choices}, got {self.stability!r}"
            )
        if len(self.sites) > MAX_SITES:
            raise ConstraintError("sites", f"expected at most {MAX_SITES} sites")
        for site in self.sites:
            self._check_site(site)

    def _check_site(self, site: SiteConstraint) -> None:
        outside = [s for s in site.elements if self.elements and s not in self.elements]
        if outside:
            chosen = "-".join(sorted(self.elements))
            raise ConstraintError(
                "sites", f"site {site} asks for {outside[0]}, which is not among {chosen}; add it"
            )
        alike = [s for s in self.sites if s.position == site.position]
        if len(alike) > 1 and not table().freedom[site.position]:
            name = table().name(site.position)
            raise ConstraintError(
                "sites", f"position {name} has no free coordinate, so it is filled once, not twice"
            )


def parse_formula(text: str) -> dict[str, int]:
    """Reduced counts of a formula such as ``CaAl2Cu2``, in formula order.

    Raises
    ------
    ConstraintError
        If the text is not a formula with whole counts.
    """
    compact = text.replace(" ", "")
    if not compact or "".join(a + b for a, b in _FORMULA_PART.findall(compact)) != compact:
        raise ConstraintError(
            "formula", f"expected a formula with whole counts such as CaAl2Cu2, got {text!r}"
        )
    counts: dict[str, int] = {}
    for symbol, digits in _FORMULA_PART.findall(compact):
        count = int(digits) if digits else 1
        if count == 0:
            raise ConstraintError("formula", f"expected counts of 1 or more in {text!r}, got 0")
        counts[symbol] = counts.get(symbol, 0) + count
    order = _symbols(list(counts), "formula")
    divisor = reduce(gcd, counts.values())
    reduced = {symbol: counts[symbol] // divisor for symbol in order}
    if max(reduced.values()) > MAX_COUNT:
        raise ConstraintError("formula", f"expected counts up to {MAX_COUNT} in {text!r}")
    return reduced


def _symbols(parts: Iterable[str], field: str) -> tuple[str, ...]:
    """Distinct valid symbols in formula order."""
    found = set()
    for part in parts:
        try:
            atomic_number(part)
        except ValueError as error:
            raise ConstraintError(field, str(error)) from None
        found.add(part)
    return in_formula_order(found)


def _formula_elements(
    symbols: tuple[str, ...], counts: dict[str, int], formula: str
) -> tuple[str, ...]:
    outside = [symbol for symbol in counts if symbols and symbol not in symbols]
    missing = [symbol for symbol in symbols if symbol not in counts]
    chosen = "-".join(sorted(symbols))
    if outside:
        raise ConstraintError(
            "formula",
            f"formula {formula} has {outside[0]}, which is not among the elements {chosen}; "
            f"add {outside[0]} to the elements or change the formula",
        )
    if missing:
        raise ConstraintError(
            "formula",
            f"formula {formula} lacks {missing[0]} of the elements {chosen}; "
            f"remove {missing[0]} from the elements or add it to the formula",
        )
    return tuple(counts)


def _groups(groups: tuple[int, ...], sites: tuple[SiteConstraint, ...]) -> tuple[int, ...]:
    """Distinct space groups; sites name theirs."""
    for number in groups:
        if not isinstance(number, int) or not 1 <= number <= 230:
            raise ConstraintError(
                "spacegroups", f"expected space groups from 1 to 230, got {number}"
            )
    named = {site.spacegroup for site in sites}
    if len(named) > 1:
        raise ConstraintError(
            "sites", f"expected sites of one space group, got sites of {sorted(named)}"
        )
    if named and groups and set(groups) != named:
        raise ConstraintError(
            "sites",
            f"the sites belong to space group {min(named)}, but the space group asked for is "
            f"{', '.join(map(str, sorted(set(groups))))}; make them agree",
        )
    return tuple(sorted(set(groups) | named))


def _write_formula(counts: dict[str, int]) -> str:
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts.items())
