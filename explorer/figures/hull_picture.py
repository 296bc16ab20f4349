"""From a hull and the candidates of a campaign to the points that a figure shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from explorer.candidate import Candidate, State
from explorer.figures.picture import ON_HULL, Dot, HullPicture, Kind
from explorer.figures.words import fractions
from explorer.hull import Hull, LevelError
from explorer.phases import PREDICTED


def known_picture(hull: Hull) -> HullPicture:
    """Return the known phases of a hull and its tie lines, or why there is no hull."""
    missing = hull.missing_elements
    if missing:
        message = (
            f"There is no elemental reference phase for {', '.join(missing)}, so nothing can be "
            "placed on a hull. Import one with: hullscape references import"
        )
        return HullPicture(hull.references.elements, level=str(hull.level), message=message)
    points = hull.points()
    # A phase that is known by its energy alone has no space group.
    groups = {p.id: getattr(p, "spacegroup", None) for p in hull.references.phases}
    dots = [_known_dot(row, hull, groups) for row in points.to_dict("records")]
    return HullPicture(
        elements=tuple(hull.elements),
        dots=tuple(dots),
        tie_lines=tuple(sorted(_edges(hull, dots))),
        facets=_facets(hull, dots),
        corners=tuple(_corner(points, symbol) for symbol in hull.elements),
        level=str(hull.level),
    )


def _known_dot(row: dict, hull: Hull, groups: dict[str, int | None]) -> Dot:
    kind = Kind.STABLE if row["stable"] else Kind.UNSTABLE
    return Dot(
        id=row["id"],
        kind=Kind.PREDICTED if row["source"] == PREDICTED else kind,
        formula=row["formula"],
        spacegroup=groups.get(row["id"]),
        fractions=tuple(float(row[symbol]) for symbol in hull.elements),
        formation_energy=float(row["formation_energy"]),
        energy_above_hull=max(0.0, float(row["energy_above_hull"])),
        note=f"{row['id']} ({row['source']})",
    )


def _facets(hull: Hull, dots: Sequence[Dot]) -> tuple[tuple[int, ...], ...]:
    """Return the facets of the hull whose corners are all drawn, as places in `dots`."""
    place = {dot.id: index for index, dot in enumerate(dots)}
    drawn = (facet for facet in hull.facets() if all(corner in place for corner in facet))
    return tuple(tuple(place[corner] for corner in facet) for facet in drawn)


def _edges(hull: Hull, dots: Sequence[Dot]) -> set[tuple[int, int]]:
    """Return the edges of all facets, each once, as places in `dots`."""
    place = {dot.id: index for index, dot in enumerate(dots)}
    pairs = (pair for corners in hull.facets() for pair in combinations(corners, 2))
    ends = ((place.get(a), place.get(b)) for a, b in pairs)
    return {(min(a, b), max(a, b)) for a, b in ends if a is not None and b is not None}


def _corner(points: pd.DataFrame, symbol: str) -> float:
    """Return the lowest energy of a pure element, eV/atom."""
    pure = points[symbol] > 1 - 1e-9
    return float(points.loc[pure, "energy_per_atom"].min())


def with_candidates(known: HullPicture, candidates: Iterable[Candidate]) -> HullPicture:
    """Return the picture with the placed candidates added and the phases found again marked.

    Parameters
    ----------
    known : HullPicture
        From `known_picture`.
    candidates : iterable of Candidate
        Those that did not relax or have no finite distance above the hull are passed over.
    """
    candidates = list(candidates)
    again = Counter(c.matched for c in candidates if c.novel is False and c.matched)
    known_dots = [replace(dot, again=again.get(dot.id, 0)) for dot in known.dots]
    drawn = [_candidate_dot(c, known) for c in candidates if _has_place(c, known)]
    return replace(known, dots=(*known_dots, *drawn))


def with_live_hull(
    picture: HullPicture, hull: Hull, candidates: Iterable[Candidate]
) -> HullPicture:
    """Return the picture with the tie lines of the hull that candidates have lowered.

    Candidates below the known hull and above this one are no longer shown as on a hull: of many
    polymorphs below it one is.

    Parameters
    ----------
    picture : HullPicture
        From `with_candidates`, with the same candidates.
    hull : Hull
        Of the known phases.
    candidates : iterable of Candidate

    Returns
    -------
    HullPicture
        With a message and without those lines when the candidates' energies are of another level
        than the hull's: when another version of the potential relaxed them, say.
    """
    below = _lowering(picture, candidates)
    if not below:
        return picture
    try:
        lowered = hull.lowered_by(below)
    except LevelError as error:
        return replace(picture, message=str(error))
    live = _edges(lowered, picture.dots) - set(picture.tie_lines)
    found = [place for place, dot in enumerate(picture.dots) if dot.kind == Kind.FOUND]
    dots = list(picture.dots)
    for place, above in zip(found, _distances(picture, lowered, found), strict=True):
        if above > ON_HULL:
            dots[place] = replace(dots[place], kind=Kind.CANDIDATE)
    return replace(picture, dots=tuple(dots), live_lines=tuple(sorted(live)))


def _distances(picture: HullPicture, hull: Hull, places: Sequence[int]) -> Sequence[float]:
    """Return how far above a hull some points of a picture lie, eV/atom."""
    dots = [picture.dots[place] for place in places]
    fractions = np.reshape([dot.fractions for dot in dots], (-1, len(hull.elements)))
    return hull.formed_above(fractions, np.array([dot.formation_energy for dot in dots]))


def _lowering(picture: HullPicture, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates below the hull of the known phases."""
    return [c for c in candidates if _has_place(c, picture) and c.energy_above_hull < -ON_HULL]


def before_campaign(picture: HullPicture) -> HullPicture:
    """Return the picture without what the campaign drew."""
    known = tuple(replace(dot, again=0) for dot in picture.dots if not dot.is_candidate)
    return replace(picture, dots=known, live_lines=())  # known phases come first: places hold


def after_campaign(
    picture: HullPicture, hull: Hull, candidates: Iterable[Candidate]
) -> HullPicture:
    """Return the picture with every distance measured from the hull that candidates share.

    Parameters
    ----------
    picture : HullPicture
        From `with_candidates`, with the same candidates.
    hull : Hull
        Of the known phases.
    candidates : iterable of Candidate

    Returns
    -------
    HullPicture
        As it was, with a message, when the candidates' energies are of another level.
    """
    below = _lowering(picture, candidates)
    try:
        lowered = hull.lowered_by(below)
    except LevelError as error:
        return replace(picture, message=str(error))
    above = _distances(picture, lowered, range(len(picture.dots)))
    dots = [_moved(dot, float(up)) for dot, up in zip(picture.dots, above, strict=True)]
    lines = tuple(sorted(_edges(lowered, dots)))
    facets = _facets(lowered, dots)
    return replace(picture, dots=tuple(dots), tie_lines=lines, facets=facets, live_lines=())


def _moved(dot: Dot, above: float) -> Dot:
    """Return a point at another distance from the hull; what it is follows from that."""
    on_hull = above <= ON_HULL
    kind = Kind.STABLE if on_hull else Kind.UNSTABLE
    if dot.kind == Kind.PREDICTED:
        kind = dot.kind
    elif dot.is_candidate:
        kind = Kind.FOUND if on_hull else Kind.CANDIDATE
    return replace(dot, kind=kind, energy_above_hull=max(0.0, above))


def _has_place(candidate: Candidate, known: HullPicture) -> bool:
    energies = (candidate.energy_above_hull, candidate.energy_per_atom)
    finite = all(energy is not None and math.isfinite(energy) for energy in energies)
    # a campaign of any elements has no hull of its own: each candidate's distance is all there is
    drawable = bool(known.corners) or not known.elements
    return finite and candidate.state == State.RELAXED and drawable


def _candidate_dot(candidate: Candidate, known: HullPicture) -> Dot:
    shares = fractions(candidate.formula, known.elements)
    pure = sum(share * energy for share, energy in zip(shares, known.corners, strict=True))
    formed = candidate.energy_per_atom - pure
    if max(shares, default=0) > 1 - 1e-9:  # an element's own crystals may have a zero of their own
        formed = candidate.energy_above_hull
    on_hull = candidate.energy_above_hull <= ON_HULL
    return Dot(
        id=candidate.id,
        kind=Kind.FOUND if on_hull else Kind.CANDIDATE,
        formula=candidate.formula,
        spacegroup=candidate.spacegroup_relaxed or candidate.spacegroup_generated,
        fractions=shares,
        formation_energy=formed,
        energy_above_hull=candidate.energy_above_hull,
        note=f"competes with {candidate.decomposition}" if candidate.decomposition else "",
    )
