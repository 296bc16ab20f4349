"""What DFT made of crystals that a potential had placed: the record, and when it is told."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from explorer.candidate import Candidate, State
from explorer.dft_hull import FILLED
from explorer.figures.words import record_label
from explorer.potentials import EnergyLevel, potential
from explorer.track_record import DATA, REPORTS, prospects, track_record

LEVEL = potential("chgnet").level


def placed(distance: float | None, *, novel: bool = True, level: EnergyLevel = LEVEL) -> Candidate:
    """Return a relaxed candidate at a distance from the hull, eV/atom."""
    return Candidate(
        "000000", 0, state=State.RELAXED, novel=novel, energy_above_hull=distance, level=level
    )


@pytest.fixture(params=sorted(DATA.glob(REPORTS)), ids=lambda path: path.stem)
def report(request: pytest.FixtureRequest) -> dict:
    """Return a shipped report."""
    return json.loads(Path(request.param).read_text(encoding="utf-8"))


def test_every_distance_has_one_record(report: dict) -> None:
    """Ranges touch, are open at both ends, and hold all crystals that were placed."""
    rows = [row for row in report["calibration"] if row["n"]]
    assert rows[0]["from"] is None
    assert rows[-1]["to"] is None
    assert all(one["to"] == two["from"] for one, two in itertools.pairwise(rows))
    assert sum(row["n"] for row in rows) == report["n_placed"]


def test_records_are_those_of_relaxed_crystals_on_the_usual_hull(report: dict) -> None:
    """What candidates are: relaxed, novel crystals at signed distances from the filled hull."""
    assert report["geometry"] == "relaxed"
    asked = report["asked"]
    assert (asked["hull"], asked["label"]) == (FILLED, "decomposition_energy")


def test_the_default_potential_has_a_record() -> None:
    """The further a novel crystal is told to be, the further DFT says, and the fewer are stable."""
    records = [track_record(placed(d), FILLED) for d in (-0.05, 0.0, 0.03, 0.15, 0.3, 9.0)]
    assert records[0] == records[1]  # an end belongs to the range below it
    means = [record.mean for record in records[1:]]
    assert means == sorted(means)
    assert records[1].stable > records[-1].stable == 0
    assert all(record.stable <= record.near for record in records)


@pytest.mark.parametrize(
    ("candidate", "hull"),
    [
        (placed(None), FILLED),
        (placed(0.0, novel=False), FILLED),
        (placed(0.0), "potential"),
        (placed(0.0, level=EnergyLevel("chgnet 0.3.0", "0123456789ab", "MP2020")), FILLED),
    ],
    ids=["not placed", "known", "other hull", "other weights"],
)
def test_nothing_is_told_of_what_was_not_measured(candidate: Candidate, hull: str) -> None:
    """Another hull, other weights, known crystals and failures have no record, and no words."""
    assert track_record(candidate, hull) is None
    assert record_label(track_record(candidate, hull)) == ""


def test_prospects_count_novel_crystals_on_the_hull() -> None:
    """The expectation is the sum of the shares; it is not told where one has no record."""
    some = [placed(-0.02), placed(0.0), placed(0.01), placed(-0.5, novel=False), placed(None)]
    share = track_record(some[0], FILLED).stable
    assert prospects(some, FILLED) == (2, pytest.approx(2 * share))
    assert prospects(some, "dft") == (2, None)
    assert prospects([], FILLED) == (0, 0)


def test_words_name_the_number_they_rest_on() -> None:
    """How many, the range, the shares, mean and spread; open ends in words."""
    record = track_record(placed(0.0), FILLED)
    told = record_label(record).replace("\N{NO-BREAK SPACE}", "")
    assert f"of {record.count} novel crystals placed from −0.1 to 0 eV/atom" in told
    assert f"{record.stable:.0%} stable and {record.near:.0%} within 0.1" in told
    assert f"at {record.mean:+.3f} eV/atom (±{record.spread:.3f})" in told
    assert "placed below −0.1 eV/atom" in record_label(track_record(placed(-0.3), FILLED))
    assert "placed above 0.4 eV/atom" in record_label(track_record(placed(0.5), FILLED))
