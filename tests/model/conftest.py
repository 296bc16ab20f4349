"""Real crystals and the shipped network, shared by the tests of the model."""

from __future__ import annotations

import pytest
import torch

from model.checkpoint import LoadedNetwork, load_network


@pytest.fixture(scope="session")
def shipped() -> LoadedNetwork:
    """Return the network that ships with the package."""
    torch.set_num_threads(1)  # two threads wait for each other where a core is taken
    return load_network()
