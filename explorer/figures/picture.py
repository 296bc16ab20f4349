"""What a hull figure shows, free of any drawing library: phases, candidates and tie lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from explorer.figures.words import energy_label, escape, formula_label, spacegroup_label

# A candidate this near (eV/atom) counts as lying on the hull: numerical noise, not physics.
ON_HULL = 1e-4

HEIGHT = float(np.sqrt(3) / 2)
TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, HEIGHT]])
"""Corners of the Gibbs triangle, (3, 2)."""


class Kind(StrEnum):
    """What a point is; each has a shape and a colour of its own."""

    STABLE = "known stable"
    UNSTABLE = "known unstable"
    PREDICTED = "predicted, not published"
    CANDIDATE = "candidate"
    FOUND = "candidate on hull"


@dataclass(frozen=True)
class Dot:
    """One point of the figure.

    Attributes
    ----------
    id
        Of the candidate or of the known phase.
    kind
        See `Kind`.
    formula
        Reduced.
    spacegroup
        Number, None when unknown.
    fractions
        Atomic fractions in the order of `HullPicture.elements`, sum 1.
    formation_energy
        eV/atom relative to the pure elements at the same energy level.
    energy_above_hull
        eV/atom; negative below the hull of the known phases.
    note
        A last line for the hover text: decomposition, or where a known phase comes from.
    again
        How often the campaign drew this known phase.
    """

    id: str
    kind: Kind
    formula: str
    spacegroup: int | None
    fractions: tuple[float, ...]
    formation_energy: float
    energy_above_hull: float
    note: str = ""
    again: int = 0

    @property
    def is_candidate(self) -> bool:
        """Whether the campaign drew it."""
        return self.kind in {Kind.CANDIDATE, Kind.FOUND}

    @property
    def key(self) -> str:
        """What a click on the point carries: "candidate:ID" or "phase:ID"."""
        return f"{'candidate' if self.is_candidate else 'phase'}:{self.id}"

    @property
    def hover(self) -> str:
        """Formula, space group, distance and decomposition, escaped for HTML."""
        lines = (
            f"<b>{formula_label(escape(self.formula))}</b>  {self.kind.value}",
            escape(spacegroup_label(self.spacegroup)),
            f"{energy_label(self.energy_above_hull)} above the hull",
            escape(self.note),
            f"found again {self.again}×" if self.again else "",
        )
        return "<br>".join(line for line in lines if line)


@dataclass(frozen=True)
class HullPicture:
    """All points of a chemical system.

    Attributes
    ----------
    elements
        Symbols in alphabetical order, length K; empty when the system is not bounded.
    dots
        Known phases and candidates.
    tie_lines
        Pairs of places in `dots`: the edges of the hull's facets.
    live_lines
        The same for the hull that the candidates share with the known phases; only what is new.
    facets
        Places in `dots` of the corners of each facet of the hull that `tie_lines` are the edges of.
    corners
        Energies of the pure elements that formation energies refer to, eV/atom, length K.
    level
        Which energies these are, in words.
    message
        Why there is no hull; "" when there is one.
    """

    elements: tuple[str, ...]
    dots: tuple[Dot, ...] = ()
    tie_lines: tuple[tuple[int, int], ...] = ()
    live_lines: tuple[tuple[int, int], ...] = ()
    facets: tuple[tuple[int, ...], ...] = ()
    corners: tuple[float, ...] = ()
    level: str = ""
    message: str = ""

    def visible(self, threshold: float | None) -> list[Dot]:
        """Return the points within `threshold` (eV/atom) of the hull; the stable ones always."""
        if threshold is None:
            return list(self.dots)
        return [d for d in self.dots if d.kind == Kind.STABLE or d.energy_above_hull <= threshold]

    def of_kind(self, kind: Kind, threshold: float | None = None) -> list[Dot]:
        """Return one kind's visible points, highest first so that the lowest is drawn on top."""
        chosen = [dot for dot in self.visible(threshold) if dot.kind == kind]
        return sorted(chosen, key=lambda dot: -dot.energy_above_hull)

    def named(self) -> set[str]:
        """Return the keys of the points that deserve a label: compounds on the known or live hull.

        Of several points with one formula only the lowest is named, so that labels stay apart.
        """
        corners = {end for line in (*self.tie_lines, *self.live_lines) for end in line}
        lowest: dict[str, Dot] = {}
        for place, dot in enumerate(self.dots):
            pure = max(dot.fractions, default=1.0) > 0.999  # the figure's corners name elements
            if pure or not (dot.kind == Kind.STABLE or place in corners):
                continue
            other = lowest.get(dot.formula)
            if other is None or dot.energy_above_hull < other.energy_above_hull:
                lowest[dot.formula] = dot
        return {dot.key for dot in lowest.values()}

    def find(self, key: str) -> Dot | None:
        """Return the point with a key such as "candidate:ID"."""
        return next((dot for dot in self.dots if dot.key == key), None)


def barycentric(fractions: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Place compositions (N, K) in a simplex with corners (K, D): (N, D)."""
    return np.reshape(fractions, (-1, len(corners))) @ corners
