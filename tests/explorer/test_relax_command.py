"""The relax command compares two engines on one file."""

import json
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk

from explorer.cli import main


def relaxed(file: Path, out: Path, *options: str) -> dict:
    """Run the command and return what it reports."""
    report = out.with_suffix(".json")
    arguments = ["relax", str(file), "-o", str(out), "--json", str(report), "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *options])
    assert ended.value.code == 0
    return json.loads(report.read_text(encoding="utf-8"))


def test_both_engines_report_the_same_things(tmp_path: Path) -> None:
    """Counts, steps and pace; and their energies agree within 1 meV/atom."""
    file = tmp_path / "in.extxyz"
    ase.io.write(file, [bulk("Si", a=5.2), bulk("NaCl", "rocksalt", a=5.4)], format="extxyz")
    energies = []
    for engine in ("batched", "ase"):
        out = tmp_path / f"{engine}.extxyz"
        report = relaxed(file, out, "--engine", engine)
        assert (report["n"], report["converged"], report["failed"]) == (2, 2, 0)
        assert report["engine"] == engine
        assert report["steps"] > 0
        assert report["seconds"] > 0
        pace = 60 * report["n"] / report["seconds"]
        assert report["structures_per_minute"] == pytest.approx(pace, rel=0.01)
        energies.append([a.get_potential_energy() / len(a) for a in ase.io.read(out, ":")])
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)


def test_an_unknown_engine_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what is expected."""
    with pytest.raises(SystemExit) as ended:
        main(["relax", "none.cif", "-o", str(tmp_path / "out.extxyz"), "--engine", "magic"])
    assert ended.value.code == 2
    assert "expected the engine batched or ase, got 'magic'" in capsys.readouterr().err
