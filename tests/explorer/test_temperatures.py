"""The sweep over sampling temperatures: rates with intervals, and a figure of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.cli import main
from explorer.evaluate.energies import evaluate_energies
from explorer.evaluate.intervals import with_interval
from explorer.evaluate.sun import Outcome
from explorer.evaluate.temperatures import RATES, evaluate_temperatures
from explorer.figures.temperatures import energy_figure, temperature_figure


def salt(a: float, second: float = 0.5) -> Structure:
    """Caesium chloride of edge a, its second atom anywhere on the diagonal."""
    return Structure(Lattice.cubic(a), ["Cs", "Cl"], [[0.0] * 3, [second] * 3])


def draw(temperature: float) -> list[Drawn]:
    """Half of the crystals repeat an earlier one when cold; half collide when hot."""
    odd = salt(4.2) if temperature < 1 else salt(4.2, 0.05)
    bromide = Structure(Lattice.cubic(4.3), ["Cs", "Br"], [[0.0] * 3, [0.5] * 3])
    structures = [salt(4.2), odd, bromide, odd]
    return [Drawn(index, given=structure) for index, structure in enumerate(structures)]


def test_cold_repeats_and_hot_collides() -> None:
    """Duplicates are told of what can be compared; what was not asked for is None."""
    told = evaluate_temperatures(draw, [0.5, 2.0], workers=1)["temperatures"]
    assert told["0.5"]["duplicates"]["count"] == 2
    assert told["0.5"]["no_collision_0.7"]["share"] == 1.0
    assert told["2"]["duplicates"]["count"] == 0
    assert told["2"]["no_collision_0.7"]["count"] == 2
    assert told["2"]["spacegroup_kept"] is None
    figure = temperature_figure({"temperatures": told, "words": RATES})
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn[RATES["duplicates"]] == [0.5, 0.0]
    assert RATES["spacegroup_kept"] not in drawn


def test_intervals_are_wilsons() -> None:
    """None of ten may still be up to 28 %."""
    assert with_interval(0.0, 10) == {"share": 0.0, "count": 0, "interval": [0.0, 0.2775]}
    assert with_interval(None, 10) is None


def ended(above: float | None) -> Outcome:
    """A crystal that was relaxed, or could not be."""
    reason = "" if above is not None else "not converged"
    return Outcome(salt(4.2), salt(4.2), above, reason, converged=above is not None)


def test_energies_are_told_of_all_that_was_drawn() -> None:
    """What could not be placed stays in the denominator, and the curve ends below 1."""
    outcomes = [ended(above) for above in (0.3, -0.01, None, 0.05)]
    energies = evaluate_energies({"temperature 1": outcomes, "random": [ended(None)]})
    told = energies["temperature 1"]
    assert (told["n"], told["placed"], told["converged"]) == (4, 3, 3)
    assert {limit: row["count"] for limit, row in told["within"].items()} == {"0": 1, "0.1": 2}
    assert told["within"]["0.1"]["share"] == 0.5
    assert told["quartiles"][1] == 0.05
    assert told["above_hull"] == [-0.01, 0.05, 0.3]
    assert told["reasons"] == {"not converged": 1}
    assert energies["random"]["quartiles"] is None
    curve, beside = energy_figure({"energies": energies}).data
    assert list(curve.y) == [0, 0.25, 0.5, 0.75, 0.75]
    assert list(curve.x) == sorted(curve.x)
    assert (max(beside.y), curve.line.dash) == (0, None)
    assert beside.line.dash
    with pytest.raises(ValueError, match="none of random"):
        evaluate_energies({"random": []})


def test_the_command_writes_a_figure_of_its_own(tmp_path: Path, capsys) -> None:
    """Real draws at two temperatures; the page needs no network."""
    plot, told = tmp_path / "t.html", tmp_path / "t.json"
    ask = ["evaluate", "temperatures", "--elements", "Al-Cu", "-n", "4", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*ask, "--temperatures", "0.8,1.2", "--plot", str(plot), "--json", str(told)])
    assert ended.value.code == 0
    rows = json.loads(told.read_text())["temperatures"]
    assert {name: row["n"] for name, row in rows.items()} == {"0.8": 4, "1.2": 4}
    assert "sampling temperature" in plot.read_text(encoding="utf-8")
    for options, text in (
        (["--temperatures", "1,1"], "different temperatures"),
        (["--temperatures", "hot"], "such as 0.7,1"),
        (["--relax", "1", "--beside", "chance"], "random-neutral or nothing, got 'chance'"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*ask, *options])
        assert ended.value.code == 2
        assert text in capsys.readouterr().err


def test_crystals_of_each_temperature_are_relaxed_beside_others(tmp_path: Path, capsys) -> None:
    """Where no elements are asked for, prototypes are filled with those that the network drew."""
    plot, told = tmp_path / "t.html", tmp_path / "t.json"
    ask = ["evaluate", "temperatures", "-n", "2", "--temperatures", "1", "--workers", "1"]
    ask += ["--relax", "1", "--beside", "substitution", "--max-steps", "2"]
    with pytest.raises(SystemExit) as ended:
        main([*ask, "--plot", str(plot), "--json", str(told)])
    assert ended.value.code == 0
    told = json.loads(told.read_text())
    assert {name: row["n"] for name, row in told["energies"].items()} == {
        "temperature 1": 1,
        "substitution": 1,
    }
    assert told["potential"].startswith("chgnet")
    assert plot.read_text(encoding="utf-8").count("Plotly.newPlot") == 2
    assert "substitution" in capsys.readouterr().out
