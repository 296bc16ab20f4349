"""The published baseline: its rows come back, it learns and goes on, its crystals are judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.baseline_matra import open_network
from explorer.campaign import CampaignSpec
from explorer.encode import encode
from explorer.evaluate_commands import generation
from explorer.generators import generator
from explorer.references import ReferencePhases
from model.checkpoint import CheckpointError, load_network
from model.constraints import ConstraintError, Constraints
from model.crystal import Site, WyckoffCrystal
from model.matra import (
    GaussianEmbedding,
    MatraNetwork,
    losses,
    natural,
    standardised,
)
from model.matra_rows import (
    LATTICE_ROLES,
    NUMBER,
    ORBIT_0,
    ORBITS,
    MatraRow,
    Role,
    crystal_to_matra,
    following,
    matra_to_crystal,
    orbits,
    reassemble,
)
from model.matra_sample import draw_matra
from model.network import NetworkConfig
from model.shards import pad, write_shards
from model.tokens import ANY, END, LOW, SPACEGROUP_0, TokenError, crystal_to_row
from model.train import Recipe, RecipeError, Trainer
from model.wyckoff import crystal_family, table

SMALL = Recipe(
    name="small",
    kind="matra",
    steps=90,
    tokens_per_batch=400,
    learning_rate=1e-2,
    warmup=5,
    average=0.9,
    network=NetworkConfig(32, 2, 2),
)


@pytest.fixture(scope="module")
def crystals() -> list[WyckoffCrystal]:
    """Return the known phases of two systems that fit a row, of all six crystal families."""
    phases = [p for s in ("Ca-O-Ti", "Al-Ca-Cu") for p in ReferencePhases.shipped(s).phases]
    encoded = [encode(phase.structure) for phase in phases]
    short = [crystal for crystal in encoded if len(crystal.sites) <= 20]
    assert {crystal_family(crystal.spacegroup) for crystal in short} == set(LATTICE_ROLES)
    return short


@pytest.fixture(scope="module")
def run(crystals: list[WyckoffCrystal], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small network and return the folder of its run."""
    folder = tmp_path_factory.mktemp("matra")
    rows = [crystal_to_row(crystal, formula=True) for crystal in crystals]
    for name in ("train", "val"):
        write_shards(folder / f"{name}.npz", rows, [0.0] * len(rows))
    Trainer(SMALL, folder, folder / "run").fit(minutes=5)
    return folder


def test_rows_come_back(crystals: list[WyckoffCrystal]) -> None:
    """A crystal is written site by site with its coordinates, lattice last, and read again."""
    for crystal in crystals:
        row = crystal_to_matra(crystal, LOW)
        back = matra_to_crystal(row)
        assert back.spacegroup == crystal.spacegroup
        assert sorted(back.skeleton[1]) == sorted(crystal.skeleton[1])
        assert np.allclose(back.lattice, crystal.lattice, atol=1e-3)
        given = sorted(value for site in crystal.sites for value in site.free)
        assert np.allclose(sorted(v for site in back.sites for v in site.free), given)
        last_site = np.flatnonzero(row.tokens == END)[0]
        assert (row.roles[last_site + 1 :] >= Role.A).all()
        assert row.roles[0] == Role.PROMPT


def test_every_role_is_known_beforehand(crystals: list[WyckoffCrystal]) -> None:
    """What the sampler expects next is what a crystal's row has."""
    for crystal in crystals:
        row = crystal_to_matra(crystal, ANY)
        coming = [Role.AMOUNT]
        for place in range(1, len(row)):
            assert coming.pop(0) == row.roles[place]
            if row.tokens[place] != NUMBER:
                coming += following(row.tokens[: place + 1], row.roles[: place + 1])
        assert not coming


def test_reassembled_batches_are_the_rows_of_their_crystals(
    crystals: list[WyckoffCrystal],
) -> None:
    """Our own rows, whatever their order, give the row of the crystal and keep its stability."""
    some = crystals[:8]
    flags = [(k % 2 == 0, k % 3 == 0) for k in range(len(some))]
    ours = [
        crystal_to_row(c, stability="low", spacegroup_first=first, formula=formula)
        for c, (first, formula) in zip(some, flags, strict=True)
    ]
    batch = reassemble(pad(ours))
    for k, crystal in enumerate(some):
        row = crystal_to_matra(crystal, LOW)
        assert np.array_equal(batch.tokens[k, : len(row)], row.tokens)
        assert np.array_equal(batch.roles[k, : len(row)], row.roles)
        assert np.allclose(batch.values[k, : len(row)], row.values, rtol=2e-3, atol=1e-3)
        assert (batch.roles[k, len(row) :] == Role.DONE).all()


def test_orbits_are_shared_by_groups_and_unique_in_one() -> None:
    """The origin is one orbit in many groups; no group has an orbit twice."""
    shared, wyckoff = orbits(), table()
    assert len(np.unique(shared.of_position)) == ORBITS
    origin = shared.of_position[wyckoff.position(221, "a")]
    assert origin == shared.of_position[wyckoff.position(2, "a")]
    assert origin != shared.of_position[wyckoff.position(225, "a")]
    assert (shared.position >= 0).sum() == len(shared.of_position)


def broken(row: MatraRow, change: str) -> MatraRow:
    """Spoil the row of a crystal."""
    tokens, values = row.tokens.copy(), row.values.copy()
    places = np.flatnonzero(row.roles == Role.ORBIT)
    if change == "two atoms on one point":
        tokens[places[1]] = tokens[places[0]]
    elif change == "an orbit that the space group does not have":
        group = int(tokens[row.roles == Role.SPACEGROUP][0]) - SPACEGROUP_0
        tokens[places[0]] = ORBIT_0 + int(np.flatnonzero(orbits().position[group] < 0)[0])
    elif change == "lengths or angles that make no cell":
        values[row.roles == Role.A] = np.nan
    else:
        tokens[tokens == END] = tokens[places[0] - 1]
    return MatraRow(tokens, values, row.roles)


@pytest.mark.parametrize(
    "reason",
    [
        "two atoms on one point",
        "an orbit that the space group does not have",
        "lengths or angles that make no cell",
        "more than 20 sites",
    ],
)
def test_rows_that_are_no_crystal_say_why(reason: str) -> None:
    """Whatever a network may draw beside the truth has a reason."""
    sites = (Site("a", "Na"), Site("b", "Cl"))
    salt = WyckoffCrystal(225, sites, (5.6, 5.6, 5.6, 90.0, 90.0, 90.0))
    row = crystal_to_matra(salt, LOW)
    assert matra_to_crystal(row).skeleton == salt.skeleton
    with pytest.raises(TokenError, match=reason):
        matra_to_crystal(broken(row, reason))


def test_numbers_enter_on_both_scales() -> None:
    """Near values differ; equal ratios of lengths are equally far apart on one half alone."""
    embedding = GaussianEmbedding(16)
    lengths = torch.tensor([3.0, 6.0, 12.0])
    linear, logarithmic = embedding.basis(lengths, torch.ones(3, dtype=int)).chunk(2, dim=-1)
    places = torch.linspace(0, 1, logarithmic.shape[1])

    def middles(half: torch.Tensor) -> torch.Tensor:
        return (half * places).sum(1) / half.sum(1)

    steps = middles(logarithmic).diff()
    assert steps[0] == pytest.approx(float(steps[1]), rel=1e-3)
    steps = middles(linear).diff()
    assert steps[1] > 1.5 * steps[0]
    near = embedding(torch.tensor([0.25, 0.26]), torch.zeros(2, dtype=int))
    assert (near[0] - near[1]).abs().max() > 1e-3
    assert torch.isfinite(embedding(torch.tensor([0.0, 500.0]), torch.tensor([0, 1]))).all()


def test_targets_of_the_regression_come_back() -> None:
    """Lengths by their logarithm; what lies outside a cell is brought into it."""
    roles = torch.tensor([int(role) for role in (Role.X, Role.B, Role.GAMMA)])
    values = torch.tensor([0.75, 7.3, 104.0])
    assert torch.allclose(natural(standardised(values, roles), roles), values, rtol=1e-5)
    assert 0 <= float(natural(torch.tensor([9.0]), roles[:1])) < 1


def test_the_loss_looks_at_no_later_entry(crystals: list[WyckoffCrystal]) -> None:
    """Another lattice changes no loss before it."""
    batch = reassemble(pad([crystal_to_row(crystal) for crystal in crystals[:4]]))
    network = MatraNetwork(SMALL.network).eval()
    nll, error, roles = losses(network, batch)
    stretched = replace(batch, values=np.where(batch.roles == Role.A, 9.0, batch.values))
    other_nll, other_error, _ = losses(network, stretched)
    assert torch.equal(nll, other_nll)
    before = (roles > Role.PROMPT) & (roles < Role.A)
    assert torch.equal(error[before], other_error[before])
    assert (nll[roles < Role.X] > 0).any()
    assert not torch.equal(error, other_error)


def test_training_learns_and_goes_on(run: Path) -> None:
    """The loss falls, a second run begins where the first ended, and weights tell their kind."""
    first = Trainer(replace(SMALL, steps=1), run, run / "short")
    before = first.validate()
    again = Trainer(replace(SMALL, steps=SMALL.steps + 5), run, run / "run")
    assert again.step == SMALL.steps
    again.fit(minutes=5)
    last = json.loads((run / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == SMALL.steps + 5
    for name in ("objective", "elements", "spacegroup", "skeleton", "rms_lattice"):
        assert last[name] < before[name]
    assert last["nll"] == pytest.approx(last["elements"] + last["spacegroup"] + last["skeleton"])
    weights = run / "run" / "weights"
    with pytest.raises(CheckpointError, match="of the kind 'matra', expected 'hullscape'"):
        load_network(weights)
    assert open_network(str(weights), "cpu").known_elements == ("O", "Al", "Ca", "Ti", "Cu")
    assert open_network(None, "cpu").kind == "hullscape"


def test_drawn_rows_are_crystals_or_say_why(run: Path) -> None:
    """Rows do not depend on their batch; whatever is no crystal has a reason."""
    loaded = open_network(str(run / "run" / "weights"), "cpu")
    draws = list(draw_matra(loaded, seed=3, count=96))
    assert [draw.index for draw in draws] == list(range(96))
    assert all((draw.crystal is None) == bool(draw.reason) for draw in draws)
    assert any(draw.crystal for draw in draws)
    assert {draw.reason for draw in draws} - {""}
    later = list(draw_matra(loaded, seed=3, start=90, count=6, batch_size=4))
    assert [draw.reason for draw in later] == [draw.reason for draw in draws[90:]]
    with pytest.raises(ValueError, match="temperature > 0"):
        next(draw_matra(loaded, seed=0, count=1, temperature=0.0))


def test_the_baseline_is_judged_like_any_generator(run: Path) -> None:
    """Elements are a prompt that may be disobeyed, and is counted; other wishes are refused."""
    weights = str(run / "run" / "weights")
    spec = CampaignSpec(elements="Ca-O-Ti", n=16, seed=1, checkpoint=weights)
    none = dict.fromkeys(("candidates", "origin", "first", "reference"))
    told = generation(spec, **none, workers=1, device="cpu", progress=lambda _: None)
    generate = generator("transformer", open_network(weights, "cpu"), spec.drawing())
    drawn = list(generate(spec.constraints(), n=16, seed=1))
    assert told["n"] == 16
    assert told["decodable"] == pytest.approx(sum(one.reason == "" for one in drawn) / 16)
    kept = sum(len(one.symbols) > 0 and one.symbols <= {"Ca", "O", "Ti"} for one in drawn)
    assert told["elements_kept"] == pytest.approx(kept / 16)
    assert told["asked"]["temperature"] == 1.0
    assert "search" not in told["asked"]
    with pytest.raises(ConstraintError, match="got spacegroups"):
        next(generate(Constraints.parse("Ca-O-Ti", spacegroups=221), n=1, seed=0))


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """A recipe of a kind that does not exist is told what there is."""
    recipe = tmp_path / "kind.toml"
    recipe.write_text('kind = "genoa"\n')
    with pytest.raises(RecipeError, match="kind: expected 'hullscape' or 'matra', got 'genoa'"):
        Recipe.read(recipe)
