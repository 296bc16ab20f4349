"""Marker traces shared by the hull figures: one shape and colour for each kind of point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explorer.figures.labels import place_labels
from explorer.figures.picture import Dot, HullPicture, Kind
from explorer.figures.style import Palette
from explorer.figures.words import escape, formula_label

# Symbols exist in two and in three dimensions, except the star.
SYMBOLS = {
    Kind.STABLE: "circle",
    Kind.UNSTABLE: "circle-open",
    Kind.PREDICTED: "square-open",
    Kind.CANDIDATE: "diamond",
    Kind.FOUND: "star",
}
SYMBOLS_3D = SYMBOLS | {Kind.FOUND: "square"}
SIZES = {
    Kind.STABLE: 10,
    Kind.UNSTABLE: 8,
    Kind.PREDICTED: 9,
    Kind.CANDIDATE: 13,
    Kind.FOUND: 17,
}
SIZES_3D = {
    Kind.STABLE: 6,
    Kind.UNSTABLE: 4,
    Kind.PREDICTED: 5,
    Kind.CANDIDATE: 5,
    Kind.FOUND: 7,
}
LABELLED = (Kind.STABLE, Kind.PREDICTED, Kind.FOUND)
# What lies lower is drawn later, and so on top: a stable phase over candidates of its composition.
ORDER = (Kind.UNSTABLE, Kind.CANDIDATE, Kind.PREDICTED, Kind.STABLE, Kind.FOUND)
FRAME = (420.0, 270.0)  # pixels that the points of a small figure span; a larger one has more room
EYE = (1.12, -1.51, 0.58)  # where a tetrahedron is seen from at first, in sizes of the figure
AIM = (-0.147, -0.148, -0.101)
"""What is looked at, from the middle of its box, so that the names of the corners fit."""
REACH = 0.66
"""Width of a tetrahedron with its names as it is seen first, in heights of the figure."""
EDGE = 220.0  # pixels of a tetrahedron's edge in a small figure
BEYOND = 1.12  # so far out, in sizes of the tetrahedron, stand the names of its corners
CORNER = 24  # pixels across that such a name takes
DEFAULT_SPAN = 0.5  # eV/atom, the colour scale's length when nothing is hidden


def marker(
    kind: Kind, dots: Sequence[Dot], colours: Palette, span: float, three_d: bool = False
) -> dict[str, Any]:
    """Return a Plotly marker; candidates are coloured by their distance above the hull."""
    style: dict[str, Any] = {
        "symbol": (SYMBOLS_3D if three_d else SYMBOLS)[kind],
        "size": (SIZES_3D if three_d else SIZES)[kind],
        "line": {"width": 1.2, "color": colours.surface},
        "color": {
            Kind.STABLE: colours.stable,
            Kind.UNSTABLE: colours.unstable,
            Kind.PREDICTED: colours.stable,
            Kind.FOUND: colours.found,
        }.get(kind),
    }
    if kind == Kind.UNSTABLE:
        style["opacity"] = 0.8
    if kind in {Kind.STABLE, Kind.UNSTABLE} and not three_d:
        style["line"] = _rims(kind, dots, colours)
    if kind == Kind.PREDICTED:
        style["line"] = {"width": 1.6, "color": colours.stable}
    if kind == Kind.CANDIDATE:
        style |= _distance_scale(dots, colours, span)
    return style


def _rims(kind: Kind, dots: Sequence[Dot], colours: Palette) -> dict[str, Any]:
    """Return marker outlines: known phases that the campaign found again get a thick one."""
    plain = colours.surface if kind == Kind.STABLE else colours.unstable
    return {
        "width": [3.0 if dot.again else 1.3 for dot in dots],
        "color": [colours.found if dot.again else plain for dot in dots],
    }


def _distance_scale(dots: Sequence[Dot], colours: Palette, span: float) -> dict[str, Any]:
    return {
        "color": [dot.energy_above_hull for dot in dots],
        "cmin": 0.0,
        "cmax": span,
        "colorscale": [list(stop) for stop in colours.distance],
        "line": {"width": 1.0, "color": colours.text},
        "showscale": bool(dots),
        "colorbar": {
            "title": {"text": "eV/atom above hull", "side": "right", "font": {"size": 11}},
            "thickness": 9,
            "len": 0.62,
            "y": 0.46,
            "x": 1.0,
            "outlinewidth": 0,
            "tickfont": {"size": 10, "color": colours.muted},
            "nticks": 5,
        },
    }


def ring(colours: Palette, three_d: bool = False) -> dict[str, Any]:
    """Return the marker around the selected point."""
    if three_d:
        return {
            "symbol": "circle-open",
            "size": 15,
            "color": colours.selected,
            "line": {"width": 4},
        }
    line = {"width": 3, "color": colours.selected}
    return {"symbol": "circle", "size": 22, "color": "rgba(0,0,0,0)", "line": line}


def trace(
    dots: Sequence[Dot],
    kind: Kind,
    points: np.ndarray,
    colours: Palette,
    span: float,
    sides: Mapping[str, str],
) -> dict[str, Any]:
    """Return a scatter trace of one kind at `points` (N, 2) or (N, 3).

    `sides` maps the keys of the points that get a label to where it stands.
    """
    three_d = points.shape[1] == 3
    labelled = kind in LABELLED
    axes = dict(zip("xyz", points.T.tolist(), strict=False))
    return {
        "type": "scatter3d" if three_d else "scatter",
        "name": kind.value,
        "uid": kind.name,
        "legendgroup": kind.name,
        "mode": "markers+text" if labelled else "markers",
        "text": [formula_label(d.formula) if d.key in sides else "" for d in dots],
        "textposition": [sides.get(d.key, "top center") for d in dots],
        "textfont": {"size": 11, "color": colours.text} | _halo(colours, three_d),
        "marker": marker(kind, dots, colours, span, three_d),
        "customdata": [dot.key for dot in dots],
        "hoverinfo": "text",
        "cliponaxis": False,
        **axes,
    }


def _halo(colours: Palette, three_d: bool) -> dict[str, str]:
    """Return a rim that keeps a label readable over lines and points; not in three dimensions."""
    rim = ", ".join(f"{x}px {y}px 1px {colours.surface}" for x in (-1, 1) for y in (-1, 1))
    return {} if three_d else {"shadow": rim}


def label_sides(
    picture: HullPicture, dots: Sequence[Dot], points: np.ndarray
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the keys of the points that get a label; those that fit, lowest first.

    First those with a label beside them and its side, then those with one apart and its place (2,),
    as it is drawn.

    Parameters
    ----------
    picture : HullPicture
        Decides which points deserve a label.
    dots : sequence of Dot
        All that is drawn.
    points : numpy.ndarray
        Shape (N, 2) or (N, 3), where it is drawn; a tetrahedron as it is seen before it is turned.
    """
    named = picture.named()
    turned = points.shape[1] == 3
    diameters = SIZES_3D if turned else SIZES
    if turned:
        points = seen_from(points, EYE, AIM)
    spans = np.ptp(points, axis=0) if len(points) else np.ones(2)
    scale = np.array(FRAME) / np.where(spans > 0, spans, 1.0)
    if len(picture.elements) in {3, 4}:  # one scale for both axes
        scale = np.full(2, FRAME[1] if len(picture.elements) == 3 else EDGE)
    texts = [formula_label(dot.formula) if dot.key in named else "" for dot in dots]
    points = points * scale
    order = sorted(range(len(dots)), key=lambda place: dots[place].energy_above_hull)
    soft = [dot.kind in {Kind.CANDIDATE, Kind.UNSTABLE} for dot in dots]
    sizes = [diameters[dot.kind] for dot in dots]
    if len(picture.elements) == 4:
        corners = _corner_names(dots, points)
        points, n = np.vstack([points, corners]), len(corners)
        texts, soft, sizes = texts + n * [""], soft + n * [False], sizes + n * [CORNER]
    sides = place_labels(points, texts, order, soft, sizes, leads=not turned)
    near = {dots[k].key: side for k, side in sides.items() if isinstance(side, str)}
    far = {dots[k].key: k for k, side in sides.items() if not isinstance(side, str)}
    return near, {key: (points[k] + sides[k]) / scale for key, k in far.items()}


def _corner_names(dots: Sequence[Dot], points: np.ndarray) -> np.ndarray:
    """Return where the elements' names stand around a tetrahedron, (N, D) like `points`."""
    corners = points[[max(dot.fractions) > 0.999 for dot in dots]]
    middle = corners.mean(axis=0) if len(corners) else 0.0
    return middle + BEYOND * (corners - middle)


def seen_from(points: np.ndarray, eye: Sequence[float], aim: Sequence[float]) -> np.ndarray:
    """Return where points are seen in perspective: to the right and upwards, (N, 2).

    Parameters
    ----------
    points : numpy.ndarray
        Shape (N, 3).
    eye, aim
        Where from, as seen from `aim`, and what is looked at, as seen from the middle of the box
        around the points.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2 if len(points) else 0.0
    from_aim = points - middle - np.array(aim)
    right = np.cross(np.negative(eye), (0.0, 0.0, 1.0))
    up = np.cross(right, np.negative(eye))
    across = np.column_stack([right / np.linalg.norm(right), up / np.linalg.norm(up)])
    distance = np.linalg.norm(eye)
    nearness = distance / (distance - from_aim @ np.array(eye) / distance)
    return from_aim @ across * nearness[:, None]


def kind_traces(
    picture: HullPicture,
    colours: Palette,
    threshold: float | None,
    place: Any,
) -> list[dict[str, Any]]:
    """Return one trace for each kind, in drawing order; `place` maps dots to (N, D)."""
    span = threshold or DEFAULT_SPAN
    by_kind = {kind: picture.of_kind(kind, threshold) for kind in ORDER}
    shown = [dot for dots in by_kind.values() for dot in dots]
    points = place(shown)
    hovers, (sides, apart) = _hover_texts(shown, place), label_sides(picture, shown, points)
    traces = []
    for kind, dots in by_kind.items():
        item = trace(dots, kind, place(dots), colours, span, sides)
        item["hovertext"] = [hovers[dot.key] for dot in dots]
        item["showlegend"] = bool(dots) or kind != Kind.PREDICTED
        if item["type"] == "scatter3d":
            item.pop("cliponaxis")
        traces.append(item)
    if points.shape[1] == 2:
        for kind in LABELLED:
            traces += _labels_apart(kind, by_kind[kind], place(by_kind[kind]), apart, colours)
    return traces


def _labels_apart(
    kind: Kind,
    dots: Sequence[Dot],
    points: np.ndarray,
    apart: Mapping[str, np.ndarray],
    colours: Palette,
) -> list[dict[str, Any]]:
    """Return the labels that found no room beside their points, and the lines that lead to them.

    Who hides a kind of points by the legend hides these with it. They are there without labels,
    too, or those that come later would stay.
    """
    named = [(dot, point) for dot, point in zip(dots, points, strict=True) if dot.key in apart]
    ends = np.array([apart[dot.key] for dot, _ in named]).reshape(-1, 2)
    steps = [row for (_, a), b in zip(named, ends, strict=True) for row in (a, b, (None, None))]
    quiet = {
        "type": "scatter", "hoverinfo": "skip", "showlegend": False, "cliponaxis": False,
        "legendgroup": kind.name,
    }  # fmt: skip
    leaders = quiet | {
        "name": "lines to labels",
        "uid": f"LEADERS {kind.name}",
        "mode": "lines",
        "x": [None if step[0] is None else float(step[0]) for step in steps],
        "y": [None if step[1] is None else float(step[1]) for step in steps],
        "line": {"width": 0.8, "color": colours.muted},
    }
    labels = quiet | {
        "name": "labels",
        "uid": f"LABELS {kind.name}",
        "mode": "text",
        "x": ends[:, 0].tolist(),
        "y": ends[:, 1].tolist(),
        "text": [formula_label(dot.formula) for dot, _ in named],
        "textposition": "middle center",
        "textfont": {"size": 11, "color": colours.text} | _halo(colours, False),
    }
    return [leaders, labels]


def _hover_texts(dots: Sequence[Dot], place: Any) -> dict[str, str]:
    """Return the hover text of each dot's key; one that is covered speaks for what covers it.

    Parameters
    ----------
    dots : sequence of Dot
        In drawing order: of several at one place the last one is seen.
    place : callable
        Maps dots to (N, D).
    """
    stacks: dict[tuple[float, ...], list[Dot]] = {}
    for dot, point in zip(dots, place(dots), strict=True):
        stacks.setdefault(tuple(np.round(point, 6)), []).append(dot)
    texts = {}
    for stack in stacks.values():
        others = len(stack) - 1
        more = f"<br>{others} more at this place" if others else ""
        texts |= {dot.key: stack[-1].hover + more for dot in stack}
    return texts


def selected_trace(
    picture: HullPicture, selected: str, colours: Palette, place: Any
) -> dict[str, Any]:
    """Return the ring around the selected point, an empty trace when there is none."""
    dot = picture.find(selected)
    points = place([dot] if dot else [])
    three_d = points.shape[1] == 3
    axes = dict(zip("xyz", points.T.tolist(), strict=False))
    return {
        "type": "scatter3d" if three_d else "scatter",
        "name": "selected",
        "uid": "SELECTED",
        "mode": "markers",
        "marker": ring(colours, three_d),
        "hoverinfo": "skip",
        "showlegend": False,
        **axes,
    }


def selected_arrow(
    picture: HullPicture, selected: str, colours: Palette, place: Any
) -> list[dict[str, Any]]:
    """Return, for three dimensions, an arrow to the selected point with its formula.

    Nearer points hide a ring there; this is drawn above all of them.
    """
    dot = picture.find(selected)
    if dot is None:
        return []
    return [
        {
            **dict(zip("xyz", place([dot])[0].tolist(), strict=True)),
            "text": f"<b>{formula_label(escape(dot.formula))}</b>",
            "font": {"size": 12, "color": colours.selected},
            "bgcolor": colours.surface,
            "opacity": 0.92,
            "arrowcolor": colours.selected,
            "arrowhead": 2,
            "arrowwidth": 2,
            "standoff": 6,
            "ax": 34,
            "ay": -44,
        }
    ]


def line_traces(
    picture: HullPicture, colours: Palette, place: Any, width: float
) -> list[dict[str, Any]]:
    """Return the tie lines of the known hull, and those that candidates have added to it."""
    points = place(list(picture.dots))
    known = _lines(points, picture.tie_lines, width)
    known |= {"uid": "HULL", "name": "known hull", "showlegend": False, "opacity": 0.55}
    known["line"]["color"] = colours.stable
    live = _lines(points, picture.live_lines, 1.4 * width)
    live |= {"uid": "LIVE", "name": "hull with candidates", "opacity": 0.9}
    live["line"] |= {"color": colours.found, "dash": "dot"}
    return [known, live | {"showlegend": bool(picture.live_lines)}]


def _lines(points: np.ndarray, pairs: Sequence[tuple[int, int]], width: float) -> dict[str, Any]:
    """Return lines between pairs of `points` (N, D) as one trace with gaps."""
    gap = [None] * points.shape[1]
    steps = [row for a, b in pairs for row in (points[a], points[b], gap)]
    axes = {
        axis: [None if row[k] is None else float(row[k]) for row in steps]
        for k, axis in enumerate("xyz"[: points.shape[1]])
    }
    return {
        "type": "scatter3d" if points.shape[1] == 3 else "scatter",
        "mode": "lines",
        "line": {"width": width},
        "hoverinfo": "skip",
        **axes,
    }
