"""Stability networks: they rank what can be learned, and belong to their drawing network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint import LoadedNetwork, load_network, save_network
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal
from model.facts import Fact, facts_of
from model.network import Network, NetworkConfig
from model.phases import load_phases
from model.sample import likelihood_ratio, sample, stability_score
from model.shards import LOW_LIMIT, Shards, write_shards
from model.stability import (
    LEVELS,
    StabilityNetwork,
    before_coordinates,
    fit,
    log_odds,
    save_stability,
)
from model.tokens import Role, crystal_to_row

SMALL = NetworkConfig(width=24, layers=1, heads=2, dropout=0.0)
CUBE = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)


def drawn(shipped: LoadedNetwork, count: int = 24) -> list[WyckoffCrystal]:
    """Crystals of the network."""
    draws = sample(shipped, Constraints.parse("Ca-O-Ti"), seed=1, count=count)
    return [draw.crystal for draw in draws]


def test_odds_rise_with_the_level_and_do_not_depend_on_the_batch(shipped: LoadedNetwork) -> None:
    """A crystal below 0.025 eV/atom is below 0.1 too; company changes nothing."""
    crystals = drawn(shipped)
    odds = {level: log_odds(shipped.stability, crystals, level=level) for level in LEVELS}
    means = [odds[level].mean() for level in LEVELS]
    assert means == sorted(means)
    bare = replace(shipped, trees=None)
    assert np.allclose(stability_score(bare, crystals), odds[LOW_LIMIT])
    alone = log_odds(shipped.stability, crystals, batch_size=1)
    assert np.allclose(alone, odds[LOW_LIMIT], atol=1e-3)
    assert odds[LOW_LIMIT].std() > 0.1
    each = [log_odds([network], crystals) for network in shipped.stability]
    assert np.allclose(np.mean(each, axis=0), odds[LOW_LIMIT], atol=1e-3)
    with pytest.raises(ValueError, match="expected a level"):
        log_odds(shipped.stability, crystals, level=0.33)


def test_every_token_sees_the_whole_row_and_none_beside_it(shipped: LoadedNetwork) -> None:
    """The lattice, which comes last, reaches the first token; coordinates are not read."""
    crystals = drawn(shipped, 8)
    rows = [before_coordinates(crystal_to_row(crystal)) for crystal in crystals]
    facts = torch.from_numpy(facts_of(crystals, load_phases()))
    assert not any(np.isin(row.roles, (Role.X, Role.Y, Role.Z)).any() for row in rows)
    assert all((row.roles == Role.VOLUME).any() for row in rows)
    network = shipped.stability[0]
    other = replace(rows[0], tokens=rows[0].tokens.copy())
    other.tokens[other.roles == Role.VOLUME] += 5
    with torch.inference_mode():
        (before, _), (after, _) = network(rows, facts), network([other, *rows[1:]], facts)
    assert not torch.allclose(before[0], after[0], atol=1e-3)
    assert torch.allclose(before[1:], after[1:], atol=1e-3)


def test_a_network_alone_is_scored_by_its_likelihoods(
    shipped: LoadedNetwork, tmp_path: Path
) -> None:
    """Stability networks that began with other weights are not used."""
    network = Network(SMALL)
    save_network(network, tmp_path, name="small", known_elements=["Ca", "O", "Ti"], info={})
    bare = load_network(tmp_path)
    crystals = drawn(shipped, 6)
    assert bare.stability == ()
    assert np.allclose(stability_score(bare, crystals), likelihood_ratio(bare, crystals))
    made = [StabilityNetwork(SMALL, informed=informed).eval() for informed in (False, True)]
    save_stability(made[0], tmp_path, 0, "another network", 0.5)
    assert load_network(tmp_path).stability == ()
    for number, one in enumerate(made):
        save_stability(one, tmp_path, number, bare.sha256, 0.5)
    again = load_network(tmp_path)
    assert again.checkpoint_id == bare.checkpoint_id
    assert [network.informed for network in again.stability] == [False, True]
    expected = log_odds(made, crystals)
    assert np.allclose(stability_score(again, crystals), expected, atol=1e-2)


def test_an_informed_network_reads_what_is_known() -> None:
    """What a crystal competes with changes what is told of it, and nothing of another's."""
    known = WyckoffCrystal(221, (Site("a", "Ca"), Site("b", "Ti"), Site("c", "O")), CUBE)
    rows = [before_coordinates(crystal_to_row(known))] * 2
    facts = torch.from_numpy(facts_of([known, known], load_phases()))
    facts[1, Fact.HULL] -= 0.1
    torch.manual_seed(0)
    informed, plain = (
        StabilityNetwork(SMALL, informed=informed).eval() for informed in (True, False)
    )
    with torch.inference_mode():
        odds, energy = informed(rows, facts)
        alike, unknown = plain(rows, facts)
    assert not torch.allclose(odds[0], odds[1], atol=1e-3)
    assert energy[0] - energy[1] == pytest.approx(0.1, abs=0.05)  # told from the hull
    assert torch.allclose(alike[0], alike[1])
    assert unknown.isnan().all()


def test_training_learns_what_can_be_learned_and_nothing_else(
    shipped: LoadedNetwork, tmp_path: Path
) -> None:
    """Energies that follow from the space group are ranked on other crystals; shuffled ones not."""
    draws = sample(shipped, Constraints.parse("Ca-O-Ti", max_atoms=20), seed=3, count=400)
    crystals = [draw.crystal for draw in draws]
    rows = [crystal_to_row(crystal, formula=True) for crystal in crystals]
    groups = np.array([crystal.spacegroup for crystal in crystals])
    high = groups > np.median(groups)
    areas, path = [], tmp_path / "train.npz"
    for told in (high, np.random.default_rng(0).permutation(high)):
        above = np.where(told[:280], 0.3, 0.0)
        write_shards(path, rows[:280], above, formation_energy=above - 2)
        network, _ = fit(Network(SMALL), Shards(path), seed=0, passes=30)
        scores = log_odds([network], crystals[280:])
        areas.append((scores[~high[280:]][:, None] > scores[high[280:]]).mean())
    assert areas[0] > 0.9
    assert areas[1] < 0.75
    write_shards(path, rows[:20], above[:20])
    with pytest.raises(ValueError, match="expected shards with formation energies"):
        fit(Network(SMALL), Shards(path), seed=0)
