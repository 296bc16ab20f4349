"""Known phases: of training crystals and published energies, without what is measured on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from explorer.prepare import phases
from model.crystal import Site, WyckoffCrystal
from model.phases import describe, load_phases
from model.shards import write_shards
from model.tokens import crystal_to_row

PUBLISHED = (
    ("CaO", -3.2),
    ("Ca2TiO4", -3.4),
    ("TiO2", -3.3),
    ("Ti2O4", -3.1),
    ("SrTiO3", -3.45),
    ("BaTiO3", -3.5),
    ("Ca", 0.0),
    ("CaTi", 0.2),
    ("TiN", float("nan")),
)


def perovskite(large: str) -> WyckoffCrystal:
    """The crystal of that element with titanium and oxygen."""
    sites = (Site("a", large), Site("b", "Ti"), Site("c", "O"))
    return WyckoffCrystal(221, sites, (4.0, 4.0, 4.0, 90.0, 90.0, 90.0))


def shard(path: Path, energies: dict[str, float], *, measured: bool = True) -> Path:
    """Perovskites and their formation energies."""
    rows = [crystal_to_row(perovskite(large), formula=True) for large in energies]
    known = list(energies.values()) if measured else None
    write_shards(path, rows, [0.02] * len(rows), formation_energy=known)
    return path


def test_only_what_is_lower_than_known_crystals_and_not_measured_on_is_added(
    tmp_path: Path,
) -> None:
    """A deeper published phase of a known composition counts, a twin of it does not."""
    energies, output = tmp_path / "energies.parquet", tmp_path / "phases.npz"
    formulas, values = zip(*PUBLISHED, strict=True)
    columns = {
        "id": [f"x-{k}" for k in range(len(formulas))],
        "formula": list(formulas),
        "chemsys": ["Ca-O"] * len(formulas),
        "formation_energy_per_atom": list(values),
    }
    pq.write_table(pa.table(columns), energies)
    train = shard(tmp_path / "train.npz", {"Ca": -3.5, "Sr": -3.4})
    held = shard(tmp_path / "val.npz", {"Ba": -3.5})
    phases(train, energies, held, output)
    known = load_phases(output)
    assert len(known) == 2
    assert known.formation_energies.tolist() == pytest.approx([-3.5, -3.4])
    expected = {
        ((8, 1), (20, 1)): -3.2,
        ((8, 4), (20, 2), (22, 1)): -3.4,
        ((8, 2), (22, 1)): -3.3,
        ((8, 3), (22, 1), (38, 1)): -3.45,
    }
    assert dict(known.others) == pytest.approx(expected)
    barium = known.competition(describe(perovskite("Ba")).composition)
    assert barium.energy == pytest.approx(-3.3 * 3 / 5)  # of rutile's composition and barium


def test_shards_without_formation_energies_are_refused(tmp_path: Path) -> None:
    """The error names the file."""
    bare = shard(tmp_path / "train.npz", {"Ca": 0.0}, measured=False)
    with pytest.raises(typer.BadParameter, match=r"formation energies in .*train\.npz"):
        phases(bare, tmp_path / "none.parquet", bare, tmp_path / "out.npz")
