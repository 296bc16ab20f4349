"""The stability head: ranks real crystals, belongs to its network, changes nothing of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.checkpoint import LoadedNetwork, load_network, save_network
from model.constraints import Constraints
from model.network import Network, NetworkConfig
from model.sample import likelihood_ratio, sample, stability_score
from model.shards import LOW_LIMIT
from model.stability import LEVELS, StabilityHead, fit, log_odds, save_head

SMALL = NetworkConfig(width=24, layers=1, heads=2, dropout=0.0)


def drawn(shipped: LoadedNetwork, count: int = 24) -> list:
    """Crystals of the network."""
    draws = sample(shipped, Constraints.parse("Ca-O-Ti"), seed=1, count=count)
    return [draw.crystal for draw in draws]


def test_odds_rise_with_the_level_and_do_not_depend_on_the_batch(shipped: LoadedNetwork):
    """A crystal below 0.025 eV/atom is below 0.1 too; company changes nothing."""
    crystals = drawn(shipped)
    odds = {
        level: log_odds(shipped.network, shipped.stability, crystals, level) for level in LEVELS
    }
    means = [odds[level].mean() for level in LEVELS]
    assert means == sorted(means)
    assert np.allclose(stability_score(shipped, crystals), odds[LOW_LIMIT])
    alone = log_odds(shipped.network, shipped.stability, crystals, batch_size=1)
    assert np.allclose(alone, odds[LOW_LIMIT], atol=1e-3)
    assert odds[LOW_LIMIT].std() > 0.1
    with pytest.raises(ValueError, match="expected a level"):
        log_odds(shipped.network, shipped.stability, crystals, 0.33)


def test_a_network_without_a_head_is_scored_by_its_likelihoods(shipped: LoadedNetwork, tmp_path):
    """A head of other weights is not used."""
    network = Network(SMALL)
    save_network(network, tmp_path, name="small", known_elements=["Ca", "O", "Ti"], info={})
    bare = load_network(tmp_path)
    crystals = drawn(shipped, 6)
    assert bare.stability is None
    assert np.allclose(stability_score(bare, crystals), likelihood_ratio(bare, crystals))
    head = StabilityHead(4 * SMALL.width)
    save_head(head, tmp_path, "another network", 0.5)
    assert load_network(tmp_path).stability is None
    save_head(head, tmp_path, bare.sha256, 0.5)
    again = load_network(tmp_path)
    assert again.stability is not None
    assert again.checkpoint_id == bare.checkpoint_id
    expected = log_odds(again.network, again.stability, crystals)
    assert np.allclose(stability_score(again, crystals), expected)


def test_training_learns_what_can_be_learned_and_nothing_else():
    """Energies that follow from the features are ranked; shuffled ones are not."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1500, 20, generator=generator)
    energies = np.exp(features[:, 0].numpy() + features[:, 1].numpy() - 2)
    _, learned = fit(features, energies, seed=0)
    _, nothing = fit(features, np.random.default_rng(0).permutation(energies), seed=0)
    assert learned > 0.9
    assert nothing < 0.7
