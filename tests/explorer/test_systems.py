"""The benchmark of chemical systems: which are chosen, and how their crystals are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer.cli import main
from explorer.evaluate.systems import EXPLORED, WELL, choose_systems, known_compositions, pooled
from explorer.references import shipped_file


@pytest.fixture(scope="module")
def known() -> dict[str, int]:
    """How many compositions are known of each system."""
    return known_compositions(shipped_file("chgnet"))


def test_systems_are_of_the_size_and_class_that_was_asked(known):
    """Well explored ones have more phases than others; the last class has none at all."""
    usable = {symbol for system in known for symbol in system.split("-")} - {"O"}
    chosen = choose_systems(known, (3, 4), 4, seed=1, usable=usable)
    assert list(chosen) == [(size, name) for size in (3, 4) for name in EXPLORED]
    for (size, explored), systems in chosen.items():
        assert len(set(systems)) == 4
        for system in systems:
            symbols = system.split("-")
            assert len(symbols) == size and usable.issuperset(symbols)
            assert symbols == sorted(symbols)
            assert (system in known) == (explored != "not")
    for size in (3, 4):
        fewest = min(known[system] for system in chosen[size, "well"])
        assert fewest >= max(known[system] for system in chosen[size, "partly"])
        of_size = sorted(
            (n for s, n in known.items() if s.count("-") == size - 1 and "O" not in s.split("-")),
            reverse=True,
        )
        assert fewest >= of_size[WELL - 1]


def test_the_same_seed_chooses_the_same_systems(known):
    """Another seed chooses others."""
    usable = {symbol for system in known for symbol in system.split("-")}
    first, again, other = (choose_systems(known, (3,), 3, s, usable) for s in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("size", [1, 7, 12])
def test_sizes_of_which_too_little_is_known_are_refused(known, size):
    """The message says how many there would have to be."""
    usable = {symbol for system in known for symbol in system.split("-")}
    with pytest.raises(ValueError, match=f"at least {WELL + 3} systems are known, got {size}"):
        choose_systems(known, (size,), 3, 0, usable)


def test_pooled_shares_are_counts_over_all_crystals_of_a_class():
    """Systems of unlike numbers of crystals weigh by their crystals."""
    first = {
        "elements": 3,
        "explored": "not",
        "n": 4,
        "counts": {
            "unique": 4,
            "novel": 4,
            "stable": {"0": 1, "0.1": 2},
            "sun": {"0": 1, "0.1": 2},
        },
        "sun": {"0": 0.25, "0.1": 0.5},
    }
    counts = {"unique": 3, "novel": 6, "stable": {"0": 0, "0.1": 1}, "sun": {"0": 0, "0.1": 1}}
    second = first | {"n": 12, "counts": counts, "sun": {"0": 0.0, "0.1": 1 / 12}}
    told = pooled({"Al-Ca-Cu": first, "Al-Ca-Fe": second, "B-C": first | {"elements": 2}})
    assert list(told) == ["2", "3"]
    row = told["3"]["not"]
    assert (row["systems"], row["n"]) == (2, 16)
    assert row["sun"]["0.1"]["count"] == 3 and row["sun"]["0.1"]["share"] == 3 / 16
    assert row["unique"]["count"] == 7 and row["novel"]["count"] == 10
    assert row["sun_of_systems"] == [1 / 12, 0.5]


def hullscape(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_the_command_judges_every_crystal_of_every_system(tmp_path, capsys):
    """What is stable, unique and novel is never more than any of the three."""
    out = tmp_path / "told.json"
    asked = ["--sizes", "3", "--choose", "1", "-n", "2", "--fmax", "0.3", "--max-steps", "40"]
    assert hullscape("evaluate", "systems", *asked, "--workers", "1", "--json", out) == 0
    told = json.loads(out.read_text())
    assert [row["explored"] for row in told["systems"].values()] == list(EXPLORED)
    for row in told["systems"].values():
        assert row["n"] == 2
        assert (row["known"] > 0) == (row["explored"] != "not")
        counts = row["counts"]
        assert counts["sun"]["0.1"] <= min(
            counts["stable"]["0.1"], counts["unique"], counts["novel"]
        )
    assert told["potential"].startswith("chgnet") and told["asked"]["seed"] == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(EXPLORED)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--method", "file"], "expected a method of"),
        (["--sizes", "9"], "systems are known, got 9"),
        (["--choose", "31"], "expected at most 30 systems of a size and class, got 31"),
        (["--sizes", "three"], "expected whole numbers with commas"),
        (["--json", "/proc/nowhere/told.json"], "cannot write /proc/nowhere/told.json"),
    ],
)
def test_bad_requests_are_refused_before_any_work(asked, words, capsys):
    """One line says what was expected."""
    assert hullscape("evaluate", "systems", *asked) != 0
    told = capsys.readouterr().err.strip().splitlines()
    assert words in told[-1]
