"""A structure as a 3-D scene of Crystal Toolkit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from monty.serialization import loadfn
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from explorer.crystals import gate
from explorer.figures.geometry import neighbour_finder

MOST_ATOMS_CONVENTIONAL = 96
COLOURS = "Jmol"
# Crystal axes stand with c upwards on the screen: (x, y, z) becomes (x, z, -y).
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@cache
def get_ready() -> Thread:
    """Import beside what goes on what the first crystal needs, once, and return who does it."""
    importing = Thread(target=import_module, args=("crystal_toolkit",), daemon=True)
    importing.start()
    return importing


@dataclass(frozen=True)
class CrystalScene:
    """What the viewer shows.

    Attributes
    ----------
    scene
        JSON of Crystal Toolkit's scene; None when the structure cannot be shown.
    colours
        CSS colour of each element.
    n_atoms
        Atoms in the cell shown.
    message
        Why there is no scene; "" when there is one.
    """

    scene: dict[str, Any] | None
    colours: dict[str, str]
    n_atoms: int = 0
    message: str = ""


def crystal_scene(structure: Structure, as_given: bool = False) -> CrystalScene:
    """Draw a cell with bonds (CrystalNN for small cells, else by distance).

    Parameters
    ----------
    structure
        Any cell of the crystal.
    as_given
        Whether that cell is drawn, as it stands; otherwise the conventional one.
    """
    reason = gate(structure)
    if reason:
        return CrystalScene(None, {}, len(structure), f"This structure cannot be shown: {reason}")
    # Two threads that import it at once may each get half of it; scenes belong to its end.
    get_ready().join()
    from crystal_toolkit.core.legend import Legend  # noqa: PLC0415 - seconds to import
    from pymatgen.analysis.graphs import StructureGraph  # noqa: PLC0415 - likewise

    shown = _upright(structure if as_given else _conventional(structure))
    legend = Legend(shown, color_scheme=COLOURS)
    with warnings.catch_warnings():  # CrystalNN guesses where no oxidation states are given
        warnings.simplefilter("ignore")
        graph = StructureGraph.from_local_env_strategy(shown, neighbour_finder(len(shown)))
        scene = graph.get_scene(
            legend=legend, draw_image_atoms=True, bonded_sites_outside_unit_cell=False
        ).to_json()
    colours = {symbol: colour for colour, symbol in legend.get_legend()["colors"].items()}
    return CrystalScene(scene, colours, len(shown))


def element_colour(symbol: str) -> str:
    """CSS colour of an element's atoms in the scene."""
    red, green, blue = _colours().get(symbol, (128, 128, 128))
    return f"rgb({red},{green},{blue})"


@cache
def _colours() -> dict[str, list[int]]:
    """Read what Crystal Toolkit paints atoms with, without importing it."""
    package = Path(find_spec("crystal_toolkit").origin).parent
    return loadfn(package / "core" / "ElementColorSchemes.yaml")[COLOURS]


def _conventional(structure: Structure) -> Structure:
    """Return the conventional cell where it stays readable, else the cell as given."""
    analyzer = SpacegroupAnalyzer(structure, symprec=0.1)
    try:
        conventional = analyzer.get_conventional_standard_structure()
    except (TypeError, ValueError):  # spglib finds no cell for badly distorted structures
        return structure
    return conventional if len(conventional) <= MOST_ATOMS_CONVENTIONAL else structure


def upright(lattice: np.ndarray) -> np.ndarray:
    """Turn vectors, in rows, so that c stands upwards on the screen."""
    return lattice @ UPRIGHT


def _upright(structure: Structure) -> Structure:
    matrix = upright(structure.lattice.matrix)
    return Structure(Lattice(matrix), structure.species, structure.frac_coords)
