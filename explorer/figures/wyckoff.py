"""Wyckoff positions as a person picks them: their words, and where they sit in the cell.

Letters in shapes: K points of an orbit with their images on the faces of the cell.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import compress, product
from typing import Any

import numpy as np

from explorer.figures.words import spacegroup_label
from model.wyckoff import DENOMINATOR, LETTERS, crystal_family, table

# Cells that show their family at a glance: a, b, c in any unit, alpha, beta, gamma in degrees.
SHAPES = {
    "triclinic": (1.0, 1.15, 1.3, 80.0, 105.0, 98.0),
    "monoclinic": (1.0, 1.15, 1.3, 90.0, 108.0, 90.0),
    "orthorhombic": (1.0, 1.2, 1.45, 90.0, 90.0, 90.0),
    "tetragonal": (1.0, 1.0, 1.5, 90.0, 90.0, 90.0),
    "hexagonal": (1.0, 1.0, 1.35, 90.0, 90.0, 120.0),
    "cubic": (1.0, 1.0, 1.0, 90.0, 90.0, 90.0),
}
TURN, TILT = np.radians(24.0), np.radians(16.0)
"""How far the view is turned about c and tilted down: a comes forward, b goes right, c up."""
FREE = np.array([0.16, 0.29, 0.37])
"""Where x, y and z of a picture lie: away from every special value."""
SIZE = 100.0
"""Pictures are squares of this side."""
MARGIN = 8.0


@lru_cache(maxsize=64)
def position_cards(spacegroup: int) -> dict[str, Any]:
    """Describe the positions of a space group and draw each of them.

    Returns
    -------
    dict
        number; label, such as "I4/mmm (139)"; centring, the translations that each list of
        coordinates leaves out; edges, the cell as lines [x1, y1, x2, y2]; positions, of which each
        has letter, name, site_symmetry, freedom, axes (which of "xyz" are free), coordinates (list
        of "x,y,z" strings) and points
        [x, y, depth] with depth from 0 (far) to 1 (near), all in a square of side `SIZE`.
    """
    wyckoff = table()
    centring = _centring(spacegroup)
    project = _projection(spacegroup)
    edges = [[*project(a)[:2], *project(b)[:2]] for a, b in _edges()]
    return {
        "number": spacegroup,
        "label": spacegroup_label(spacegroup),
        "centring": [f"({coordinate_words(_shift(t))})" for t in centring],
        "edges": edges,
        "positions": [
            {
                "letter": LETTERS[wyckoff.letter[position]],
                "name": wyckoff.name(position),
                "site_symmetry": str(wyckoff.site_symmetry[position]),
                "freedom": int(wyckoff.freedom[position]),
                "axes": "".join(compress("xyz", wyckoff.free_axes[position])),
                "coordinates": coordinates(position),
                "points": [project(point) for point in _points(position)],
            }
            for position in wyckoff.positions_of(spacegroup)
        ],
    }


def coordinates(position: int) -> list[str]:
    """Coordinates of the points of one orbit, without the group's centring translations."""
    wyckoff = table()
    operations = wyckoff.operations_of(position)
    spacegroup = int(wyckoff.group[position])
    translations = [np.zeros(3), *_centring(spacegroup)]
    kept: dict[tuple, str] = {}
    for operation in operations:
        images = [_moved(operation, translation) for translation in translations]
        key = min(tuple(image.round(6).ravel()) for image in images)
        kept.setdefault(key, coordinate_words(operation))
    return list(kept.values())


def coordinate_words(operation: np.ndarray) -> str:
    """Write an affine map, (3, 4), as International Tables do: "x,-x,z+1/2"."""
    return ",".join(_row_words(row) for row in operation)


def _row_words(row: np.ndarray) -> str:
    words = ""
    for factor, variable in zip(row[:3], "xyz", strict=True):
        if factor:
            size = "" if abs(factor) == 1 else f"{abs(factor):g}"
            words += ("-" if factor < 0 else "+" if words else "") + size + variable
    shift = Fraction(round(row[3] * DENOMINATOR), DENOMINATOR)
    if shift or not words:
        sign = "+" if words and shift > 0 else ""
        words += f"{sign}{shift}"
    return words


def _shift(translation: np.ndarray) -> np.ndarray:
    return np.column_stack([np.zeros((3, 3)), translation])


def _moved(operation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    moved = operation.copy()
    moved[:, 3] = (moved[:, 3] + translation + 1e-9) % 1.0
    return moved


def _centring(spacegroup: int) -> list[np.ndarray]:
    """Centring translations of the conventional cell, without the identity."""
    operations = table().group_operations(spacegroup)
    pure = [o[:, 3] % 1.0 for o in operations if np.array_equal(o[:, :3], np.eye(3))]
    return [translation for translation in pure if translation.any()]


def _edges() -> list[tuple[np.ndarray, np.ndarray]]:
    corners = [np.array(corner, float) for corner in product((0, 1), repeat=3)]
    return [
        (a, b) for i, a in enumerate(corners) for b in corners[i + 1 :] if np.abs(a - b).sum() == 1
    ]


def _points(position: int) -> np.ndarray:
    """Points of the representative orbit, those on faces, edges and corners at each of them."""
    wyckoff = table()
    orbit = wyckoff.orbit(position, FREE[wyckoff.free_axes[position]])
    points = []
    for point in orbit:
        places = [(value, 1.0) if value < 1e-6 else (value,) for value in point]
        points += product(*places)
    return np.array(points)


def _projection(spacegroup: int) -> Any:
    """Map from fractional coordinates to [x, y, depth], the cell filling the picture."""
    matrix = _lattice(*SHAPES[crystal_family(spacegroup)])
    sine, cosine = np.sin([TURN, TILT]), np.cos([TURN, TILT])
    axes = np.array(
        [
            [-sine[0], cosine[0], 0.0],
            [cosine[0] * sine[1], sine[0] * sine[1], -cosine[1]],  # screens count downwards
            [cosine[0] * cosine[1], sine[0] * cosine[1], sine[1]],
        ]
    )
    corners = np.array(list(product((0, 1), repeat=3))) @ matrix @ axes.T
    low, span = corners.min(axis=0), np.ptp(corners, axis=0)
    scale = (SIZE - 2 * MARGIN) / span[:2].max()
    offset = (SIZE - span[:2] * scale) / 2

    def project(fractional: np.ndarray) -> list[float]:
        x, y, depth = np.asarray(fractional) @ matrix @ axes.T - low
        at = np.array([x, y]) * scale + offset
        return [round(float(at[0]), 1), round(float(at[1]), 1), round(float(depth / span[2]), 2)]

    return project


def _lattice(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Rows a, b, c with a in the plane of x and z turned to face the reader and c along z."""
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians([alpha, beta, gamma]))
    sin_beta = np.sin(np.radians(beta))
    across = (cos_gamma - cos_alpha * cos_beta) / sin_beta
    height = np.sqrt(1.0 - cos_alpha**2 - across**2)
    return np.array(
        [
            [a * sin_beta, 0.0, a * cos_beta],
            [b * across, b * height, b * cos_alpha],
            [0.0, 0.0, c],
        ]
    )
