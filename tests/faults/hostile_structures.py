"""Crystals as strangers' files hold them, sound and broken, written without any check."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = {"H": 1, "D": 1, "Li": 3, "O": 8, "Na": 11, "Al": 13, "Cl": 17, "Ca": 20, "Cu": 29}


@dataclass(frozen=True)
class Cell:
    """A crystal as plain numbers.

    Attributes
    ----------
    lengths, angles
        Of the cell, Å and degrees, (3,) each.
    species
        Symbols, or what stands in their place, (N,).
    points
        Fractional coordinates, (N, 3).
    occupancy
        Of every site.
    """

    lengths: Sequence[float]
    angles: Sequence[float]
    species: Sequence[str]
    points: Sequence[Sequence[float]]
    occupancy: float = 1.0

    @property
    def matrix(self) -> list[list[float]]:
        """Rows are lattice vectors, Å; of impossible angles whatever comes out."""
        a, b, c = self.lengths
        with np.errstate(all="ignore"):
            alpha, beta, gamma = np.radians(np.array(self.angles, float))
            x = np.cos(beta)
            y = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
            z = np.sqrt(1 - x**2 - y**2)
            rows = [[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [c * x, c * y, c * z]]
        return [[float(value) for value in row] for row in rows]


RANDOM = np.random.default_rng(1).random((6, 3))
FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
EDGES = [[x + 0.5, y, z] for x, y, z in FACES]
SOUND = (
    Cell((5.6,) * 3, (90,) * 3, ["Na"] * 4 + ["Cl"] * 4, FACES + EDGES),
    Cell((4.05,) * 3, (90,) * 3, ["Al"] * 4, FACES),
    Cell((2.55, 2.55, 2.55), (60,) * 3, ["Cu"], [[0, 0, 0]]),
    Cell((4.8, 4.8, 4.8), (60,) * 3, ["Ca", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
)  # fmt: skip


def broken(random: Random) -> Cell:
    """Return a crystal of which no potential, matcher or symmetry search may hear."""
    sound = random.choice(SOUND)
    far = random.choice([1e3, 1e6, 1e12, 1e17, 1e300, float("nan"), float("inf")])
    kinds = (
        lambda: Cell((4,) * 3, (90,) * 3, ["Na", "Cl"], [[0, 0, 0], [0, 0, random.random() / 8]]),
        lambda: Cell((4,) * 3, (90,) * 3, ["Al", "Al"], [[0, 0, 0], [0, 0, 0]]),
        lambda: Cell([random.choice([0.1, 0.6, 500, 1e6, -4, 0, far])] * 3, sound.angles,
                     sound.species, sound.points),
        lambda: Cell((0.5, 0.5, 200), (90,) * 3, ["Na"] * 6, RANDOM),
        lambda: Cell(sound.lengths, random.choice([(1, 1, 1), (179, 90, 90), (120, 120, 120),
                     (60, 60, 150), (0, 0, 0), (180, 180, 180)]), sound.species, sound.points),
        lambda: Cell(sound.lengths, sound.angles, sound.species,
                     [[far, 0, 0], *sound.points[1:]]),
        lambda: Cell((60,) * 3, (90,) * 3, ["Na"] * 3000,
                     np.random.default_rng(2).random((3000, 3)).round(4).tolist()),
        lambda: Cell(sound.lengths, sound.angles, ["D"] * len(sound.species), sound.points),
        lambda: Cell(sound.lengths, sound.angles, sound.species, sound.points,
                     random.choice([0.5, 0, -1, 1.5, far])),
        lambda: Cell(sound.lengths, sound.angles,
                     [random.choice(["Qq", "X", "Og", "Po", "Na9+", "", "H2O", "Vac"])]
                     * len(sound.species), sound.points),
        lambda: Cell(sound.lengths, sound.angles, [], []),
        lambda: Cell((5,) * 3, (90,) * 3, ["Na"], [[0.3, 0.3, 0.3]] * 400),
    )  # fmt: skip
    return random.choice(kinds)()


def cif(cell: Cell, group: str = "P 1", name: str = "x") -> str:
    """Write a CIF that claims a space group."""
    head = [f"data_{name}", f"_symmetry_space_group_name_H-M '{group}'"]
    head += [f"_cell_length_{n} {v}" for n, v in zip("abc", cell.lengths, strict=True)]
    angles = zip(("alpha", "beta", "gamma"), cell.angles, strict=True)
    head += [f"_cell_angle_{n} {v}" for n, v in angles]
    fields = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    head += ["loop_", *(f"_atom_site_{field}" for field in fields)]
    rows = [
        f"{symbol}{k} {symbol or '?'} {x} {y} {z} {cell.occupancy}"
        for k, (symbol, (x, y, z)) in enumerate(zip(cell.species, cell.points, strict=False))
    ]
    return "\n".join([*head, *rows]) + "\n"


def poscar(cell: Cell) -> str:
    """Write a POSCAR, one block for each atom."""
    rows = [*cell.matrix, *cell.points]
    lines = [" ".join(str(value) for value in row) for row in rows]
    symbols, ones = " ".join(cell.species), " ".join("1" * len(cell.species))
    return "\n".join(["name", "1.0", *lines[:3], symbols, ones, "direct", *lines[3:]]) + "\n"


def extxyz(cell: Cell) -> str:
    """Write an extended xyz frame with Cartesian positions."""
    matrix = np.array(cell.matrix)
    flat = " ".join(str(value) for value in matrix.ravel())
    with np.errstate(all="ignore"):
        places = (np.array(cell.points, float).reshape(-1, 3) @ matrix).tolist()
    rows = [f"{s} {x} {y} {z}" for s, (x, y, z) in zip(cell.species, places, strict=False)]
    head = f'Lattice="{flat}" Properties=species:S:1:pos:R:3 id="frame" pbc="T T T"'
    return "\n".join([str(len(rows)), head, *rows]) + "\n"


def pymatgen_json(cell: Cell) -> str:
    """Write a pymatgen Structure; NaN and Infinity as Python's own JSON does."""
    sites = [
        {"species": [{"element": s, "occu": cell.occupancy}], "abc": list(p), "label": s}
        for s, p in zip(cell.species, cell.points, strict=False)
    ]
    return json.dumps({"@class": "Structure", "lattice": {"matrix": cell.matrix}, "sites": sites})


def parquet(cells: Sequence[Cell], **more: Sequence[object]) -> bytes:
    """Write a table of structures, with further columns."""
    table = pa.table(
        {
            "id": [f"row-{k}" for k in range(len(cells))],
            "lattice": [np.ravel(cell.matrix).tolist() for cell in cells],
            "numbers": [[NUMBERS.get(s, 200) for s in cell.species] for cell in cells],
            "frac_coords": [np.ravel(cell.points).astype(float).tolist() for cell in cells],
            **more,
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
