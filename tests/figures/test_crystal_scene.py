"""Structures as scenes of Crystal Toolkit."""

import json
import subprocess
import sys

import numpy as np
from pymatgen.core import Lattice, Structure

from explorer.figures.crystal import crystal_scene, get_ready


def rock_salt() -> Structure:
    """Return the primitive cell of MgO."""
    lattice = Lattice.from_parameters(2.98, 2.98, 2.98, 60, 60, 60)
    return Structure(lattice, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_a_scene_shows_the_conventional_cell_with_bonds():
    """The primitive cell of rock salt is shown as the cube of eight atoms that people know."""
    drawn = crystal_scene(rock_salt())
    parts = {part["name"]: part for part in drawn.scene["contents"]}
    assert drawn.n_atoms == 8
    assert set(drawn.colours) == {"Mg", "O"}
    assert parts["bonds"]["contents"]
    assert parts["unit_cell"]["contents"]
    json.dumps(drawn.scene)


def test_what_cannot_be_drawn_says_why():
    """A structure with a NaN never reaches spglib; the viewer gets words instead."""
    broken = Structure(Lattice.cubic(4), ["Mg"], [[np.nan, 0, 0]])
    drawn = crystal_scene(broken)
    assert drawn.scene is None
    assert "cannot be shown" in drawn.message


def test_what_the_first_crystal_needs_is_there_before_it():
    """However many pages ask for it, it is imported once, and none of them waits."""
    assert get_ready() is get_ready()
    get_ready().join()
    assert "crystal_toolkit" in sys.modules


def test_crystals_that_are_asked_for_at_once_wait_for_what_draws_them():
    """A click while the server still imports gives the crystal, not an empty card."""
    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pymatgen.core import Lattice, Structure\n"
        "from explorer.figures.crystal import crystal_scene, get_ready\n"
        "cubic = Structure(Lattice.cubic(3.2), ['Cs', 'Cl'], [[0] * 3, [0.5] * 3])\n"
        "get_ready()\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    drawn = list(pool.map(crystal_scene, [cubic] * 4))\n"
        "assert all(each.scene for each in drawn)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
