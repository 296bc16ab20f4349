"""Elemental crystals: the corners of every hull, for elements that the published set lacks.

Geometries are the room- or low-temperature crystal structures of the textbooks: those that ASE
lists as reference states, and for the others the table below. They are starting points only; the
reference set holds them relaxed with its own potential.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.build import bulk
from ase.data import atomic_numbers, reference_states
from pymatgen.core import Lattice, Structure


class _Crystal(NamedTuple):
    """A textbook structure: space group, lattice (Å, degrees), fractional sites."""

    spacegroup: int
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[tuple[float, float, float], ...]


def _ortho(a: float, b: float, c: float) -> tuple[float, float, float, float, float, float]:
    return (a, b, c, 90, 90, 90)


def _hexagonal(a: float, c: float) -> tuple[float, float, float, float, float, float]:
    return (a, a, c, 90, 90, 120)


# Donohue, The Structures of the Elements (1974), and the later refinements of the same phases.
TEXTBOOK: dict[str, _Crystal] = {
    "H": _Crystal(194, _hexagonal(3.78, 6.17), ((1 / 3, 2 / 3, 0.1901),)),
    "He": _Crystal(194, _hexagonal(3.53, 5.69), ((1 / 3, 2 / 3, 0.25),)),
    "N": _Crystal(205, _ortho(5.66, 5.66, 5.66), ((0.0556, 0.0556, 0.0556),)),
    "P": _Crystal(64, _ortho(3.3136, 10.478, 4.3763), ((0, 0.10168, 0.08056),)),
    "Cl": _Crystal(64, _ortho(6.145, 4.395, 8.154), ((0, 0.3699, 0.6015),)),
    "Mn": _Crystal(
        217,
        _ortho(8.9125, 8.9125, 8.9125),
        ((0, 0, 0), (0.317, 0.317, 0.317), (0.357, 0.357, 0.034), (0.089, 0.089, 0.282)),
    ),
    "Ga": _Crystal(64, _ortho(4.5192, 7.6586, 4.5258), ((0, 0.1539, 0.081),)),
    "Sn": _Crystal(227, _ortho(6.4892, 6.4892, 6.4892), ((0.125, 0.125, 0.125),)),
    "Se": _Crystal(152, _hexagonal(4.3662, 4.9536), ((0.2254, 0, 1 / 3),)),
    "Te": _Crystal(152, _hexagonal(4.4572, 5.9290), ((0.2633, 0, 1 / 3),)),
    "Br": _Crystal(64, _ortho(6.737, 4.548, 8.761), ((0, 0.3632, 0.6128),)),
    "I": _Crystal(64, _ortho(7.136, 4.686, 9.784), ((0, 0.34566, 0.61741),)),
    "Pm": _Crystal(194, _hexagonal(3.65, 11.65), ((0, 0, 0), (1 / 3, 2 / 3, 0.25))),
    "Sm": _Crystal(166, _hexagonal(3.621, 26.25), ((0, 0, 0), (0, 0, 0.2222))),
    "Pa": _Crystal(139, (3.925, 3.925, 3.238, 90, 90, 90), ((0, 0, 0),)),
    "U": _Crystal(63, _ortho(2.854, 5.869, 4.955), ((0, 0.1025, 0.25),)),
    "Np": _Crystal(62, _ortho(6.663, 4.723, 4.887), ((0.036, 0.25, 0.208), (0.319, 0.25, 0.842))),
    "Pu": _Crystal(
        11,
        (6.183, 4.822, 10.963, 90, 101.79, 90),
        (
            (0.345, 0.25, 0.162),
            (0.767, 0.25, 0.168),
            (0.128, 0.25, 0.340),
            (0.657, 0.25, 0.457),
            (0.025, 0.25, 0.618),
            (0.473, 0.25, 0.653),
            (0.328, 0.25, 0.926),
            (0.894, 0.25, 0.926),
        ),
    ),
}


def source_of(symbol: str) -> str:
    """Name the table that `elemental_structure` takes an element from."""
    return "textbook structure" if symbol in TEXTBOOK else "ase reference state"


def elemental_structure(symbol: str) -> Structure | None:
    """Return the crystal of an element in its primitive cell, None when neither table has one."""
    if symbol in TEXTBOOK:
        crystal = TEXTBOOK[symbol]
        lattice = Lattice.from_parameters(*crystal.lattice)
        sites = np.array(crystal.sites)
        species = [symbol] * len(sites)
        full = Structure.from_spacegroup(crystal.spacegroup, lattice, species, sites)
        return full.get_primitive_structure()
    if reference_states[atomic_numbers[symbol]] is None:
        return None
    try:
        atoms = bulk(symbol)
    except (RuntimeError, ValueError):
        # ASE names this element's prototype but does not hold its atoms.
        return None
    return Structure(np.asarray(atoms.cell), atoms.numbers, atoms.get_scaled_positions())
