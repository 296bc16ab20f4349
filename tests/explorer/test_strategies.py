"""Orders of relaxation: judged on the same outcomes, by what they find within a budget."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.evaluate.filtering import distinct_near_hull
from explorer.evaluate.strategies import (
    STRATEGIES,
    Tried,
    evaluate_strategies,
    found_within,
    ordered,
    shuffled_within,
)
from explorer.strategy_commands import stability_scores
from model.checkpoint import load_network


def tried(index: int, likelihood: float | None, energy: float | None, *targets: str) -> Tried:
    """A crystal with two scores; one that is a target lies near the hull as itself."""
    scores = {"likelihood": likelihood, "energy": energy}
    return Tried(index, scores, targets, targets[0] if targets else "")


POOL = [
    tried(0, -5.0, -0.9),
    tried(1, -9.0, -0.1, "gold"),
    tried(2, None, -0.2),
    tried(3, -1.0, None),
    tried(4, -2.0, -0.3, "gold"),
]


def test_orders_add_up_ranks_and_put_what_has_no_score_last() -> None:
    """The best of each score comes first; without scores the order of drawing stays."""
    places = {name: [one.index for one in ordered(POOL[::-1], name)] for name in STRATEGIES}
    assert places["drawn"] == [0, 1, 2, 3, 4]
    assert places["likelihood"] == [3, 4, 0, 1, 2]
    assert places["energy"] == [1, 2, 4, 0, 3]
    assert places["likelihood + energy"] == [1, 4, 3, 0, 2]
    assert Tried.from_dict(json.loads(json.dumps(POOL[1].to_dict()))) == POOL[1]


def test_a_find_counts_once() -> None:
    """Two crystals of one target are one find, whichever comes first."""
    assert found_within(ordered(POOL, "energy"), "targets").tolist() == [0, 1, 1, 1, 1, 1]
    assert found_within(ordered(POOL, "drawn"), "near_hull").tolist() == [0, 0, 1, 1, 1, 1]
    mean = shuffled_within(POOL, "targets")
    assert mean[0] == 0
    assert mean[-1] == 1
    assert mean[1] == pytest.approx(2 / 5, abs=0.12)


def test_gain_is_told_against_shuffled_orders_within_the_budget() -> None:
    """A system with fewer crystals than the budget spends fewer; a perfect order gains most."""
    told = evaluate_strategies({"A-B": POOL, "C-D": POOL[:2]}, budgets=[1, 3])
    one = told["budgets"]["1"]["targets"]
    assert one["energy"]["found"] == 2
    assert one["energy"]["relaxations"] == 2
    assert one["energy"]["per_100"] == 100
    assert one["energy"]["gain"] > 1.5
    assert one["drawn"]["found"] == 0
    assert told["budgets"]["3"]["targets"]["energy"]["relaxations"] == 5
    assert told["systems"]["C-D"] == {"relaxed": 2, "targets": 1, "near_hull": 1}
    assert told["limits"]["none"] == {"relaxations": 7, "targets": 2, "near_hull": 2}
    assert told["limits"]["0.1"] == {"relaxations": 3, "targets": 2, "near_hull": 2}  # one unknown
    assert told["limits"]["1"]["relaxations"] == 7
    with pytest.raises(ValueError, match="got none"):
        evaluate_strategies({"A-B": []}, budgets=[1])


def cube(a: float, *symbols: str) -> Structure:
    """A cubic cell with atoms at its corner and its middle."""
    return Structure(Lattice.cubic(a), symbols, [[0.0] * 3, [0.5] * 3][: len(symbols)])


def test_crystals_that_relax_into_one_are_one_find() -> None:
    """Only relaxed crystals near the hull count, under the name of the first of their kind."""

    def ended(name: str, structure: Structure, above: float, state: State) -> Candidate:
        return Candidate(name, 0, state=state, relaxed=structure, energy_above_hull=above)

    candidates = [
        ended("far", cube(3.0, "Al", "Cu"), 0.3, State.RELAXED),
        ended("first", cube(3.0, "Al", "Cu"), 0.05, State.RELAXED),
        ended("twin", cube(3.1, "Cu", "Al"), 0.05, State.RELAXED),
        ended("other", cube(3.6, "Cu"), -0.1, State.RELAXED),
        ended("failed", cube(3.6, "Al"), 0.0, State.FAILED),
    ]
    assert distinct_near_hull(candidates, 0.1) == {
        "first": "first",
        "twin": "first",
        "other": "other",
    }


def test_what_the_model_cannot_read_has_no_stability_score() -> None:
    """Atoms that touch are never encoded: no score, and no other is spoilt."""
    initial = [cube(3.0, "Al", "Cu"), cube(0.5, "Al", "Cu")]
    candidates = [Candidate(str(k), k, initial=one) for k, one in enumerate(initial)]
    scores = stability_scores(load_network(), candidates, workers=1)
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


def evaluate(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "strategies", *(str(argument) for argument in arguments)])
    return ended.value.code


def test_a_comparison_is_kept_and_gone_on_with(tmp_path: Path, capsys) -> None:
    """Every strategy spends the same relaxations; asked again, nothing is relaxed anew."""
    folder, told = tmp_path / "out", tmp_path / "told.json"
    ask = ["--elements", "Al-Cu", "-n", "4", "--budget", "2", "--max-steps", "2", "-o", folder]
    ask += ["--device", "cpu", "--workers", "1"]
    assert evaluate(*ask, "--json", told) == 0
    told = json.loads(told.read_text())
    spent = {rates["relaxations"] for rates in told["budgets"]["2"]["targets"].values()}
    assert spent == {min(2, told["systems"]["Al-Cu"]["relaxed"])}
    kept = json.loads((folder / "Al-Cu.json").read_text())
    assert all(np.isfinite(one["scores"]["energy"]) for one in kept)
    (folder / "Al-Cu.json").write_text(json.dumps([{**kept[0], "targets": ["planted"]}]))
    assert evaluate(*ask, "--json", tmp_path / "again.json") == 0
    assert json.loads((tmp_path / "again.json").read_text())["systems"]["Al-Cu"]["targets"] == 1
    assert evaluate(*ask, "--near-hull", "0.2") == 2
    assert evaluate("--elements", "Al-Cu", "--budget", "many", "-o", folder) == 2
    assert evaluate("-o", folder) == 2
    lines = capsys.readouterr().err.strip().splitlines()[-3:]
    for line, text in zip(
        lines, ("near_hull = 0.1", "such as 25,50", "one of the two"), strict=True
    ):
        assert text in line
