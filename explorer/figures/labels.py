"""Labels that keep apart: each takes the first free side of its point, or is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def place_labels(
    points: np.ndarray,
    texts: Sequence[str],
    first: Sequence[int],
    soft: Sequence[bool],
    sizes: Sequence[float],
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
    sizes : sequence of float
        Length N, pixels across: the marker at each point. No label comes nearer to another
        point than that one's own label would.

    Returns
    -------
    dict
        Place of each point that gets a label, to its side; labels that do not fit are left out.
    """
    middle = points.mean(axis=0) if len(points) else np.zeros(2)
    gaps = gap(np.asarray(sizes, float))
    hard = ~np.asarray(soft, bool)
    taken: list[np.ndarray] = []
    chosen: dict[int, str] = {}
    for place in (index for index in first if texts[index]):
        for kept in (np.ones(len(points), bool), hard):
            outwards = points[place] - middle
            away = kept & (np.abs(points - points[place]).max(axis=1) > 1.0)
            others = points[away], gaps[away]
            label = gaps[place], texts[place]
            side, box = _free_side(points[place], outwards, label, others, taken)
            if side:
                chosen[place] = side
                taken.append(box)
                break
    return chosen


def gap(size: Any) -> Any:
    """Return how many pixels Plotly leaves between a text and the middle of a marker of a size."""
    return size / 1.6 + 1


def _free_side(
    point: np.ndarray,
    outwards: np.ndarray,
    label: tuple[float, str],
    others: tuple[np.ndarray, np.ndarray],
    taken: Sequence[np.ndarray],
) -> tuple[str, np.ndarray]:
    """Return the outermost side where a text covers nothing, and its box; "" when there is none."""
    distance, text = label
    half = np.array([CHARACTER * len(text) / 2, LINE / 2])
    points, gaps = others[0], others[1][:, None]
    box = np.zeros((2, 2))
    for side, direction in sorted(SIDES.items(), key=lambda item: -np.dot(item[1], outwards)):
        centre = point + np.array(direction) * (half + distance)
        box = np.array([centre - half, centre + half])
        on_points = ((points > box[0] - gaps) & (points < box[1] + gaps)).all(axis=1)
        on_labels = any((box[0] < other[1]).all() and (box[1] > other[0]).all() for other in taken)
        if not on_points.any() and not on_labels:
            return side, box
    return "", box
