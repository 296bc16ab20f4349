"""Where DFT is expected to place novel crystals: what is told of whom, and that it was learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_structure_files import crystals

from explorer.candidate import Candidate, State
from explorer.dft_hull import FILLED
from explorer.evaluate.experience import by_experience
from explorer.evaluate.hull import Labelled
from explorer.figures.words import record_label
from explorer.potentials import EnergyLevel, potential
from explorer.track_build import FOLDS, learn
from explorer.track_record import (
    ALIKE,
    DATA,
    DRAWN,
    EXCHANGED,
    EXPECTED,
    FILES,
    KINDS,
    Experience,
    expected_of,
    experiences,
    prospects,
    read_experience,
    track_record,
    write_experience,
)

LEVEL = potential("chgnet").level


def placed(
    distance: float | None,
    *,
    formula: str = "CaAlCu2",
    novel: bool = True,
    level: EnergyLevel = LEVEL,
    template: str = "",
) -> Candidate:
    """Return a relaxed candidate at a distance from the hull, eV/atom."""
    known = {"novel": novel, "energy_above_hull": distance, "level": level, "formula": formula}
    return Candidate("000000", 0, state=State.RELAXED, template=template, **known)


def told_and_true(count: int, seed: int, flattery: dict[str, float]) -> pd.DataFrame:
    """Return compounds that a potential places too low, by so much for each element's share."""
    rng = np.random.default_rng(seed)
    pairs = rng.permuted(np.tile(list(flattery), (count, 1)), axis=1)[:, :2]
    shares = rng.integers(1, 4, (count, 2))
    mean = [
        np.average([flattery[e] for e in p], weights=s) for p, s in zip(pairs, shares, strict=True)
    ]
    distance = rng.uniform(-0.1, 0.4, count)
    return pd.DataFrame(
        {
            "id": [f"{seed}-{k}" for k in range(count)],
            "formula": [f"{a}{m}{b}{n}" for (a, b), (m, n) in zip(pairs, shares, strict=True)],
            "chemsys": ["-".join(sorted(pair)) for pair in pairs],
            "predicted": distance,
            "dft": distance + mean + rng.normal(0, 0.02, count),
        }
    )


FLATTERY = {"Ca": 0.0, "Al": 0.05, "Cu": 0.3, "O": 0.1, "Fe": 0.2, "S": 0.15}


@pytest.fixture(scope="module")
def learned() -> Experience:
    """Return what follows from crystals whose flattery depends on their elements alone."""
    return learn(told_and_true(600, 0, FLATTERY), str(LEVEL), DRAWN, members=1)


def test_systems_that_nothing_was_learned_of_are_foretold(learned: Experience) -> None:
    """What lies above is learned by element; of each crystal by trees that lack its system."""
    before = np.abs(told_and_true(600, 0, FLATTERY).eval("dft - predicted")).mean()
    assert np.abs(learned.dft - learned.expected).mean() < before / 3
    assert (np.diff(learned.expected) >= 0).all()
    copper, calcium = (learned.record(f, 0.1).expected for f in ("AlCu3", "AlCa3"))
    assert copper == pytest.approx(0.1 + 0.2375, abs=0.05)
    assert calcium == pytest.approx(0.1 + 0.0125, abs=0.05)


def test_what_follows_from_nothing_is_not_learned() -> None:
    """Negative control: DFT that has nothing to do with the crystal is not foretold."""
    rows = told_and_true(400, 1, FLATTERY)
    rows["dft"] = np.random.default_rng(0).permutation(rows["dft"])
    chance = learn(rows, "", DRAWN, members=1)
    assert abs(np.corrcoef(chance.expected, chance.dft)[0, 1]) < 0.25


def test_few_systems_are_refused() -> None:
    """Nothing could be kept aside."""
    rows = told_and_true(50, 0, {"Ca": 0.0, "Al": 0.1})
    with pytest.raises(ValueError, match=f"expected crystals of {FOLDS} chemical systems"):
        learn(rows, "", DRAWN)


def test_a_file_tells_the_same_again(learned: Experience, tmp_path: Path) -> None:
    """Arrays alone, which nothing runs."""
    write_experience(tmp_path / "experience-x.npz", learned)
    again = read_experience(tmp_path / "experience-x.npz")
    assert (again.level, again.kind) == (learned.level, learned.kind)
    assert again.record("AlCu", 0.03) == learned.record("AlCu", 0.03)


def test_shares_are_those_of_the_crystals_of_which_as_much_was_expected(
    learned: Experience,
) -> None:
    """Counted by hand; below what was learned from the edge is told, above it nothing."""
    record = learned.record("AlFe", 0.1)
    nearest = learned.dft[np.argsort(np.abs(learned.expected - record.expected))[:ALIKE]]
    assert record.near == pytest.approx((nearest <= 0.1).mean(), abs=0.05)
    assert record.low <= record.expected <= record.high
    far = learned.record("AlFe", -9.0)
    assert far.expected == pytest.approx(np.quantile(learned.expected, 0.01))
    assert learned.record("AlFe", 9.0) is None
    assert learned.record("Al", 0.1) is None


def test_what_is_expected_is_compared_on_crystals_that_are_new(learned: Experience) -> None:
    """Crystals that were learned from do not count: on them anything looks foretold."""
    (salt, _) = crystals()
    items = [
        Labelled(name, salt.structure, distance, predicted=0.1)
        for name, distance in [(str(learned.names[0]), 0.3), ("new", 0.2), ("another", 0.4)]
    ]
    items.append(Labelled("far", salt.structure, 2.0, predicted=5.0))
    items.append(Labelled("lost", salt.structure, 0.1, reason="the crystal fell apart"))
    told = by_experience(items, learned)
    expected = learned.record("NaCl", 0.1).expected
    assert (told["n"], told["learned_from"], told["untold"]) == (2, 1, 1)
    assert told["bias"] == pytest.approx(expected - 0.3, abs=1e-4)
    assert by_experience(items[:1], learned)["mae"] is None


@pytest.fixture(params=sorted(DATA.glob(FILES)), ids=lambda path: path.stem)
def shipped(request: pytest.FixtureRequest) -> Experience:
    """Return what ships."""
    return read_experience(Path(request.param))


def test_what_ships_foretells_dft_better_than_the_potential_does(shipped: Experience) -> None:
    """Of crystals whose system the trees lacked: the limits are those of what was measured."""
    assert len(shipped.names) == len(set(shipped.names.tolist())) > 1_200
    assert np.abs(shipped.dft - shipped.expected).mean() < 0.095
    assert abs((shipped.dft - shipped.expected).mean()) < 0.03
    assert {(str(LEVEL), kind) for kind in KINDS} <= experiences().keys()


def test_four_of_five_lie_where_they_should(shipped: Experience) -> None:
    """The range beside an expected distance holds what it says."""
    records = [shipped.record("NaCl", d) for d in np.linspace(-0.2, 0.5, 15)]
    for record in records:
        assert record.low < record.expected < record.high
        inside = np.abs(shipped.expected - record.expected).argsort()[:ALIKE]
        held = (record.low <= shipped.dft[inside]) & (shipped.dft[inside] <= record.high)
        assert 0.7 < held.mean() < 0.9


def test_the_further_the_potential_says_the_further_dft_is_expected() -> None:
    """And the fewer are stable."""
    records = [track_record(placed(d), FILLED) for d in (-0.05, 0.05, 0.15, 0.3, 0.6)]
    means = [record.expected for record in records]
    assert means == sorted(means)
    assert records[0].stable > records[-1].stable == 0
    assert all(record.stable <= record.near for record in records)


def test_the_kind_of_a_crystal_decides_what_it_is_compared_with() -> None:
    """One with the geometry of a known crystal is such a one with its elements exchanged."""
    exchanged, drawn = (
        track_record(placed(-0.05, template=template), FILLED) for template in ("SrGaNi2", "")
    )
    assert (exchanged.kind, drawn.kind) == (EXCHANGED, DRAWN)
    assert exchanged.expected < drawn.expected
    assert exchanged.stable > drawn.stable
    for record in (exchanged, drawn):
        assert f"within 0.1 if it is like {KINDS[record.kind]}" in record_label(record)
    told = record_label(exchanged, drawn).replace("\N{NO-BREAK SPACE}", "")
    assert f", {drawn.stable:.0%} and {drawn.near:.0%} if it is like {KINDS[DRAWN]}" in told
    assert record_label(drawn, drawn) == record_label(drawn)
    assert track_record(placed(-0.05, template="SrGaNi2"), FILLED, DRAWN) == drawn
    # Rattled, it came back to the known geometry, or left it for another.
    for lowered, record in ((0.0, exchanged), (0.15, drawn)):
        moved = replace(placed(-0.05, template="SrGaNi2"), lowered_by_rattling=lowered)
        assert track_record(moved, FILLED) == record


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
    assert expected_of(candidate, hull) == dict.fromkeys(EXPECTED)


def test_prospects_count_novel_crystals_on_the_hull() -> None:
    """The expectation is the sum of the shares; it is not told where one has no record."""
    some = [placed(-0.02), placed(0.0), placed(0.01), placed(-0.5, novel=False), placed(None)]
    shares = [track_record(one, FILLED).stable for one in some[:2]]
    assert prospects(some, FILLED) == (2, pytest.approx(sum(shares)))
    assert prospects(some, "dft") == (2, None)
    careful = [placed(-0.02, template="SrGaNi2"), placed(0.0, template="NaCl")]
    assert prospects(careful, FILLED)[1] > prospects(careful, FILLED, DRAWN)[1]
    assert prospects(careful, FILLED, DRAWN)[1] == pytest.approx(sum(shares))
    assert prospects([], FILLED) == (0, 0)


def test_words_name_the_number_they_rest_on() -> None:
    """The distance, the range, the shares."""
    record = track_record(placed(0.0), FILLED)
    told = record_label(record).replace("\N{NO-BREAK SPACE}", "")
    assert f"{record.stable:.0%} stable and {record.near:.0%} within 0.1" in told
    assert f"about {record.expected:.3f} eV/atom by DFT, four of five from" in told
    assert set(expected_of(placed(0.0), FILLED).values()) == {record.expected, record.stable}
