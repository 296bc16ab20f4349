"""The sweep over sampling temperatures: rates with intervals, and a figure of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.cli import main
from explorer.evaluate.temperatures import RATES, evaluate_temperatures, with_interval
from explorer.figures.temperatures import temperature_figure


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
    for values, text in (("1,1", "different temperatures"), ("hot", "such as 0.7,1")):
        with pytest.raises(SystemExit) as ended:
            main([*ask, "--temperatures", values])
        assert ended.value.code == 2
        assert text in capsys.readouterr().err
