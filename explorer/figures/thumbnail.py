"""A campaign's hull the size of a stamp: SVG whose colours are the page's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.candidate import Candidate
from explorer.figures.hull import places
from explorer.figures.hull_picture import with_candidates
from explorer.figures.picture import ON_HULL, Dot, HullPicture, Kind

WIDTH, HEIGHT, RIM = 76.0, 52.0, 5.0
"""Pixels."""
LIMIT = 0.3
"""eV/atom above the hull; what lies higher is left out."""
LARGEST_PICTURE = 4
# A tetrahedron seen from the front, a little from the right and from above: (x, y, z) to (x, y).
SEEN = np.array([[0.93, 0.1], [0.36, -0.26], [0.0, 0.96]])
KINDS = {Kind.STABLE: "known", Kind.CANDIDATE: "drawn", Kind.FOUND: "found"}
RADII = {Kind.STABLE: 1.8, Kind.CANDIDATE: 2.1, Kind.FOUND: 3.2}


def hull_thumbnail(known: HullPicture, candidates: Sequence[Candidate]) -> str:
    """Return an SVG: tie lines, stable phases and candidates; classes give the colours.

    Systems of five elements and more, and those without a hull, show the candidates' distances
    from it, the lowest first.

    Parameters
    ----------
    known
        The known phases of the system; empty when it is not bounded.
    candidates
        Relaxed and placed.
    """
    drawable = 0 < len(known.elements) <= LARGEST_PICTURE and bool(known.corners)
    return _hull(known, candidates) if drawable else _strip(candidates)


def _hull(known: HullPicture, candidates: Sequence[Candidate]) -> str:
    picture = with_candidates(known, candidates)
    shown = [dot for dot in picture.visible(LIMIT) if dot.kind in KINDS]
    shown.sort(key=lambda dot: list(KINDS).index(dot.kind))
    ends = [(picture.dots[a], picture.dots[b]) for a, b in picture.tie_lines]
    everything = [*shown, *(dot for pair in ends for dot in pair)]
    points = _in_frame(_flat(known.elements, everything), keep_shape=len(known.elements) > 2)
    dots, lines = points[: len(shown)], points[len(shown) :].reshape(-1, 2, 2)
    drawn = [
        f"<line x1='{a[0]:.1f}' y1='{a[1]:.1f}' x2='{b[0]:.1f}' y2='{b[1]:.1f}'/>" for a, b in lines
    ]
    drawn += [_circle(dot.kind, *point) for dot, point in zip(shown, dots, strict=True)]
    return _svg(drawn)


def _flat(elements: Sequence[str], dots: Sequence[Dot]) -> np.ndarray:
    points = places(elements, dots)
    return points @ SEEN if points.shape[1] == 3 else points


def _strip(candidates: Sequence[Candidate]) -> str:
    energies = sorted(c.energy_above_hull for c in candidates if c.energy_above_hull is not None)
    energies = [energy for energy in energies if energy <= LIMIT]
    points = _in_frame(np.array([*enumerate(energies), (0, 0.0), (1, LIMIT)], float))
    base = points[-2][1] if len(points) else HEIGHT - RIM
    line = f"<line x1='{RIM}' y1='{base:.1f}' x2='{WIDTH - RIM}' y2='{base:.1f}'/>"
    kinds = [Kind.FOUND if energy <= ON_HULL else Kind.CANDIDATE for energy in energies]
    dots = [_circle(kind, *point) for kind, point in zip(kinds, points, strict=False)]
    return _svg([line, *dots])


def _in_frame(points: np.ndarray, keep_shape: bool = False) -> np.ndarray:
    """Fit points (N, 2), y upwards, into the picture, y downwards."""
    if not len(points):
        return points
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * RIM
    scale = room / np.where(span > 0, span, 1.0)
    if keep_shape:
        scale = np.full(2, scale.min())
    offset = (room - scale * span) / 2
    fitted = RIM + offset + (points - low) * scale
    return np.column_stack([fitted[:, 0], HEIGHT - fitted[:, 1]])


def _circle(kind: Kind, x: float, y: float) -> str:
    return f"<circle class='{KINDS[kind]}' cx='{x:.1f}' cy='{y:.1f}' r='{RADII[kind]}'/>"


def _svg(parts: Sequence[str]) -> str:
    size = f"viewBox='0 0 {WIDTH:g} {HEIGHT:g}' width='{WIDTH:g}' height='{HEIGHT:g}'"
    return f"<svg {size} aria-hidden='true'>{''.join(parts)}</svg>"
