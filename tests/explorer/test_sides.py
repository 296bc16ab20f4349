"""Predicted compounds of pairs of elements, which fill the gaps of the published hull."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from toy_potentials import ShiftedPotential

from explorer.cli import main
from explorer.dft_hull import SIDES_FILE, HullModeError, competing_phases, dft_references
from explorer.hull import Hull
from explorer.phases import PREDICTED, read_chemical_systems, read_level, read_system
from explorer.potentials import EnergyLevel, potential
from explorer.references import ReferencePhases
from explorer.sides import GAP, build_sides, polar

SALT = ("F", "P", "Rb")


def hull_of(elements: tuple[str, ...], mode: str) -> Hull:
    """Return the hull that candidates of a system are placed on."""
    return Hull(competing_phases(ReferencePhases.shipped(elements), mode))


def test_every_shipped_one_fills_a_gap() -> None:
    """A pair of unlike elements, at CHGNet's level, well below what is published of the pair."""
    systems = read_chemical_systems(SIDES_FILE)
    assert read_level(SIDES_FILE) == potential("chgnet").level
    assert all(polar(tuple(system.split("-"))) for system in systems)
    rng = np.random.default_rng(0)
    for system in rng.choice(systems, 40, replace=False):
        published = hull_of(tuple(system.split("-")), "dft")
        for phase in read_system(SIDES_FILE, system.split("-")):
            point = published.place(phase.formula, phase.energy_per_atom, published.level)
            assert point.energy_above_hull < -GAP, phase.id


def test_without_rubidium_fluoride_its_salts_look_stable() -> None:
    """The hull of the salt falls by more than 1 eV/atom, and says what is predicted of it."""
    plain, filled = hull_of(SALT, "auto"), hull_of(SALT, "filled")
    energy = -4.5
    before, after = (hull.place("RbPF6", energy, hull.level) for hull in (plain, filled))
    assert after.energy_above_hull - before.energy_above_hull > 1.0
    assert "RbF (predicted)" in after.decomposition
    assert "RbF" in after.reaction
    assert "predicted" not in after.reaction + before.decomposition
    assert "of them predicted" in filled.references.coverage
    assert "predicted compounds of sides-chgnet.parquet" in filled.references.name
    assert plain.references.bare_pairs == filled.references.bare_pairs, "nothing more is known"


@pytest.mark.parametrize("pair", list(combinations(SALT, 2)))
def test_a_search_in_a_pair_has_its_finds_to_itself(pair: tuple[str, str]) -> None:
    """What was predicted of its own elements does not compete."""
    assert not [p for p in hull_of(pair, "filled").references.phases if p.source == PREDICTED]


def test_formation_energies_are_those_of_every_potential() -> None:
    """On another zero of the elements the same compounds are worth the same."""
    known = ReferencePhases.shipped(SALT)
    other = EnergyLevel("other 1", "0" * 12, "MP2020")
    moved = ReferencePhases(other, known.phases, known.elements)
    mine, theirs = (
        Hull(dft_references(some, sides=SIDES_FILE)).points().set_index("id")
        for some in (known, moved)
    )
    guessed = mine.index[mine["source"] == PREDICTED]
    assert len(guessed) > 2
    np.testing.assert_allclose(
        mine.loc[guessed, "formation_energy"], theirs.loc[guessed, "formation_energy"], atol=1e-5
    )


def test_the_command_predicts_what_nobody_published(tmp_path: Path) -> None:
    """Rubidium iodide, which is not in the published table, comes out as rock salt."""
    out, told = tmp_path / "sides.parquet", tmp_path / "told.json"
    command = ["references", "sides", "--elements", "I-Rb", "--workers", "1", "-o", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--json", str(told)])
    assert ended.value.code == 0
    found = {phase.formula: phase for phase in read_system(out, ("I", "Rb"))}
    assert found["RbI"].spacegroup == 225
    report = json.loads(told.read_text())
    assert (report["pairs"], report["written"]) == (1, len(found))
    assert report["tried"] >= report["relaxed"] >= report["written"]


def test_a_potential_without_fitted_elements_is_refused(tmp_path: Path) -> None:
    """Energies of two potentials would meet in one hull."""
    other = ShiftedPotential("emt", "1", "0" * 12, frozenset({"Al", "Cu"}), "MP2020")
    with pytest.raises(HullModeError, match="fitted elements, such as chgnet, got emt 1"):
        build_sides(other, tmp_path / "sides.parquet")
    assert not list(tmp_path.iterdir())
