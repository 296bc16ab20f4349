"""The retrieval experiment: every generator, the same targets, once each, whatever interrupts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from explorer.campaign import SpecError
from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.crystals import NamedStructure, write_structures
from explorer.evaluate.experiment import Trial, band, curve_rows, report
from explorer.evaluate.trials import TrialFolder, first_found
from explorer.figures.experiment import first_finders

TRIALS = [
    Trial("fast", 0, 10, {"a": 2, "b": 5}),
    Trial("fast", 1, 10, {"a": 4}),
    Trial("slow", 0, 8, {"a": 8}),
]
TARGETS = {"a": "NaCl", "b": "KCl", "c": "LiF"}


def cube(a: float, *symbols: str) -> Structure:
    """A cubic cell with atoms at its corner and its middle."""
    return Structure(Lattice.cubic(a), symbols, [[0.0] * 3, [0.5] * 3])


def test_a_band_spans_the_seeds() -> None:
    """The mean of the step curves, and the lowest and highest of them, at every corner."""
    curve = band(TRIALS[:2])
    assert curve.x.tolist() == [0, 2, 4, 5, 10]
    assert curve.mean.tolist() == [0, 0.5, 1, 1.5, 1.5]
    assert curve.lowest.tolist() == [0, 0, 1, 1, 1]
    assert curve.highest.tolist() == [0, 1, 1, 2, 2]


def test_the_report_tells_who_found_what_and_what_nobody_found() -> None:
    """Shares are of all targets; the n-th phase is told for the seeds that got so far."""
    told = report(TRIALS, TARGETS)
    assert told["methods"]["fast"]["found"]["10"] == {
        "mean": 1.5,
        "lowest": 1,
        "highest": 2,
        "share": 0.5,
    }
    assert told["methods"]["fast"]["nth"] == {
        "1": {"median": 3, "seeds": 2},
        "2": {"median": 5, "seeds": 1},
    }
    assert told["finders"]["a NaCl"] == {"fast": 2, "slow": 1}
    assert told["nobody"] == ["c LiF"]
    assert first_finders(TRIALS) == {"a": "fast", "b": "fast"}
    assert {row["axis"] for row in curve_rows(TRIALS)} == {"crystals"}


def test_a_campaign_tells_after_how_many_relaxations_a_target_was_found() -> None:
    """Verdicts come in the order of relaxation; a twin that was not relaxed spends nothing."""
    verdicts = [
        Candidate("3", 3, state=State.DUPLICATE, targets=("a",)),
        Candidate("2", 2, state=State.FAILED),
        Candidate("1", 1, state=State.RELAXED, targets=("a",)),
        Candidate("0", 0, state=State.RELAXED, targets=("b",)),
    ]
    assert first_found(verdicts) == ({"a": 2, "b": 1}, {"a": 2, "b": 3}, 3)


def test_a_trial_is_made_once_and_a_folder_holds_one_question(tmp_path: Path) -> None:
    """What is there is read; another question is refused with what differs."""
    folder = TrialFolder(tmp_path, {"n": 10, "targets": ["a"]})
    assert folder.once("fast", 0, lambda: TRIALS[0]) == TRIALS[0]
    again = TrialFolder(tmp_path, {"n": 10, "targets": ["a"]})
    assert again.once("fast", 0, lambda: TRIALS[2]) == TRIALS[0]
    with pytest.raises(SpecError, match="made with n = 10, got 20"):
        TrialFolder(tmp_path, {"n": 20, "targets": ["a"]})


def evaluate(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "experiment", *(str(argument) for argument in arguments)])
    return ended.value.code


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    """Two targets: one that samples hold, one with atoms where nobody puts them."""
    path = tmp_path / "targets.extxyz"
    odd = Structure(Lattice.cubic(5), ["Al", "Cu", "Cu"], [[0, 0, 0], [0.3, 0.1, 0.6], [0.7] * 3])
    write_structures(
        path, [NamedStructure("bcc", cube(3.0, "Al", "Cu")), NamedStructure("odd", odd)]
    )
    return path


def test_generators_look_for_the_same_targets(tmp_path: Path, targets: Path, capsys) -> None:
    """Tables, a page of its own and the JSON tell one story; a second run draws nothing."""
    samples, folder, told = tmp_path / "own.extxyz", tmp_path / "out", tmp_path / "told.json"
    other = Structure(Lattice.cubic(4), ["Al", "Cu"], [[0] * 3, [0.5, 0, 0]])
    write_structures(
        samples,
        [NamedStructure("x", other), NamedStructure("y", cube(3.1, "Cu", "Al"))],
    )
    ask = ["--elements", "Al-Cu", "--targets", targets, "-n", "30", "--seeds", "1", "-o", folder]
    ask += ["--methods", "substitution,file", "--samples", samples, "--workers", "1"]
    assert evaluate(*ask, "--json", told) == 0
    told = json.loads(told.read_text())
    assert told["methods"]["file"]["drawn"] == [2]
    assert told["methods"]["file"]["nth"]["1"] == {"median": 2, "seeds": 1}
    assert told["nobody"] == ["odd AlCu2"]
    with (folder / "found.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "file"]
    assert [row["crystals"] for row in rows] == ["2", ""]
    page = (folder / "experiment.html").read_text(encoding="utf-8")
    assert "odd AlCu2" in page
    assert 'src="http' not in page
    kept = folder / "trials" / "substitution-0.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"crystals": {"odd": 7}}))
    assert evaluate(*ask, "--json", tmp_path / "again.json") == 0
    assert json.loads((tmp_path / "again.json").read_text())["nobody"] == []
    assert evaluate(*ask, "--subset") == 2
    assert "made with subset = False, got True" in capsys.readouterr().err


def test_trials_with_relaxation_are_campaigns(tmp_path: Path, targets: Path) -> None:
    """A sample near a target becomes it by relaxing; crystals and relaxations are both counted."""
    samples, folder, told = tmp_path / "own.extxyz", tmp_path / "out", tmp_path / "told.json"
    write_structures(samples, [NamedStructure("y", cube(3.1, "Cu", "Al"))])
    ask = ["--elements", "Al-Cu", "--targets", targets, "--relax", "--max-steps", "3", "-n", "5"]
    ask += ["--methods", "file", "--samples", samples, "--seeds", "1", "--workers", "1"]
    assert evaluate(*ask, "-o", folder, "--device", "cpu", "--json", told) == 0
    told = json.loads(told.read_text())["methods"]["file"]
    assert (told["relaxations"], told["drawn"]) == ([1], [1])
    assert told["found_by_relaxations"]["1"]["mean"] == 1
    assert (folder / "campaigns" / "file-0" / "campaign.db").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--methods", "alchemy"], "alchemy"),
        (["--methods", "file"], "expected the file of the samples"),
        (["--seeds", "0"], "at least one seed"),
        (["--elements", ""], "expected a chemical system"),
        (["--targets", "nowhere.cif"], "nowhere.cif"),
        (["--targets", "file", "--structures", "file"], "no summary of WBM"),
    ],
)
def test_bad_questions_are_one_line(arguments, text, tmp_path, monkeypatch, capsys) -> None:
    """Said before any crystal is drawn."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("nothing")
    assert evaluate(*arguments, "-o", "out") == 2
    complaint = capsys.readouterr().err.strip().splitlines()
    assert text in complaint[-1]
