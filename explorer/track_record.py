"""Where DFT would place a novel crystal that a potential has placed at some distance from the hull.

A distance from the hull of a potential flatters a novel crystal, and by how much depends on its
elements and on where the crystal comes from. That was learned from crystals whose DFT distance is
known (`explorer.track_build`), by kind: such as were made by exchanging elements in known crystals,
and such as generators drew. Trees tell the middle of what is to be expected, and what DFT says of
crystals of which trees that knew nothing of their chemical system expected as much tells the rest.

Letters in shapes: N crystals that were learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from explorer.candidate import Candidate
from explorer.dft_hull import FILLED
from model.boosted import Trees, measure_composition
from model.elements import elements

DATA = Path(__file__).parent / "data"
FILES = "experience-*.npz"
"""What was learned, one file for each potential and kind."""
EXCHANGED, DRAWN = "exchanged", "drawn"
KINDS = {
    EXCHANGED: "known crystals with other elements",
    DRAWN: "crystals that generators drew",
}
"""Kinds of novel crystals, and what they are called."""
ALIKE = 100
"""Crystals of which the most alike was expected: what DFT says of them is quoted."""
NEAR = 0.1
"""eV/atom: near the hull."""
TAILS = (0.1, 0.9)
"""Quantiles between which DFT found four of five of them."""
EDGES = (0.01, 0.99)
"""Quantiles of what was expected of them: lower than the first is told as that, of what is further
than the second nothing is told."""

EXPECTED = ("expected_by_dft", "expected_stable_by_dft")
"""Columns of tables: `Record.expected` (eV/atom) and `Record.stable` (a share)."""


@dataclass(frozen=True)
class Record:
    """What DFT is expected to say of a novel crystal.

    Attributes
    ----------
    expected
        Its distance from the DFT hull, eV/atom: as likely to be more as to be less.
    kind
        Of the crystals that this was learned from, one of `KINDS`.
    low, high
        Between these distances from the DFT hull, eV/atom, lie four of five of the `ALIKE`
        crystals of which as much was expected.
    stable, near
        Shares of them that DFT finds up to 0 and up to 0.1 eV/atom.
    """

    expected: float
    kind: str
    low: float
    high: float
    stable: float
    near: float


@dataclass(frozen=True)
class Experience:
    """What was learned of the distances that one potential tells of one kind of crystals.

    Attributes
    ----------
    level : str
        Potential, hash of its weights and correction, as a campaign names them.
    kind : str
        One of `KINDS`.
    trees
        Tell by how much DFT lies above the potential, eV/atom.
    expected, dft : ndarray, shape (N,)
        What was expected of each crystal by trees that had seen nothing of its chemical system,
        in rising order, and what DFT says of it; eV/atom.
    names : ndarray, shape (N,)
        Of the crystals, in their file.
    """

    level: str
    kind: str
    trees: Trees
    expected: np.ndarray
    dft: np.ndarray
    names: np.ndarray

    def record(self, formula: str, distance: float) -> Record | None:
        """Return what DFT is expected to say of a crystal that the potential has placed.

        None where nothing was learned: far above the hull, and for crystals of one element.

        Parameters
        ----------
        distance
            From the filled hull by the potential, once it has relaxed the crystal, eV/atom.
        """
        above = float(self.trees.total(measured(formula, distance)[None])[0])
        lowest, furthest = np.quantile(self.expected, EDGES)
        expected = max(distance + above, float(lowest))
        if expected > furthest or len(Composition(formula)) == 1:
            return None
        place = int(np.searchsorted(self.expected, expected))
        begin = min(max(place - ALIKE // 2, 0), max(len(self.expected) - ALIKE, 0))
        found = self.dft[begin : begin + ALIKE]
        low, high = (float(q) for q in np.quantile(found, TAILS))
        stable, near = (float((found <= limit).mean()) for limit in (0.0, NEAR))
        return Record(expected, self.kind, low, high, stable, near)


def measured(formula: str, distance: float) -> np.ndarray:
    """Return the numbers that the trees read: the distance, shares of elements, their properties.

    Returns
    -------
    ndarray, shape (I,)
        float32; NaN where the periodic table knows nothing.
    """
    shares = Composition(formula).fractional_composition
    z = np.array([element.Z for element in shares])
    share = np.array([shares[element] for element in shares])
    every = np.zeros(len(elements().symbol))
    every[z - 1] = share
    return np.concatenate([[distance], every, measure_composition(z, share)]).astype(np.float32)


def track_record(candidate: Candidate, hull: str, kind: str = "") -> Record | None:
    """Return what DFT is expected to say of a candidate.

    A candidate that was drawn with the geometry of a known crystal is one with elements exchanged,
    unless it left that geometry when it was rattled.
    None for one that is not novel or not placed, on hulls other than ``filled``, for potentials
    and weights that nobody measured, and where `Experience.record` tells nothing.

    Parameters
    ----------
    hull
        Which hull its campaign asked for, as in `explorer.campaign.CampaignSpec`.
    kind
        One of `KINDS`, whatever the candidate is.
    """
    distance = candidate.energy_above_hull
    if distance is None or not candidate.novel or hull != FILLED:
        return None
    own = EXCHANGED if candidate.template and not candidate.lowered_by_rattling else DRAWN
    return _record(str(candidate.level), kind or own, candidate.formula, distance)


def expected_of(candidate: Candidate, hull: str) -> dict[str, float | None]:
    """Return what tables tell of `track_record`, by the names in `EXPECTED`; None where nothing."""
    record = track_record(candidate, hull)
    told = (None, None) if record is None else (record.expected, record.stable)
    return dict(zip(EXPECTED, told, strict=True))


def prospects(
    candidates: Iterable[Candidate], hull: str, kind: str = ""
) -> tuple[int, float | None]:
    """How many novel candidates lie on the hull or below, and how many DFT would find stable.

    The second is the sum of the shares in their track records; None where one of them has none.
    With a `kind` they all count as such crystals.
    """
    chosen = [c for c in candidates if c.novel and c.energy_above_hull is not None]
    records = [track_record(c, hull, kind) for c in chosen if c.energy_above_hull <= 0]
    unknown = not all(records)
    return len(records), None if unknown else sum(record.stable for record in records)


@lru_cache(maxsize=65_536)
def _record(level: str, kind: str, formula: str, distance: float) -> Record | None:
    learned = experiences().get((level, kind))
    return None if learned is None else learned.record(formula, distance)


@cache
def experiences() -> Mapping[tuple[str, str], Experience]:
    """What was learned, by energy level and kind."""
    return {(one.level, one.kind): one for one in map(read_experience, sorted(DATA.glob(FILES)))}


def read_experience(file: Path) -> Experience:
    """Read what `write_experience` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        own = (stored["expected"], stored["dft"], stored["names"])
        return Experience(str(stored["level"]), str(stored["kind"]), Trees.of(stored), *own)


def write_experience(file: Path, learned: Experience) -> None:
    """Write arrays alone, no code."""
    own = {name: value for name, value in vars(learned).items() if name != "trees"}
    np.savez_compressed(file, **own, **vars(learned.trees))
