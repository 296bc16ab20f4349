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
REACHES = (14.0, 26.0, 40.0, 56.0)  # pixels from a point's own label to one on a line of its own
TURNS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
MARGIN = np.array([46.0, 0.0])  # pixels around the points that such a label may take up
CLEAR = 5.0  # pixels that its line keeps from other points

Offset = tuple[float, float]
"""Pixels from a point to the middle of its label, y upwards."""


def place_labels(
    points: np.ndarray,
    texts: Sequence[str],
    first: Sequence[int],
    soft: Sequence[bool],
    sizes: Sequence[float],
    leads: bool = False,
) -> dict[int, str | Offset]:
    """Choose a side for the label of each point, or a place further out.

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
    leads : bool
        Whether a label without a free side may stand apart, at the end of a line from its point.

    Returns
    -------
    dict
        Place of each point that gets a label, to its side or, where it stands apart, to its offset;
        labels that do not fit are left out.
    """
    middle = points.mean(axis=0) if len(points) else np.zeros(2)
    gaps = gap(np.asarray(sizes, float))
    hard = ~np.asarray(soft, bool)
    taken: list[np.ndarray] = []
    chosen: dict[int, str | Offset] = {}
    every = np.ones(len(points), bool)
    tries = [(_free_side, every), *([(_free_spot, every)] if leads else []), (_free_side, hard)]
    for place in (index for index in first if texts[index]):
        for free, kept in tries:
            outwards = points[place] - middle
            away = kept & (np.abs(points - points[place]).max(axis=1) > 1.0)
            others = points[away], gaps[away]
            label = gaps[place], texts[place]
            side, boxes = free(points[place], outwards, label, others, taken)
            if side:
                chosen[place] = side
                taken += boxes
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
) -> tuple[str, list[np.ndarray]]:
    """Return the outermost side where a text covers nothing, and its box; "" when there is none."""
    distance, text = label
    half = _half(text)
    for side, direction in sorted(SIDES.items(), key=lambda item: -np.dot(item[1], outwards)):
        centre = point + np.array(direction) * (half + distance)
        box = np.array([centre - half, centre + half])
        if _is_free(box, others, taken):
            return side, [box]
    return "", []


def _free_spot(
    point: np.ndarray,
    outwards: np.ndarray,
    label: tuple[float, str],
    others: tuple[np.ndarray, np.ndarray],
    taken: Sequence[np.ndarray],
) -> tuple[Offset | None, list[np.ndarray]]:
    """Return the nearest place apart where a text and its line cover nothing, and their boxes."""
    distance, text = label
    half = _half(text)
    bounds = np.vstack([point, others[0]])
    low, high = bounds.min(axis=0) - MARGIN, bounds.max(axis=0) + MARGIN
    ways = sorted(TURNS, key=lambda turn: -np.dot((np.cos(turn), np.sin(turn)), outwards))
    for reach in REACHES:
        for turn in ways:
            way = np.array([np.cos(turn), np.sin(turn)])
            offset = way * (half + distance + reach)
            box = np.array([point + offset - half, point + offset + half])
            inside = (box[0] >= low).all() and (box[1] <= high).all()
            if not inside or not _is_free(box, others, taken):
                continue
            line = _line(point, offset, half)
            if all(_is_free(bead, (others[0], CLEAR + 0 * others[1]), taken) for bead in line):
                return (float(offset[0]), float(offset[1])), [box, *line]
    return None, []


def _half(text: str) -> np.ndarray:
    """Half the width and the height of a label in pixels, (2,)."""
    return np.array([CHARACTER * len(text) / 2, LINE / 2])


def _is_free(
    box: np.ndarray, others: tuple[np.ndarray, np.ndarray], taken: Sequence[np.ndarray]
) -> bool:
    """Whether a label's box lies on none of the points, with their gaps, and on no label."""
    points, gaps = others[0], others[1][:, None]
    on_points = ((points > box[0] - gaps) & (points < box[1] + gaps)).all(axis=1)
    on_labels = any((box[0] < other[1]).all() and (box[1] > other[0]).all() for other in taken)
    return not on_points.any() and not on_labels


def _line(point: np.ndarray, offset: np.ndarray, half: np.ndarray) -> list[np.ndarray]:
    """Return small boxes along the line from a point to the edge of a label apart from it."""
    inside = np.min(half / np.maximum(np.abs(offset), 1e-9))  # part of the line within the label
    steps = np.arange(0.0, 1.0 - inside, CLEAR / np.linalg.norm(offset))
    return [point + step * offset + np.array([[-1.0], [1.0]]) for step in steps]
