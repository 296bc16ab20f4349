"""Boosted trees: what is read back tells what scikit-learn tells, and ranks what can be ranked."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from explorer.tree_build import GROWTH, fit
from model.checkpoint import SHIPPED, CheckpointError, LoadedNetwork, load_network
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal
from model.facts import Fact, facts_of
from model.phases import load_phases
from model.sample import sample, stability_score
from model.trees import FILE, load_trees, measure, save_trees


def toy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of which some are missing, and what follows from three of them."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 6)).astype(np.float32)
    low = numbers[:, 0] * numbers[:, 1] + numbers[:, 2] > 0
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    return numbers, low


def cubic(spacegroup: int, sites: str, a: float) -> WyckoffCrystal:
    """Return a cubic crystal of sites such as "a=Na b=Cl"."""
    told = [part.split("=") for part in sites.split()]
    cell = (a, a, a, 90.0, 90.0, 90.0)
    return WyckoffCrystal(spacegroup, tuple(Site(*pair) for pair in told), cell)


def told_of(shipped: LoadedNetwork, crystals: list[WyckoffCrystal]) -> np.ndarray:
    """What the shipped trees tell."""
    return shipped.trees.total(measure(crystals, facts_of(crystals, load_phases())))


def test_a_file_of_arrays_tells_what_the_library_tells(tmp_path: Path) -> None:
    """Node by node, missing values included, on rows that training did not see."""
    numbers, low = toy(900, 0)
    trees = fit(numbers, low, seed=3, members=1)
    grown = HistGradientBoostingClassifier(**GROWTH, random_state=3).fit(numbers, low)
    others, _ = toy(700, 1)
    assert np.allclose(trees.total(others), grown.decision_function(others), atol=1e-4)
    save_trees(trees, tmp_path)
    again = load_trees(tmp_path)
    assert np.array_equal(again.total(others), trees.total(others))
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert load_trees(tmp_path / "elsewhere") is None
    assert trees.total(others[:0]).shape == (0,)


def test_several_seeds_tell_their_mean() -> None:
    """Two ensembles together are the mean of each alone."""
    (numbers, low), (others, _) = toy(500, 0), toy(50, 1)
    both = fit(numbers, low, seed=0, members=2).total(others)
    each = [fit(numbers, low, seed=seed, members=1).total(others) for seed in (0, 1)]
    assert np.allclose(both, np.mean(each, axis=0), atol=1e-4)


def test_shuffled_labels_teach_nothing() -> None:
    """What follows from the numbers is ranked on other rows; what does not is not."""
    (numbers, low), (others, truth) = toy(2000, 0), toy(500, 1)
    areas = []
    for told in (low, np.random.default_rng(0).permutation(low)):
        odds = fit(numbers, told, seed=0, members=1).total(others)
        areas.append((odds[truth][:, None] > odds[~truth]).mean())
    assert areas[0] > 0.85
    assert abs(areas[1] - 0.5) < 0.1


def test_the_score_is_the_mean_of_networks_and_trees(shipped: LoadedNetwork) -> None:
    """Each tells something of its own; company changes nothing."""
    draws = sample(shipped, Constraints.parse("Ca-O-Ti"), seed=1, count=24)
    crystals = [draw.crystal for draw in draws]
    trees, networks = (
        told_of(shipped, crystals),
        stability_score(replace(shipped, trees=None), crystals),
    )
    assert np.allclose(stability_score(shipped, crystals), (trees + networks) / 2, atol=1e-4)
    assert np.abs(trees - networks).max() > 0.1
    assert np.allclose(told_of(shipped, crystals[:1]), trees[:1])


def test_real_compounds_score_higher_than_absurd_ones(shipped: LoadedNetwork) -> None:
    """The same prototypes and cells, with elements that make the compound or do not: on average.

    Training knows crystals that somebody thought of, and hardly an absurd one.
    """
    pairs = [
        (225, 5.64, "a=Na b=Cl", "a=Na b=K"),
        (225, 4.21, "a=Mg b=O", "a=O b=F"),
        (225, 5.46, "a=Ca c=F", "a=F c=Ca"),
        (221, 3.91, "a=Sr b=Ti c=O", "a=O b=Sr c=Ti"),
        (216, 5.41, "a=Zn c=S", "a=Zn c=Fe"),
    ]
    real = [cubic(group, sites, a) for group, a, sites, _ in pairs]
    absurd = [cubic(group, sites, a) for group, a, _, sites in pairs]
    assert told_of(shipped, real).mean() > told_of(shipped, absurd).mean() + 0.5


def test_what_is_not_known_is_missing_and_not_zero() -> None:
    """Facts without a value are NaN; the order in which sites are written changes nothing."""
    crystal = cubic(221, "a=Sr b=Ti c=O", 3.91)
    facts = facts_of([crystal], load_phases())
    unknown = facts.copy()
    unknown[0, [Fact.NEIGHBOURS, Fact.DISTANCE, Fact.POLYMORPH]] = 0, np.inf, np.nan
    known, without = measure([crystal], facts), measure([crystal], unknown)
    assert np.isnan(without).sum() > np.isnan(known).sum()
    assert np.isfinite(without[~np.isnan(without)]).all()
    turned = replace(crystal, sites=crystal.sites[::-1])
    assert np.array_equal(measure([turned], facts), known, equal_nan=True)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Torn, of other arrays, or with objects that would run code when read: one clear error."""
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    whole = (folder / FILE).read_bytes()
    hostile = tmp_path / "hostile.npz"
    np.savez(hostile, roots=np.array([print], dtype=object))
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, roots=np.zeros(3))
    for damaged in (whole[: len(whole) // 2], hostile.read_bytes(), foreign.read_bytes(), b""):
        (folder / FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="holds no network"):
            load_network(folder)
