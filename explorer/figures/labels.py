"""Labels that keep apart: each takes the first free side of its point, or is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Plotly's names with the direction from the point to the text's centre, the clearest first.
SIDES = {
    "top center": (0, 1),
    "bottom center": (0, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "top left": (-1, 1),
    "bottom right": (1, -1),
    "bottom left": (-1, -1),
}
CHARACTER, LINE = 6.4, 13.0  # pixels of an 11 px font
RADIUS = 8.0  # pixels around a point that a label must not touch


def place_labels(
    points: np.ndarray,
    texts: Sequence[str],
    first: Sequence[int],
    soft: Sequence[bool],
) -> dict[int, str]:
    """Choose a side for the label of each point.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (N, 2), pixels, y upwards: everything that is drawn.
    texts : sequence of str
        Length N; "" asks for no label.
    first : sequence of int
        Places of the points in the order in which they may choose.
    soft : sequence of bool
        Length N; a label may cover these points when there is no other way.

    Returns
    -------
    dict
        Place of each point that gets a label, to its side; labels that do not fit are left out.
    """
    middle = points.mean(axis=0) if len(points) else np.zeros(2)
    hard = points[~np.asarray(soft, bool)]
    taken: list[np.ndarray] = []
    chosen: dict[int, str] = {}
    for place in (index for index in first if texts[index]):
        for others in (points, hard):
            outwards = points[place] - middle
            side, box = _free_side(points[place], outwards, texts[place], others, taken)
            if side:
                chosen[place] = side
                taken.append(box)
                break
    return chosen


def _free_side(
    point: np.ndarray,
    outwards: np.ndarray,
    text: str,
    others: np.ndarray,
    taken: Sequence[np.ndarray],
) -> tuple[str, np.ndarray]:
    """Return the outermost side where a text covers nothing, and its box; "" when there is none."""
    half = np.array([CHARACTER * len(text) / 2, LINE / 2])
    away = others[np.abs(others - point).max(axis=1, initial=0.0) > 1.0]
    box = np.zeros((2, 2))
    for side, direction in sorted(SIDES.items(), key=lambda item: -np.dot(item[1], outwards)):
        centre = point + np.array(direction) * (half + RADIUS - 2)
        box = np.array([centre - half, centre + half])
        on_points = ((away > box[0] - RADIUS / 2) & (away < box[1] + RADIUS / 2)).all(axis=1)
        on_labels = any((box[0] < other[1]).all() and (box[1] > other[0]).all() for other in taken)
        if not on_points.any() and not on_labels:
            return side, box
    return "", box
