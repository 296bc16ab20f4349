"""A small network, a training state, a recipe and a reference set: sound, to be spoilt."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import torch

from explorer.phases import Phase, write_phases
from explorer.potential_base import EnergyLevel
from model.checkpoint import save_network, save_state
from model.network import Network, NetworkConfig

LEVEL = EnergyLevel("invented 1", "0123456789ab", "none")


def _network() -> dict[str, bytes]:
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        save_network(
            Network(NetworkConfig(width=12, layers=1, heads=2)),
            Path(folder),
            name="small",
            known_elements=["Na", "Cl"],
            info={},
        )
        return _files(Path(folder))


def _state() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        save_state(Path(folder), {"step": 3}, 3)
        return _files(Path(folder))


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def signed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a network or a state whose digest fits its spoilt parts, as who made it would."""
    parts = b"".join(files[name] for name in sorted(files) if not name.endswith(".json"))
    digest = hashlib.sha256(parts).hexdigest()
    told = {}
    for name, data in files.items():
        told[name] = data
        if name.endswith(".json"):
            try:
                values = json.loads(data)
                values["sha256"] = digest
                told[name] = json.dumps(values).encode()
            except (ValueError, TypeError, RecursionError):
                pass
    return told


NETWORK = _network()
STATE = _state()
RECIPE = """name = "small"
seed = 1
steps = 10
tokens_per_batch = 64
learning_rate = 2e-3
any_setting = false
decay = 0.4

[network]
width = 12
layers = 1
heads = 2
dropout = 0.1
"""


def set_of_phases(random: Random) -> bytes:
    """Return reference phases of Na-Cl, some energies of which are no energies."""
    energies = [float("nan"), float("inf"), -1e6, 1e308, -3.0]
    phases = []
    for number, (formula, system) in enumerate([("Na", "Na"), ("Cl2", "Cl"), ("NaCl", "Cl-Na")]):
        energy = random.choice(energies) if random.random() < 0.3 else -2.0 - 0.1 * number
        phases.append(
            Phase(
                id=random.choice(["x", f"p{number}", f"p{number}"]),
                source="made up", formula=formula, chemsys=system, e_above_hull_dft=0.0,
                energy_per_atom=energy, n_atoms=1, spacegroup=1, lattice=4 * np.eye(3),
                numbers=np.array([11]), frac_coords=np.zeros((1, 3)),
            )
        )  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "references.parquet"
        write_phases(path, phases, LEVEL, {})
        return path.read_bytes()
