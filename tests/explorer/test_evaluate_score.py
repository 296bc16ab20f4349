"""Round trips and the stability score's AUC, on crystals whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from explorer.crystals import NamedStructure, write_structures
from explorer.encode import encode
from explorer.evaluate.roundtrip import evaluate_roundtrip
from explorer.evaluate.score import area, describe, evaluate_score, labelled_structures
from model.checkpoint import load_network
from model.sample import likelihood_ratio, stability_score


def rock_salt(cation: str, anion: str, a: float) -> Structure:
    """Primitive cell."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), [cation, anion], [[0] * 3, [0.5] * 3]
    ).get_primitive_structure()


def clash(a: float) -> Structure:
    """Atoms too close for any gate."""
    return Structure(Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], [0.05, 0, 0]])


def test_the_area_is_the_chance_of_the_right_order() -> None:
    """Three of four pairs are in order; a tie counts half; one kind alone has no area."""
    stable = np.array([True, True, False, False])
    assert area(np.array([3.0, 1.0, 2.0, 0.0]), stable)["auc"] == 0.75
    assert area(np.zeros(4), stable)["auc"] == 0.5
    assert area(np.zeros(2), np.array([True, True])) == {"stable": 2, "auc": None, "interval": None}


def test_the_interval_holds_the_area_and_shrinks_with_more_crystals() -> None:
    """Bootstrap over crystals: ten times as many crystals, a narrower interval."""
    rng = np.random.default_rng(1)
    told = []
    for size in (50, 500):
        stable = rng.random(size) < 0.5
        told.append(area(rng.normal(stable.astype(float)), stable))
    widths = [t["interval"][1] - t["interval"][0] for t in told]
    assert all(t["interval"][0] < t["auc"] < t["interval"][1] for t in told)
    assert widths[1] < widths[0] / 2


def test_score_counts_what_it_cannot_score(tmp_path: Path) -> None:
    """Structures without a published energy or without a description are left out and counted."""
    path = tmp_path / "labelled.parquet"
    structures = [rock_salt("Na", "Cl", 5.6), rock_salt("Na", "Cl", 9.0), clash(6.0), clash(7.0)]
    write_structures(path, [NamedStructure(str(k), s) for k, s in enumerate(structures)])
    energies = [0.0, 0.5, 0.1, None]
    pd.read_parquet(path).assign(e_above_hull=energies).to_parquet(path)
    labelled = labelled_structures(path)
    assert [name for name, *_ in labelled] == ["0", "1", "2"]
    pd.read_parquet(path).rename(columns={"e_above_hull": "decomposition_energy"}).to_parquet(path)
    assert labelled_structures(path) == labelled, "another name for it"
    told = evaluate_score(load_network(), labelled, workers=1)
    assert (told["n"], told["stable"], told["not_scored"]) == (2, 1, 1)
    crystals = [encode(structure) for structure in structures[:2]]
    for told_area, score in ((told, stability_score), (told["likelihood_ratio"], likelihood_ratio)):
        first, second = score(load_network(), crystals)
        assert first != second  # they differ in their volume alone
        assert told_area["auc"] == float(first > second)
    assert told["by_elements"]["2"]["auc"] == told["auc"]
    with pytest.raises(ValueError, match="both sides"):
        evaluate_score(load_network(), labelled[:1], workers=1)
    assert describe([clash(6.0)]) == [None]


def test_round_trips_count_every_structure_once(tmp_path: Path) -> None:
    """A crystal comes back; one that fails the gate does not fit, under its reason and name."""
    path = tmp_path / "some.parquet"
    named = [NamedStructure("salt", rock_salt("Na", "Cl", 5.6)), NamedStructure("bad", clash(6.0))]
    write_structures(path, named)
    heard = []
    told = evaluate_roundtrip(path, workers=1, progress=heard.append)
    assert heard[-1] == f"judged {told['n']}/{told['n']}"
    assert (told["n"], told["fits"], told["ok"], told["rate"]) == (2, 1, 1, 1.0)
    assert list(told["examples"].values()) == [["bad"]]
    one = evaluate_roundtrip(path, n=1, seed=3, workers=1)
    assert one["n"] == 1
    assert one == evaluate_roundtrip(path, n=1, seed=3, workers=1)


@pytest.mark.parametrize("kind", ["oxidation states", "spins"])
def test_oxidation_states_and_spins_make_no_other_crystal(tmp_path: Path, kind: str) -> None:
    """CIFs carry them, and to a matcher Na+ and Na, or iron up and down, are different."""
    plain = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0] * 3, [0.305, 0.305, 0]]
    )
    # So that it has its group at the wide tolerance alone.
    plain.translate_sites([3], [0.0, 0.0, 0.03], frac_coords=False)
    told = plain.copy()
    if kind == "spins":
        told.add_spin_by_site([2, -2, 0, 0, 0, 0])
    else:
        told.add_oxidation_state_by_element({"Ti": 4, "O": -2})
    assert encode(told) == encode(plain)
    write_structures(tmp_path / "rutile.json", [NamedStructure("rutile", told)])
    assert evaluate_roundtrip(tmp_path / "rutile.json", workers=1)["ok"] == 1
