"""Known phases found again: budgets, duplicates, levels, several systems, any generator."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import emt

from explorer.baselines import Drawn
from explorer.cli import main
from explorer.crystals import NamedStructure, write_structures
from explorer.evaluate.retrieval import evaluate_retrieval
from explorer.relax import Relaxer
from model.crystal import Site, WyckoffCrystal


def rock_salt(cation: str, anion: str, a: float = 5.6) -> WyckoffCrystal:
    """Group 225."""
    sites = (Site("a", cation), Site("b", anion))
    return WyckoffCrystal(225, sites, (a, a, a, 90.0, 90.0, 90.0))


def layers(height: float) -> WyckoffCrystal:
    """NaCl in group 129, which two planes make."""
    sites = (Site("c", "Na", (0.1,)), Site("c", "Cl", (height,)))
    return WyckoffCrystal(129, sites, (4.0, 4.0, 6.0, 90.0, 90.0, 90.0))


def write_targets(path: Path) -> None:
    """Rock salt NaCl and KF near the hull, NaCl of CsCl's type far from it."""
    named = [
        NamedStructure("salt", Drawn(0, rock_salt("Na", "Cl")).structure),
        NamedStructure("layers", Drawn(0, layers(0.65)).structure),
        NamedStructure("far", Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0] * 3, [0.5] * 3])),
        NamedStructure("fluoride", Drawn(0, rock_salt("K", "F")).structure),
    ]
    write_structures(path, named)
    energies = [0.0, 0.01, 0.2, 0.0]
    pd.read_parquet(path).assign(e_above_hull=energies).to_parquet(path)


CRYSTALS = {
    "Cl-Na": [
        rock_salt("Na", "F"),
        None,
        layers(0.2),
        rock_salt("Cl", "Na", 6.0),
        rock_salt("Na", "Cl"),
    ],
    "F-K": [rock_salt("K", "K")],
}


def draw(system: str) -> list[Drawn]:
    """Crystals of a system, one of them undecodable."""
    crystals = CRYSTALS[system]
    return [Drawn(k, c, reason="" if c else "no end") for k, c in enumerate(crystals)]


def test_each_target_counts_once_at_the_crystal_that_found_it(tmp_path: Path) -> None:
    """The fourth crystal is salt in another description and size; far phases are no targets."""
    write_targets(tmp_path / "targets.parquet")
    told = evaluate_retrieval(
        tmp_path / "targets.parquet", draw, n=100, skeletons=True, workers=1, progress=str
    )
    assert told["n_targets"] == 3
    assert told["pooled"] == {"100": pytest.approx(1 / 3, abs=1e-4)}
    chloride = told["systems"]["Cl-Na"]
    assert chloride["first"] == {"salt": 4}
    assert (chloride["targets"], chloride["drawn"]) == (2, 5)
    assert chloride["levels"]["formula"] == {"salt": 3, "layers": 3}
    assert chloride["levels"]["formula_spacegroup"] == {"salt": 4, "layers": 3}
    assert chloride["levels"]["skeleton"] == {"salt": 4, "layers": 3}
    assert told["systems"]["F-K"]["first"] == {}
    assert told["skeletons"]["skeleton"] == {"100": pytest.approx(2 / 3, abs=1e-4)}
    low, high = told["interval"]
    assert 0 <= low <= 1 / 3 <= high <= 1


def test_budgets_count_draws_not_matches(tmp_path: Path) -> None:
    """What is drawn after the budget finds nothing."""
    write_targets(tmp_path / "targets.parquet")
    (tmp_path / "systems.json").write_text(json.dumps({"ternary_systems": ["Na-Cl", "O-Fe"]}))
    told = [
        evaluate_retrieval(
            tmp_path / "targets.parquet",
            draw,
            systems=tmp_path / "systems.json",
            n=n,
            workers=1,
            progress=str,
        )
        for n in (3, 4)
    ]
    assert [t["pooled"] for t in told] == [{"3": 0.0}, {"4": 0.5}]
    assert [t["systems"]["Cl-Na"]["drawn"] for t in told] == [3, 4]
    assert told[0]["systems_without_targets"] == ["Fe-O"]


def test_what_matches_once_relaxed_counts_where_it_was_drawn(tmp_path: Path) -> None:
    """Copper and aluminium drawn far too tall: relaxed, they are the cube that was looked for."""
    file = tmp_path / "targets.json"
    cube = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.7), ["Al", "Cu"], [[0, 0, 0], [0, 0.5, 0.5]]
    )
    lost = Structure(Lattice.cubic(3), ["Al", "Cu"], [[0] * 3, [0.5] * 3])
    file.write_text(json.dumps([{"id": "cube", "structure": cube.as_dict()}]))
    near = cube.copy()
    near.apply_strain([0.0, 0.0, 0.4])
    near.translate_sites([1], [0.13, 0.0, 0.09])
    drawn = [Drawn(0, given=lost), Drawn(1, reason="no end"), Drawn(2, given=near)]
    with Relaxer(emt(), workers=1) as relaxer:
        told = evaluate_retrieval(
            file, lambda _: drawn, n=9, relaxer=relaxer, workers=1, progress=str
        )
    assert told["pooled"] == {"9": 0.0}
    relaxed = told["relaxed"]
    assert (relaxed["pooled"], relaxed["first"]) == ({"9": 1.0}, {"Al-Cu": {"cube": 3}})
    assert relaxed["relaxations"] == 1  # the other one has another formula


def test_targets_of_one_name_are_two_and_none_is_lost_in_silence(tmp_path: Path) -> None:
    """Both count when they are found; what cannot be a target is told with the reason."""
    crystals = [Drawn(0, rock_salt("Na", "Cl")).structure, Drawn(0, layers(0.65)).structure]
    crystals.append(Structure(Lattice.cubic(4), [{"Na": 0.5, "Cl": 0.5}], [[0] * 3]))
    named = [{"id": "same", "structure": one.as_dict()} for one in crystals]
    (tmp_path / "targets.json").write_text(json.dumps(named))
    drawn = [Drawn(k, given=one) for k, one in enumerate(crystals)]
    told = evaluate_retrieval(
        tmp_path / "targets.json", lambda _: drawn, n=9, workers=1, progress=str
    )
    assert told["systems"]["Cl-Na"]["first"] == {"same": 1, "same#2": 2}
    assert (told["n_targets"], told["pooled"]) == (2, {"9": 1.0})
    reason = "partially occupied sites: only ordered crystals are accepted"
    assert told["targets_left_out"] == {reason: 1}


def test_no_target_is_an_error_in_words(tmp_path: Path) -> None:
    """Systems that the file does not hold are named as such."""
    write_targets(tmp_path / "targets.parquet")
    (tmp_path / "systems.json").write_text('["Fe-O"]')
    with pytest.raises(ValueError, match="nothing to find"):
        evaluate_retrieval(
            tmp_path / "targets.parquet", draw, systems=tmp_path / "systems.json", progress=str
        )
    (tmp_path / "systems.json").write_text("{}")
    with pytest.raises(ValueError, match="expected a JSON list"):
        evaluate_retrieval(
            tmp_path / "targets.parquet", draw, systems=tmp_path / "systems.json", progress=str
        )


def test_every_crystal_of_a_file_is_accounted_for(tmp_path: Path) -> None:
    """Those of systems without targets, beyond the budget, disordered or unreadable are counted."""
    write_targets(tmp_path / "targets.parquet")
    salt = Drawn(0, rock_salt("Na", "Cl")).structure
    mixed = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0] * 3])
    crystals = [salt, salt, salt, Drawn(0, rock_salt("Fe", "O")).structure, mixed]
    listed = [one.as_dict() for one in crystals] + [{"no": "structure"}]
    (tmp_path / "mine.json").write_text(json.dumps(listed))
    report = tmp_path / "report.json"
    command = ["evaluate", "retrieval", "--targets", tmp_path / "targets.parquet", "-n", "2"]
    command += ["--candidates", tmp_path / "mine.json", "--json", report, "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([str(part) for part in command])
    assert ended.value.code == 0
    told = json.loads(report.read_text())["candidates"]
    (reason,) = told.pop("unreadable")
    assert "expected 'lattice' and 'sites'" in reason
    assert told == {
        "read": 6,
        "looked_at": 2,
        "of_other_systems_or_beyond_n": 2,
        "disordered": 1,
    }
    command = ["evaluate", "generation", "--candidates", tmp_path / "mine.json", "--json", report]
    with pytest.raises(SystemExit):
        main([str(part) for part in [*command, "--workers", "1"]])
    told = json.loads(report.read_text())
    assert (told["n"], told["not_decodable"]) == (6, {reason: 1})
