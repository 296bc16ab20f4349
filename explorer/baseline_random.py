"""Random symmetric crystals by PyXtal: a composition, a space group, and atoms wherever they fit.

PyXtal can hang on an unlucky choice, so each crystal is made in a child process with a time limit.
Crystal i depends on the seed and on i alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from pyxtal import pyxtal
from pyxtal.symmetry import Group
from smact.screening import smact_validity

from explorer.baselines import Drawn
from explorer.encode import site_at
from explorer.isolation import IsolationError, Sandbox
from model.constraints import ConstraintError, Constraints
from model.crystal import WyckoffCrystal
from model.stoichiometry import Stoichiometry
from model.wyckoff import table

LARGEST_COUNT = 6
"""Largest number of atoms of an element in a formula that is made up."""
LARGEST_CELL = 16
"""Most atoms in the primitive cell, where fewer are not asked for."""
TRIES = 500
"""Compositions, or space groups, tried before a crystal counts as failed."""


@dataclass(frozen=True)
class Order:
    """What PyXtal is to make."""

    elements: tuple[str, ...]
    """Symbols."""
    formula: dict[str, int] | None
    """Counts of the one formula asked for."""
    choice: Stoichiometry | None
    """Several formulas, of which one is drawn; without any, one is made up."""
    element_sets: tuple[tuple[str, ...], ...]
    """Elements that such a formula may have."""
    spacegroups: tuple[int, ...]
    """Allowed groups."""
    max_atoms: int
    """In the primitive cell."""
    charge_balanced: bool
    """Whether a made-up formula must be neutral by some oxidation states."""


def random_crystals(
    constraints: Constraints,
    *,
    n: int,
    seed: int = 0,
    start: int = 0,
    charge_balanced: bool = False,
    seconds: float = 5.0,
) -> Iterator[Drawn]:
    """Make random crystals ``start`` to ``n - 1`` of a system or formula.

    Parameters
    ----------
    charge_balanced : bool
        Whether made-up formulas must be neutral by some oxidation states of SMACT's list; alloys
        of metals alone always pass.
    seconds : float
        Limit for one crystal; what takes longer is a failure with that reason.

    Raises
    ------
    ConstraintError
        If no elements are given, or sites are asked for.
    """
    if not constraints.elements:
        raise ConstraintError(
            "elements", "expected the elements of random crystals, got none: give a system"
        )
    if constraints.sites:
        raise ConstraintError("sites", "random crystals take no sites: leave them out")
    order = Order(
        constraints.elements,
        constraints.formula_counts,
        constraints.stoichiometry,
        constraints.element_sets,
        constraints.spacegroups or tuple(range(1, 231)),
        min(constraints.max_atoms, LARGEST_CELL),
        charge_balanced,
    )
    return _stream(order, range(start, n), seed, seconds)


def _stream(order: Order, indices: range, seed: int, seconds: float) -> Iterator[Drawn]:
    with Sandbox() as child:
        for index in indices:
            try:
                made = child.run(random_crystal, order, seed, index, seconds=seconds)
            except IsolationError as error:
                made = f"PyXtal {error}"
            if isinstance(made, str):
                yield Drawn(index, reason=made)
            else:
                yield Drawn(index, made)


def random_crystal(order: Order, seed: int, index: int) -> WyckoffCrystal | str:
    """Make one crystal, or say why there is none."""
    rng = np.random.default_rng([seed, index])
    formula = order.formula or _made_up(order, rng)
    if formula is None:
        what = order.choice or "-".join(order.elements)
        kind = "neutral formula" if order.charge_balanced else "formula"
        return f"no {kind} of {what} within {order.max_atoms} atoms found in {TRIES} tries"
    chosen = _fitting_group(order, formula, rng)
    if chosen is None:
        return f"no space group takes the formula within {order.max_atoms} atoms"
    spacegroup, counts = chosen
    crystal = pyxtal()
    crystal.from_random(3, spacegroup, list(formula), counts, random_state=rng)
    if not crystal.valid:
        return "PyXtal found no place for all atoms"
    sites = tuple(
        site_at(spacegroup, site.wp.letter, str(site.specie), np.array(site.position))
        for site in crystal.atom_sites
    )
    parameters = crystal.lattice.get_para(degree=True)
    return WyckoffCrystal(spacegroup, sites, tuple(float(value) for value in parameters))


def _made_up(order: Order, rng: np.random.Generator) -> dict[str, int] | None:
    """Draw counts for a formula; None if none of them is neutral where that is wanted."""
    listed = _listed(order.choice, order.element_sets, order.max_atoms) if order.choice else None
    if listed == []:
        return None
    for _ in range(TRIES):
        formula = listed[rng.integers(len(listed))] if listed else _any_formula(order, rng)
        text = "".join(f"{symbol}{count}" for symbol, count in formula.items())
        if not order.charge_balanced or smact_validity(text, oxidation_states_set="smact14"):
            return formula
    return None


def _any_formula(order: Order, rng: np.random.Generator) -> dict[str, int]:
    largest = max(1, min(LARGEST_COUNT, order.max_atoms // len(order.elements)))
    counts = rng.integers(1, largest + 1, len(order.elements))
    reduced = counts // np.gcd.reduce(counts)
    return dict(zip(order.elements, (int(c) for c in reduced), strict=True))


@cache
def _listed(
    asked: Stoichiometry, element_sets: tuple[tuple[str, ...], ...], max_atoms: int
) -> list[dict[str, int]]:
    """Counts of every formula asked for that fits the cell, in a fixed order."""
    return [
        dict(zip(chosen, counts, strict=True))
        for chosen in element_sets
        for counts in sorted(asked.formulas(chosen, max_atoms))
    ]


def _fitting_group(
    order: Order, formula: dict[str, int], rng: np.random.Generator
) -> tuple[int, list[int]] | None:
    """Draw a group and the atoms of its conventional cell, until its positions can hold them."""
    unit = np.array(list(formula.values()))
    most = order.max_atoms // int(unit.sum())
    if most < 1:
        return None
    for _ in range(TRIES):
        spacegroup = int(rng.choice(order.spacegroups))
        centering = int(table().centering[spacegroup - 1])
        counts = [int(c) for c in unit * int(rng.integers(1, most + 1)) * centering]
        if _group(spacegroup).check_compatible(counts)[0]:
            return spacegroup, counts
    return None


@cache
def _group(spacegroup: int) -> Group:
    return Group(spacegroup)
