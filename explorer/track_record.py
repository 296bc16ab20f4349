"""What DFT said of novel crystals that a potential had placed at some distance from the hull.

A distance from the hull of a potential flatters a novel crystal, and by how much was measured: for
published crystals of other generators whose DFT distance is known (`hullscape evaluate hull`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from explorer.candidate import Candidate
from explorer.dft_hull import FILLED

DATA = Path(__file__).parent / "data"
REPORTS = "measured-hull-*.json"
"""What ``hullscape evaluate hull --relax`` wrote, one file for each potential."""


@dataclass(frozen=True)
class Record:
    """Crystals that a potential placed in one range of distances, and what DFT says of them."""

    low: float | None
    high: float | None
    """The range, eV/atom, without its low end; None for an open end."""
    count: int
    mean: float
    spread: float
    """Mean and standard deviation of their distances from the DFT hull, eV/atom."""
    stable: float
    near: float
    """Shares of them that DFT finds up to 0 and up to 0.1 eV/atom."""

    def holds(self, distance: float) -> bool:
        """Whether a distance (eV/atom) is in the range."""
        above = self.low is None or distance > self.low
        return above and (self.high is None or distance <= self.high)


def track_record(candidate: Candidate, hull: str) -> Record | None:
    """Return what became of novel crystals that were placed where a candidate is.

    None for one that is not novel or not placed, on hulls other than ``filled``, and for potentials
    and weights that nobody measured.

    Parameters
    ----------
    hull
        Which hull its campaign asked for, as in `explorer.campaign.CampaignSpec`.
    """
    distance = candidate.energy_above_hull
    if distance is None or not candidate.novel or hull != FILLED:
        return None
    records = _records().get(str(candidate.level), ())
    return next((record for record in records if record.holds(distance)), None)


def prospects(candidates: Iterable[Candidate], hull: str) -> tuple[int, float | None]:
    """How many novel candidates lie on the hull or below, and how many DFT would find stable.

    The second is the sum of the shares in their track records; None where one of them has none.
    """
    chosen = [c for c in candidates if c.novel and c.energy_above_hull is not None]
    records = [track_record(c, hull) for c in chosen if c.energy_above_hull <= 0]
    unknown = not all(records)
    return len(records), None if unknown else sum(record.stable for record in records)


@cache
def _records() -> dict[str, tuple[Record, ...]]:
    """Records by energy level; bins that nothing fell into are left out."""
    reports = (json.loads(file.read_text(encoding="utf-8")) for file in DATA.glob(REPORTS))
    return {
        report["potential"]: tuple(
            Record(
                low=row["from"],
                high=row["to"],
                count=row["n"],
                mean=row["dft"],
                spread=row["spread"],
                stable=row["stable"],
                near=row["near"],
            )
            for row in report["calibration"]
            if row["n"]
        )
        for report in reports
    }
