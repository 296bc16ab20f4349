"""The `hullscape` command: small real runs, and one clear line for every kind of bad input."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ase.io
import click
import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from pymatgen.core import Structure

from explorer import cli
from explorer.campaign import CampaignSpec, SpecError
from explorer.cli import main
from explorer.headless import COLUMNS, DATABASE, claim
from explorer.lease import Leases
from explorer.outputs import as_json
from explorer.store import Store
from explorer.text_table import as_table
from model.crystal import WyckoffCrystal

SMALL = ["--elements", "Al-Cu", "--require", "Al", "--max-atoms", "4", "--seed", "5"]
SMALL += ["--device", "cpu"]
QUICK = ["--max-steps", "60", "--fmax", "0.2", "--relax-known"]
AL = """Al
1.0
0.0 2.1 2.1
2.1 0.0 2.1
2.1 2.1 0.0
Al
1
direct
0 0 0
"""


def hullscape(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def rows(folder: Path) -> list[dict[str, str]]:
    """Read candidates.csv."""
    with (folder / "candidates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict:
    """Read summary.json."""
    return json.loads((folder / "summary.json").read_text())


BAD_INPUT = [
    (["sample", "--elements", "Al", "-n", "3", "-o", "x.cif"], ".cif holds one"),
    (["sample", "--elements", "Al-Xx", "-o", "out.parquet"], "Xx"),
    (["sample", "--elements", "Al-Og", "-o", "out.parquet"], "does not know Og"),
    (["run", "--elements", "Al-Po", "-o", "out"], "Po"),
    (["sample", "--elements", "Al-Cu", "--formula", "CaCu2", "-o", "out.parquet"], "Ca"),
    (["sample", "--elements", "Al-Cu", "--spacegroup", "231", "-o", "out.parquet"], "231"),
    (["sample", "--elements", "Al-Cu", "--spacegroup", "many", "-o", "out.parquet"], "many"),
    (["sample", "--elements", "Al-Cu", "--site", "225:4q=Al", "-o", "out.parquet"], "225"),
    (["sample", "--spacegroup", "1", "--site", "1:1a=none", "-o", "out.parquet"], "is forbidden"),
    (["sample", "--formula", "AlCu3-1", "-o", "out.parquet"], "smaller count of a range first"),
    (["sample", "--elements", "Al-Cu", "--require", "Ca", "-o", "out.parquet"], "Ca has to appear"),
    (["run", "--exclude", "Al", "--require", "Al", "-o", "out"], "Al has to appear"),
    (["sample", "--elements", "Al-Cu", "-n", "0", "-o", "out.parquet"], "n: "),
    (["run", "--elements", "Al-Cu", "-n", "-3", "-o", "out"], "-3"),
    (["sample", "--elements", "Al-Cu", "-n", "1", "-o", "out.docx"], ".docx"),
    (["sample", "--elements", "Al-Cu", "-n", "1", "-o", "file/out.parquet"], "cannot write"),
    (["run", "--elements", "Al-Cu", "-n", "1", "-o", "file/out"], "cannot write"),
    (["run", "--elements", "Al-Cu", "-n", "1", "--potential", "nonsense", "-o", "out"], "nonsense"),
    (["run", "--elements", "Al-Cu", "-n", "1", "--device", "abacus", "-o", "out"], "abacus"),
    (["run", "--elements", "Al-Cu", "--targets", "file", "-o", "out"], "targets: "),
    (["run", "--elements", "Al-Cu", "--targets", "nowhere.cif", "-o", "out"], "nowhere.cif"),
    (["sample", "--elements", "AlCaCu", "-o", "out.parquet"], "did you mean Al-Ca-Cu?"),
    (["sample", "--elements", "Al-D", "-o", "out.parquet"], "write H"),
    (["sample", "--elements", "-", "-o", "out.parquet"], "such as Al-Ca-Cu, got '-'"),
    (["sample", "--elements", "Al-Cu", "-n", "1e6", "-o", "out.parquet"], "got '1e6'"),
    (["sample", "--elements", "Al-Cu", "-o", "."], "it holds file"),
    (["sample", "--elements", "Al-Cu", "-n", "1", "-o", "/dev/null"], "tells no format"),
    (["sample", "--elements", "Al-Cu", "-o", "a.json", "--json", "./a.json"], "for both"),
    (["run", "--elements", "Al-Cu", "-n", "1", "--device", "mps", "-o", "out"], "cpu or auto"),
    (["run", "--resume", "-o", "out"], "no run in out to go on with"),
    (["export", "nowhere", "--max-above-hull", "nan", "-o", "out.zip"], "got nan"),
    (["list", "--store", "nowhere.db"], "there is no database"),
    (["train", "file", "--shards", ".", "-o", "out", "--json", "file/x"], "cannot write file/x"),
    (["relax", "nowhere.cif", "-o", "nowhere.cif"], "for both"),
    (["relax", "nowhere.cif", "-o", "out.extxyz"], "nowhere.cif"),
    (["relax", "file", "-o", "out.extxyz"], "file"),
    (["relax"], "Missing"),
    (["explode"], "explode"),
    (
        ["sample", "--formula", "AlCu3", "--max-atoms", "3", "-n", "1", "-o", "out.parquet"],
        "atoms",
    ),
]


@pytest.mark.parametrize(("arguments", "text"), BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(arguments, text, tmp_path, monkeypatch, capsys):
    """Nothing is written, and the line names what is wrong."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no structure")
    assert hullscape(*arguments) == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("hullscape: ")
    assert text in complaint
    assert "\n" not in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_database_is_no_run_to_go_on_with(tmp_path, capsys):
    """A run that was killed as it began says nothing of what was searched for."""
    (tmp_path / DATABASE).touch()
    assert hullscape("run", "--resume", "-o", tmp_path) == 2
    assert "no run in" in capsys.readouterr().err


def test_a_folder_of_somebody_is_left_alone(tmp_path, capsys):
    """A run begins in no folder that holds other results."""
    (tmp_path / "cifs").mkdir()
    (tmp_path / "cifs" / "mine.cif").write_text("mine")
    assert hullscape("run", "--elements", "Al-Cu", "-n", "1", "-o", tmp_path) == 2
    assert "holds cifs but no run" in capsys.readouterr().err
    assert (tmp_path / "cifs" / "mine.cif").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["cifs"]


def test_targets_of_another_system_are_refused_before_work(tmp_path, capsys):
    """Nothing of what was given could ever be drawn; the line names the system."""
    (tmp_path / "al.vasp").write_text(AL)
    options = ["--targets", tmp_path / "al.vasp", "-n", "1", "-o", tmp_path / "out"]
    assert hullscape("run", "--elements", "Ca-Cu", *options) == 2
    assert "Ca-Cu" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_libraries_are_silent_here_and_in_the_processes_started_from_here():
    """Python's warnings, and those that spglib's C code writes to stderr itself."""
    code = (
        "import os, explorer.cli\n"
        "try: explorer.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert os.environ['SPGLIB_WARNING'] == 'OFF' and os.environ['PYTHONWARNINGS'] == 'ignore'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Walk through every subcommand."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}".strip(), command


def test_every_subcommand_takes_what_a_script_gives_to_all():
    """A seed, a device and a place for the result; worker had only the second."""
    asked = {"--seed", "--device", "--json", "--debug"}
    for name, command in leaves(typer.main.get_command(cli.app)):
        options = {option for parameter in command.params for option in parameter.opts}
        assert asked <= options, name


def test_a_worker_tells_what_it_worked_on(tmp_path, capsys):
    """When it leaves, as JSON too; one whose slot is taken says how to go on."""
    store = Store(tmp_path / "campaigns.db")
    asked = {"elements": "Al-Cu", "n": 1, "generator": "file", "samples": "nowhere.cif"}
    campaign = store.create(CampaignSpec.parse(**asked))
    options = ["--store", tmp_path / "campaigns.db", "--idle", "0", "--seed", "1"]
    assert hullscape("worker", *options, "--json", tmp_path / "w.json") == 0
    told = json.loads((tmp_path / "w.json").read_text())["worked_on"]
    assert [(one["id"], one["state"]) for one in told] == [(campaign, "failed")]
    assert "nowhere.cif" in told[0]["message"]
    Leases(store.engine, f"elsewhere/1/{'0' * 8}").take_slot("gpu-0")
    capsys.readouterr()
    assert hullscape("worker", *options, "--slot", "gpu-0") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("hullscape: another worker has the")
    store.close()


def test_help_needs_none_of_the_heavy_packages():
    """Asking for help takes a moment, not the seconds that torch takes."""
    code = (
        "import sys, explorer.cli\n"
        "try: explorer.cli.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pymatgen', 'chgnet', 'sqlalchemy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_sample_gives_the_same_crystals_for_the_same_seed(tmp_path, capsys):
    """The file holds one row for each crystal, with its likelihood and Wyckoff form."""
    for name in ("a.parquet", "b.parquet"):
        assert hullscape("sample", *SMALL, "-n", "6", "-o", tmp_path / name) == 0
    first, second = (pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert first.equals(second)
    assert first.num_rows == 6
    assert {"log_likelihood", "spacegroup_asked", "wyckoff", "frac_coords"} <= set(
        first.schema.names
    )
    capsys.readouterr()


def test_sample_takes_ranges_and_crystal_systems(tmp_path, capsys):
    """Every crystal lies in the range, in one of the groups and off two sites; the report tells."""
    out, report = tmp_path / "out.parquet", tmp_path / "report.json"
    asked = ["--formula", "Al1-2Cu1-3, Cu5Al3", "--spacegroup", "cubic,139", "--max-atoms", "16"]
    asked += ["--site", "221:1a=none", "--site", "139:2b=none"]
    assert hullscape("sample", *asked, "-n", "12", "-o", out, "--json", report) == 0
    for text in pq.read_table(out)["wyckoff"].to_pylist():
        crystal = WyckoffCrystal.from_dict(json.loads(text))
        counts = crystal.composition
        assert counts["Al"] / counts["Cu"] in {1, 2, 1 / 2, 2 / 3, 1 / 3, 3 / 5}
        letters = {site.letter for site in crystal.sites}
        assert crystal.spacegroup >= 195 or (crystal.spacegroup == 139 and "b" not in letters)
        assert crystal.spacegroup != 221 or "a" not in letters
    told = json.loads(report.read_text())["constraints"]
    assert told["formula"] == "Al1-2Cu1-3, Al3Cu5"
    assert told["sites"] == ["139:2b=none", "221:1a=none"]
    capsys.readouterr()


def test_generation_is_judged_under_the_same_constraints(capsys):
    """The shared options reach the evaluation: required and excluded elements, sizes."""
    asked = ["--require", "Li", "--exclude", "O-F", "--max-atoms", "6", "--spacegroup", "225"]
    assert (
        hullscape("evaluate", "generation", *asked, "-n", "4", "--workers", "1", "--json", "-") == 0
    )
    told = json.loads(capsys.readouterr().out)
    constraints = told["asked"]["constraints"]
    assert (constraints["required"], constraints["excluded"]) == (["Li"], ["O", "F"])
    assert told["n"] == 4


def test_relax_writes_energies_forces_and_stress(tmp_path, capsys):
    """A squeezed aluminium relaxes; the file can be read by ASE; the report is JSON."""
    (tmp_path / "POSCAR").write_text(AL)
    report = tmp_path / "report.json"
    out = tmp_path / "out.extxyz"
    assert hullscape("relax", tmp_path / "POSCAR", "-o", out, "--json", report) == 0
    atoms = ase.io.read(out)
    assert atoms.get_stress(voigt=False).shape == (3, 3)
    assert abs(atoms.get_forces()).max() < 0.05
    assert json.loads(report.read_text())["converged"] == 1
    capsys.readouterr()


def test_run_accounts_for_every_crystal_and_goes_on_after_kill_9(tmp_path, capsys):
    """Killed in the middle, resumed, refused a second time: one row for each crystal drawn.

    The targets are in the folder, so that their file may be gone by then.
    """
    folder, targets = tmp_path / "out", tmp_path / "al.vasp"
    targets.write_text(AL)
    command = ["run", *SMALL, *QUICK, "--targets", str(targets), "-n", "6", "-o", str(folder)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "explorer", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_crystals(folder)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    targets.unlink()
    assert not (folder / "candidates.csv").exists()
    assert hullscape(*command) == 2
    assert "--resume" in capsys.readouterr().err
    assert hullscape("run", "-o", folder, "--resume", "--device", "cpu") == 0
    check_results(folder, 6)
    assert all("Al" in row["formula"] for row in rows(folder))
    told = summary(folder)
    assert (told["n_targets"], told["targets"]) == (1, "target structure of al.vasp")
    assert told["targets_found"] + told["targets_missed"] == ["al"]
    assert told["found"] == len(told["targets_found"])
    assert hullscape(*command[:-3], "9", "-o", folder, "--resume") == 2
    assert "n = 6" in capsys.readouterr().err


def wait_for_crystals(folder: Path) -> None:
    """Wait until the run in a folder has committed crystals."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if (folder / DATABASE).exists():
            store = Store(folder / DATABASE)
            known = store.campaigns()
            store.close()
            if known and known[0].counts["drawn"]:
                return
        time.sleep(0.1)
    raise AssertionError("no crystal was drawn")


def check_results(folder: Path, n: int) -> None:
    """Check that the table, the summary and the CIFs tell one story."""
    table, told = rows(folder), summary(folder)
    assert list(table[0]) == list(COLUMNS)
    assert [row["id"] for row in table] == [f"{index:06d}" for index in range(n)]
    assert told["drawn"] == n == len(table)
    assert 0 <= told["novel_on_hull_distinct"] <= told["novel_on_hull"]
    assert told["relaxation"]["rattle"] == 0.1
    placed = [row for row in table if row["state"] == "relaxed"]
    tried = [row["lowered_by_rattling"] for row in placed]
    assert "" not in tried  # each was rattled, and came to rest again
    assert all(row["formation_energy"] for row in placed)
    assert not any(row["destabilises"] for row in placed if float(row["energy_above_hull"]) > 0)
    assert told["lowered_by_rattling"] == sum(float(lowered) > 0 for lowered in tried)
    for state in ("rejected", "duplicate", "known", "waiting", "relaxed", "failed"):
        assert told[state] == sum(row["state"] == state for row in table)
    assert told["waiting"] == 0
    assert all(row["reason"] for row in table if row["state"] in {"rejected", "failed"})
    assert told["seconds_total"] >= told["seconds_relaxing"] > 0
    assert told["checkpoint"] and "chgnet" in told["potential"] and told["reference_set"]
    energies = [float(row["energy_above_hull"]) for row in table if row["energy_above_hull"]]
    assert told["lowest_energy_above_hull"] == pytest.approx(min(energies), abs=1e-5)
    cifs = sorted((folder / "cifs").glob("*.cif"))
    assert len(cifs) == told["relaxed"] > 0
    assert Structure.from_file(cifs[0]).is_ordered


def test_json_has_no_numbers_that_json_does_not_know():
    """A program in another language reads it; arrays and their numbers are plain."""
    told = {"mae": float("nan"), 1: [np.float64("inf"), np.arange(2)], "n": np.int64(3)}
    assert json.loads(as_json(told)) == {"mae": None, "1": [None, [0, 1]], "n": 3}


def stopped(command: list[str], number: int) -> tuple[int, str, str]:
    """Send a signal to a command that works; returns its exit code and what it printed."""
    # A shell lets what it runs in the background ignore Ctrl-C, and all that is started from there.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    running = subprocess.Popen(
        [sys.executable, "-c", f"{heard}; from explorer.cli import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.stderr.readline()  # its first word
    running.send_signal(number)
    out, told = running.communicate(timeout=120)
    return running.returncode, out, told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_says_so_and_leaves_nothing(number, code, tmp_path):
    """Of the file that it would have written there is no part."""
    output = tmp_path / "out.parquet"
    command = ["sample", "--elements", "Al-Ca-Cu", "-n", "1000000", "-o", str(output)]
    ended, out, told = stopped(command, number)
    assert ended == code
    assert told.splitlines()[-1] in {"hullscape: terminated", "hullscape: interrupted"}
    assert not out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_writes_what_it_has_and_ends_as_every_command(number, code, tmp_path):
    """Terminated it ended as if somebody had pressed Ctrl-C."""
    command = ["run", *SMALL, "--subset", "-n", "500", "--workers", "1", "-o", str(tmp_path / "r")]
    ended, _, told = stopped(command, number)
    assert ended == code
    assert "stopped before the end: --resume goes on" in told
    assert 0 < len(rows(tmp_path / "r")) < 500
    assert summary(tmp_path / "r")["state"] == "queued"


def test_of_two_runs_that_begin_together_one_gives_way(tmp_path):
    """Both looked into the folder before either had made its database."""
    (tmp_path / DATABASE).touch()
    with pytest.raises(SpecError, match="another process began a run"):
        claim(tmp_path)


def test_a_table_says_how_much_it_leaves_out():
    """Hundreds of names would hide the rest; a dozen are told, and JSON has all."""
    names = {f"mp-{k}": "another crystal" for k in range(935)}
    shown = as_table({"written": 22315, "unrelaxed": names, "few": {"a": 1}}).splitlines()
    assert "mp-0 another crystal" in shown[1] and "mp-5 another" in shown[1]
    assert shown[1].endswith("and 929 more (all with --json)")
    assert shown[2].endswith("a 1")
    assert len(json.loads(as_json({"unrelaxed": names}))["unrelaxed"]) == 935


def test_tables_within_a_result_are_shown_as_tables():
    """Rows of the same columns stand below their name; what a mapping counts stays on its line."""
    bins = [{"from": None, "to": -0.1, "n": 0}, {"from": -0.1, "to": 0.0, "n": 12}]
    confusion = {"0": {"right": 3, "wrong": 1}, "0.1": {"right": 10, "wrong": 2}}
    told = {"mae": 0.12, "calibration": bins, "confusion": confusion, "auc": {"0": 0.8, "0.1": 0.9}}
    assert as_table(told).splitlines() == [
        "mae          0.12",
        "calibration",
        "  from  to    n",
        "  -     -0.1  0",
        "  -0.1  0.0   12",
        "confusion",
        "       right  wrong",
        "  0    3      1",
        "  0.1  10     2",
        "auc          0 0.8, 0.1 0.9",
    ]
    deep = {
        "n": 2,
        "by_kind": {"a": {"n": 1, "auc": {"0": 0.8}}, "b": {"n": 1, "auc": {"0": None}}},
    }
    assert as_table(deep).splitlines() == [
        "n        2",
        "by_kind",
        "  a",
        "    n    1",
        "    auc  0 0.8",
        "  b",
        "    n    1",
        "    auc  0 -",
    ]
