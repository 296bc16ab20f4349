"""What a structure is made of in numbers: density, oxidation states, coordination, bonds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from explorer.figures.words import formula_label

if TYPE_CHECKING:
    from pymatgen.analysis.local_env import CrystalNN, MinimumDistanceNN

MOST_ATOMS_FOR_CRYSTALNN = 40  # its Voronoi cells take seconds beyond that
MOST_ATOMS_TO_GUESS = 60
SIGNS = str.maketrans("0123456789+-.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻·")


def neighbour_finder(n_atoms: int) -> CrystalNN | MinimumDistanceNN:
    """Return what finds bonds: CrystalNN for small cells, else by distance."""
    from pymatgen.analysis.local_env import (  # noqa: PLC0415 - half a second to import
        CrystalNN,
        MinimumDistanceNN,
    )

    return CrystalNN() if n_atoms <= MOST_ATOMS_FOR_CRYSTALNN else MinimumDistanceNN()


def neighbours_by(n_atoms: int) -> str:
    """Name what `neighbour_finder` returns."""
    return "CrystalNN" if n_atoms <= MOST_ATOMS_FOR_CRYSTALNN else "distance (MinimumDistanceNN)"


class SiteBonds(NamedTuple):
    """The neighbours of one kind of site.

    Attributes
    ----------
    element
        At the site.
    count
        Sites of this kind in the primitive cell.
    coordination
        Number of neighbours.
    lengths
        Neighbouring element to the shortest and the longest bond, Å, and the number of bonds.
    """

    element: str
    count: int
    coordination: int
    lengths: dict[str, tuple[float, float, int]]


def density_words(structure: Structure) -> str:
    """Density and volume, "5.31 g/cm³, 21.4 Å³ per atom"."""
    return f"{structure.density:.2f} g/cm³, {structure.volume / len(structure):.1f} Å³ per atom"


def oxidation_words(formula: str) -> str:
    """Return the likeliest oxidation states by ICSD frequencies, "Ca²⁺ F⁻"; "" when none balance.

    A guess from the composition alone: intermetallics have none.
    """
    composition = Composition(formula)
    if all(element.is_metal for element in composition.elements):
        return ""
    if composition.num_atoms > MOST_ATOMS_TO_GUESS:
        return ""
    guesses = composition.oxi_state_guesses()
    if not guesses or not any(guesses[0].values()):
        return ""
    return " ".join(f"{symbol}{_charge(state)}" for symbol, state in guesses[0].items())


def _charge(state: float) -> str:
    size = f"{abs(state):.2f}".rstrip("0").rstrip(".")
    number = "" if size == "1" else size
    return f"{number}{'+' if state > 0 else '-' if state < 0 else ''}".translate(SIGNS)


def site_bonds(structure: Structure) -> list[SiteBonds]:
    """Return the neighbours of each symmetrically distinct site, by CrystalNN for small cells.

    Parameters
    ----------
    structure
        Gated; sites that spglib finds equivalent at 0.1 Å are told once.
    """
    finder, kinds = neighbour_finder(len(structure)), _kinds(structure)
    with warnings.catch_warnings():  # CrystalNN guesses where no oxidation states are given
        warnings.simplefilter("ignore")
        return [_bonds(structure, finder, site, count) for site, count in kinds.items()]


def _kinds(structure: Structure) -> dict[int, int]:
    """Return the first site of each orbit, and how many sites the orbit has."""
    try:
        dataset = SpacegroupAnalyzer(structure, symprec=0.1).get_symmetry_dataset()
        orbits: Sequence[int] = dataset.equivalent_atoms.tolist()
    except (TypeError, ValueError, AttributeError):  # spglib finds nothing in distorted cells
        orbits = range(len(structure))
    return dict(Counter(orbits))


def _bonds(
    structure: Structure, finder: CrystalNN | MinimumDistanceNN, site: int, count: int
) -> SiteBonds:
    lengths: dict[str, list[float]] = {}
    neighbours = finder.get_nn_info(structure, site)
    for neighbour in neighbours:
        other = neighbour["site"]
        distance = structure[site].distance(other, jimage=(0, 0, 0))
        lengths.setdefault(other.specie.symbol, []).append(float(distance))
    told = {e: (min(found), max(found), len(found)) for e, found in sorted(lengths.items())}
    return SiteBonds(structure[site].specie.symbol, count, len(neighbours), told)


def bond_words(lengths: dict[str, tuple[float, float, int]]) -> str:
    """Write bonds as "4 Cu 2.61 Å, 8 Al 3.10–3.22 Å"."""
    parts = []
    for element, (short, long, number) in lengths.items():
        span = f"{short:.2f}" if long - short < 0.005 else f"{short:.2f}–{long:.2f}"
        parts.append(f"{number} {formula_label(element)} {span} Å")
    return ", ".join(parts)
