"""What a crystal must satisfy, checked as far as can be before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

from model.crystal import Site
from model.elements import elements, split_symbols
from model.site_constraint import ConstraintError, SiteConstraint, assigned, read_symbols
from model.spacegroups import read_spacegroups
from model.stoichiometry import Stoichiometry
from model.tokens import MAX_ELEMENTS, MAX_SITES, STABILITY
from model.wyckoff import LETTERS, table

__all__ = ["MAX_ATOMS", "ConstraintError", "Constraints", "SiteConstraint"]

MAX_ATOMS = 100
"""Largest primitive cell that may be asked for."""


@dataclass(frozen=True)
class Constraints:
    """What every drawn crystal satisfies. Empty fields leave the choice to the model."""

    elements: tuple[str, ...] = ()
    """Element symbols, in formula order; empty for any."""
    formula: str | None = None
    """Formulas or ranges of counts, as ``model.stoichiometry`` reads them; its elements are then
    the elements."""
    spacegroups: tuple[int, ...] = ()
    """Allowed space groups."""
    sites: tuple[SiteConstraint, ...] = ()
    """Positions that must be occupied, and those that must be empty."""
    max_atoms: int = 64
    """Most atoms in the primitive cell."""
    stability: str = "low"
    """Energy above the hull asked of the model: low (to 0.075 eV/atom), high or any."""
    subset: bool = False
    """Whether crystals with only some of the elements are wanted too."""
    required: tuple[str, ...] = ()
    """Elements that every crystal has, where others are left to choose."""
    excluded: tuple[str, ...] = ()
    """Elements that no crystal has."""

    @classmethod
    def parse(
        cls,
        elements: str | Iterable[str] = (),
        formula: str | None = None,
        spacegroups: int | str | Iterable[int | str] = (),
        sites: Iterable[str | SiteConstraint] = (),
        max_atoms: int = 64,
        stability: str = "low",
        subset: bool = False,
        required: str | Iterable[str] = (),
        excluded: str | Iterable[str] = (),
    ) -> Constraints:
        """Read constraints as people write them, and check each.

        Where ``elements`` and ``required`` are both given, ``subset`` is meant.

        Raises
        ------
        ConstraintError
            With the field, what was expected, what was given and how to mend it.
        """
        symbols, needed = _system(elements, "elements"), _system(required, "required")
        stoichiometry = _stoichiometry(formula)
        if stoichiometry is not None:
            must = needed if subset or needed else symbols
            symbols = _formula_elements(symbols, must, stoichiometry)
        wanted = _distinct_bans(
            s if isinstance(s, SiteConstraint) else SiteConstraint.parse(s) for s in sites
        )
        made = cls(
            elements=symbols,
            formula=None if stoichiometry is None else str(stoichiometry),
            spacegroups=_groups(spacegroups, wanted),
            sites=tuple(sorted(wanted, key=lambda s: (s.spacegroup, LETTERS.index(s.letter)))),
            max_atoms=max_atoms,
            stability=stability,
            subset=subset or bool(symbols and needed),
            required=needed,
            excluded=_system(excluded, "excluded"),
        )
        made._check_fields()
        made._check_elements()
        return made

    @cached_property
    def occupied(self) -> tuple[SiteConstraint, ...]:
        """Those of the sites that must be occupied."""
        return tuple(site for site in self.sites if not site.forbidden)

    @cached_property
    def forbidden(self) -> tuple[SiteConstraint, ...]:
        """Those of the sites that must be empty, in whatever space group."""
        return tuple(site for site in self.sites if site.forbidden)

    @cached_property
    def placed(self) -> bool:
        """Whether any site asks for coordinates."""
        return any(site.coordinates for site in self.occupied)

    def without_coordinates(self) -> Constraints:
        """Return the same constraints, with the sites anywhere on their positions."""
        return replace(self, sites=tuple(replace(site, coordinates=()) for site in self.sites))

    def assign(self, sites: Sequence[Site]) -> dict[int, SiteConstraint] | None:
        """Find a different one of a crystal's sites for each that must be occupied.

        Parameters
        ----------
        sites : sequence of Site
            In the asked space group; where coordinates are known, they have to fit.

        Returns
        -------
        What is asked of each site, by its index; None where there is no such choice.
        """
        return assigned(self.occupied, sites)

    def empty_letters(self, spacegroup: int) -> frozenset[int]:
        """Indices of the letters that must be empty in a space group."""
        mine = (site.letter for site in self.forbidden if site.spacegroup == spacegroup)
        return frozenset(map(LETTERS.index, mine))

    @cached_property
    def stoichiometry(self) -> Stoichiometry | None:
        """The formulas asked for; None for any."""
        return Stoichiometry.parse(self.formula) if self.formula else None

    @property
    def formula_counts(self) -> dict[str, int] | None:
        """Reduced counts, in formula order, if one formula alone is asked for."""
        stoichiometry = self.stoichiometry
        return stoichiometry.exact if stoichiometry else None

    @cached_property
    def element_sets(self) -> tuple[tuple[str, ...], ...] | None:
        """Every set of elements that a crystal may have, in formula order; None without elements.

        Few elements come first.
        """
        if not self.elements:
            return None
        if self.formula:
            sets = self.stoichiometry.element_sets
        elif self.subset:
            sizes = range(1, len(self.elements) + 1)
            sets = tuple(some for k in sizes for some in combinations(self.elements, k))
        else:
            sets = (self.elements,)
        return tuple(some for some in sets if set(self.required) <= set(some))

    def allows_elements(self, symbols: Iterable[str]) -> bool:
        """Whether a crystal may have just these elements."""
        held, sets = set(symbols), self.element_sets
        if sets is not None:
            return any(held == set(some) for some in sets)
        return held >= set(self.required) and not held & set(self.excluded)

    def allows_composition(self, counts: Mapping[str, int]) -> bool:
        """Whether a crystal may have atoms in these numbers."""
        if not self.allows_elements(counts):
            return False
        return not self.formula or self.stoichiometry.allows(counts)

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

    def _check_elements(self) -> None:
        """Refuse elements that are asked for in one field and ruled out by another."""
        for symbol in self.excluded:
            if symbol in self.elements or symbol in self.required:
                where = "has to appear" if symbol in self.required else "is among the elements"
                raise ConstraintError(
                    "excluded", f"{symbol} {where} and is excluded; take it out of one of the two"
                )
        sets = self.element_sets
        if sets == ():
            pool = "-".join(sorted(self.elements))
            outside = [symbol for symbol in self.required if symbol not in self.elements]
            raise ConstraintError(
                "required",
                f"{outside[0]} has to appear, but is not among the elements {pool}; add it to them"
                if outside
                else f"no formula of {self.formula} has {'-'.join(self.required)} together; "
                "require less or change the formula",
            )

    def _check_fields(self) -> None:
        for name in ("elements", "required"):
            got = len(getattr(self, name))
            if got > MAX_ELEMENTS:
                raise ConstraintError(
                    name, f"expected at most {MAX_ELEMENTS} elements, got {got}; remove some"
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
        if len(self.occupied) > MAX_SITES:
            raise ConstraintError("sites", f"expected at most {MAX_SITES} sites")
        for site in self.occupied:
            self._check_site(site)

    def _check_site(self, site: SiteConstraint) -> None:
        ruled_out = [s for s in site.elements if s in self.excluded]
        if ruled_out:
            raise ConstraintError(
                "sites", f"site {site} asks for {ruled_out[0]}, which is excluded; allow it"
            )
        outside = [s for s in site.elements if self.elements and s not in self.elements]
        if outside:
            chosen = "-".join(sorted(self.elements))
            raise ConstraintError(
                "sites", f"site {site} asks for {outside[0]}, which is not among {chosen}; add it"
            )
        for ban in self.forbidden:
            if ban.position == site.position:
                raise ConstraintError(
                    "sites", f"site {site} asks for a position that {ban} forbids; remove one"
                )
        alike = [s for s in self.occupied if s.position == site.position]
        if len(alike) > 1 and not table().freedom[site.position]:
            name = table().name(site.position)
            raise ConstraintError(
                "sites", f"position {name} has no free coordinate, so it is filled once, not twice"
            )
        if any(s is not site and s.is_at(site) for s in alike):
            raise ConstraintError(
                "sites", f"site {site} is asked for twice at the same place; remove one"
            )


def _stoichiometry(formula: str | None) -> Stoichiometry | None:
    if not formula or not formula.strip():
        return None
    try:
        return Stoichiometry.parse(formula)
    except ValueError as error:
        raise ConstraintError("formula", str(error)) from None


def _system(asked: str | Iterable[str], field: str) -> tuple[str, ...]:
    """Read symbols, given one by one or as ``Al-Ca-Cu``."""
    try:
        parts = split_symbols(asked) if isinstance(asked, str) else asked
    except ValueError as error:
        raise ConstraintError(field, str(error)) from None
    return read_symbols([part for part in parts if part], field)


def _formula_elements(
    symbols: tuple[str, ...], must: tuple[str, ...], asked: Stoichiometry
) -> tuple[str, ...]:
    """Elements of the formula: none but those given, if any are, and all that must appear."""
    held = asked.elements
    outside = [symbol for symbol in held if symbols and symbol not in symbols]
    missing = [symbol for symbol in must if symbol not in held]
    chosen = "-".join(sorted(symbols))
    if outside:
        raise ConstraintError(
            "formula",
            f"formula {asked} has {outside[0]}, which is not among the elements {chosen}; "
            f"add {outside[0]} to the elements or change the formula",
        )
    if missing:
        raise ConstraintError(
            "formula",
            f"formula {asked} lacks {missing[0]} of the elements {chosen or '-'.join(must)}; "
            f"remove {missing[0]} from the elements or add it to the formula",
        )
    return held


def _distinct_bans(sites: Iterable[SiteConstraint]) -> tuple[SiteConstraint, ...]:
    """Leave out what forbids a position again; to ask for one again means another site."""
    kept: list[SiteConstraint] = []
    for site in sites:
        if not (site.forbidden and site in kept):
            kept.append(site)
    return tuple(kept)


def _groups(
    asked: int | str | Iterable[int | str], sites: tuple[SiteConstraint, ...]
) -> tuple[int, ...]:
    """Distinct space groups; sites that must be occupied name theirs."""
    try:
        groups = read_spacegroups(asked)
    except ValueError as error:
        raise ConstraintError("spacegroups", str(error)) from None
    named = {site.spacegroup for site in sites if not site.forbidden}
    if len(named) > 1:
        raise ConstraintError(
            "sites", f"expected sites of one space group, got sites of {sorted(named)}"
        )
    if named and groups and set(groups) != named:
        raise ConstraintError(
            "sites",
            f"the sites belong to space group {min(named)}, but the space group asked for is "
            f"{', '.join(map(str, groups))}; make them agree",
        )
    return tuple(sorted(set(groups) | named))
