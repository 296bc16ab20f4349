"""Training learns, resumes where it stopped, and refuses recipes that it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher

from explorer.crystals import to_structure
from explorer.encode import encode
from explorer.prepare import described_rows
from explorer.references import ReferencePhases
from model.checkpoint import CheckpointError, LoadedNetwork, load_network
from model.crystal import WyckoffCrystal
from model.likelihood import _candidates, _positions_of_groups, token_nll
from model.network import Network, NetworkConfig
from model.sample import log_likelihood
from model.shards import Shards, pad, write_shards
from model.tokens import TokenError, crystal_to_row, row_to_crystal
from model.train import Recipe, RecipeError, Trainer

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "model" / "recipes").glob("*.toml"))
SMALL = Recipe(steps=30, tokens_per_batch=512, warmup=5, network=NetworkConfig(32, 2, 2))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return shards of a real system, the same for training and validation."""
    folder = tmp_path_factory.mktemp("shards")
    rows, energies = [], []
    for phase in ReferencePhases.shipped("Ca-O-Ti").phases:
        try:
            rows.append(crystal_to_row(encode(phase.structure), formula=True))
            energies.append(0.0)
        except TokenError:
            continue
    for name in ("train", "val"):
        write_shards(folder / f"{name}.npz", rows, energies)
    return folder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_read(path: Path) -> None:
    """Every recipe that ships is complete and buildable."""
    recipe = Recipe.read(path)
    assert recipe.objective().build(recipe.network)
    assert recipe.rate(0) > 0
    assert recipe.rate(recipe.steps) == 0


def test_training_learns_and_resumes(shards: Path, tmp_path: Path) -> None:
    """The validation loss falls, and a second run goes on from the last step of the first."""
    first = Trainer(replace(SMALL, steps=30), shards, tmp_path / "run")
    before = first.validate()["nll"]
    first.fit(minutes=5)
    assert first.step == 30
    again = Trainer(replace(SMALL, steps=40), shards, tmp_path / "run")
    assert again.step == 30
    again.fit(minutes=5)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [30, 40]
    assert lines[-1]["nll"] < before
    loaded = load_network(tmp_path / "run" / "weights")
    assert {"Ca", "O", "Ti"} <= set(loaded.known_elements)


def test_a_run_ends_when_it_gets_no_better(shards: Path, tmp_path: Path) -> None:
    """With patience the best weights stay, however far a wrong rate strays from them."""
    wild = replace(SMALL, steps=400, learning_rate=0.3, warmup=1, decay=0.0, patience=2)
    trainer = Trainer(wild, shards, tmp_path)
    trainer.fit(minutes=5, save_every=0.0)
    losses = [json.loads(line)["nll"] for line in (tmp_path / "log.jsonl").open()]
    assert trainer.step < 400
    assert min(losses) == losses[-3]
    kept = load_network(tmp_path / "weights").info
    assert kept["validation"]["nll"] == round(min(losses), 3)


def test_a_damaged_state_is_refused(shards: Path, tmp_path: Path) -> None:
    """A state comes in parts that a small hand-over takes; one changed byte is seen."""
    Trainer(replace(SMALL, steps=1), shards, tmp_path).fit(minutes=5)
    parts = sorted(tmp_path.glob("state-*.bin"))
    assert parts
    assert all(part.stat().st_size < 16_000_000 for part in parts)
    content = bytearray(parts[0].read_bytes())
    content[len(content) // 2] ^= 1
    parts[0].write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        Trainer(SMALL, shards, tmp_path)


TOGETHER = """
import sys
from pathlib import Path
import torch
from model.fleet import Fleet
from model.network import NetworkConfig
from model.train import Recipe, Trainer

torch.set_num_threads(1)
fleet = Fleet("cpu")
assert fleet.decide(fleet.rank == 0, fleet.rank == 1) == [True, False]
assert list(fleet.share(range(5))) == [[0, 2], [1, 3]][fleet.rank]
network = torch.nn.Linear(2, 2)
network.weight.grad = torch.full((2, 2), 1.0 + fleet.rank)
fleet.average_gradients(network)
assert (network.weight.grad == 1.5).all()
recipe = Recipe(steps=4, tokens_per_batch=512, warmup=1, network=NetworkConfig(32, 2, 2))
trainer = Trainer(recipe, Path(sys.argv[1]), Path(sys.argv[2]))
trainer.fit(minutes=5)
mine = torch.cat([p.detach().flatten() for p in trainer.network.parameters()])
all_of_them = [torch.zeros_like(mine) for _ in range(fleet.size)]
torch.distributed.all_gather(all_of_them, mine)
assert trainer.step == 4
assert torch.equal(*all_of_them)
"""


def test_processes_train_one_network(shards: Path, tmp_path: Path) -> None:
    """Two processes end with the same weights, written once."""
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script), str(shards), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1
    assert load_network(tmp_path / "run" / "weights").info["step"] == 4


def test_rows_of_a_shard_are_those_of_the_crystal(shards: Path, shipped: LoadedNetwork) -> None:
    """Header orders and labels made from shards equal those made from the crystal itself."""
    stored = Shards(shards / "train.npz")
    crystals = [encode(p.structure) for p in ReferencePhases.shipped("Ca-O-Ti").phases[:6]]
    for index, crystal in enumerate(crystals):
        for first in (False, True):
            for formula in (False, True):
                options = {"stability": "low", "spacegroup_first": first, "formula": formula}
                made, kept = crystal_to_row(crystal, **options), stored.row(index, **options)
                assert np.array_equal(made.tokens, kept.tokens)
                assert np.array_equal(made.roles, kept.roles)
    assert np.isfinite(log_likelihood(shipped, crystals)).all()


def test_rows_in_other_settings_are_the_same_crystal(tmp_path: Path) -> None:
    """Every row of a crystal decodes to it; a pass draws among them only where it is asked to."""
    crystals = [encode(p.structure) for p in ReferencePhases.shipped("Ca-O-Ti").phases[:12]]
    rows = [described_rows(crystal, settings=4) for crystal in crystals]
    path = tmp_path / "train.npz"
    write_shards(path, [first for first, *_ in rows], [0.0] * 12, [some[1:] for some in rows])
    stored = Shards(path)
    assert max(stored.settings(k) for k in range(12)) == 4
    assert len(stored) == len(stored.lengths()) == 12
    plain = {"stability": "any", "spacegroup_first": False, "formula": False}
    for index, crystal in enumerate(crystals):
        written = [stored.row(index, **plain, setting=k) for k in range(stored.settings(index))]
        assert len({row.tokens.tobytes() + row.fine.tobytes() for row in written}) == len(written)
        for row in written:
            assert _same(row_to_crystal(row.tokens, row.fine), crystal)
    rng = np.random.default_rng(0)
    index = next(k for k in range(12) if stored.settings(k) == 4)
    for any_setting in (False, True):
        drawn = [stored.drawn_row(index, rng, any_setting=any_setting) for _ in range(20)]
        tails = {(row.tokens[-4:].tobytes(), row.fine[-4:].tobytes()) for row in drawn}
        assert (len(tails) > 1) == any_setting


def _same(crystal: WyckoffCrystal, other: WyckoffCrystal) -> bool:
    """Whether two descriptions are of one crystal."""
    matcher = StructureMatcher(ltol=0.02, stol=0.02, angle_tol=1)
    return bool(matcher.fit(to_structure(crystal), to_structure(other)))


def test_scoring_first_does_not_spoil_training(shards: Path) -> None:
    """What is remembered while scoring without gradients serves a training step later."""
    _candidates.cache_clear()
    _positions_of_groups.cache_clear()
    stored = Shards(shards / "train.npz")
    batch = pad([stored.drawn_row(k, np.random.default_rng(0)) for k in range(4)])
    network = Network(SMALL.network)
    with torch.inference_mode():
        token_nll(network, batch)
    token_nll(network, batch)[0].sum().backward()
    assert network.bias.grad is not None


def test_unknown_settings_are_named(tmp_path: Path) -> None:
    """A typing error in a recipe is refused with the settings that exist."""
    recipe = tmp_path / "typo.toml"
    recipe.write_text("stepz = 3\n")
    with pytest.raises(RecipeError, match="unknown settings \\['stepz'\\]; known are"):
        Recipe.read(recipe)
