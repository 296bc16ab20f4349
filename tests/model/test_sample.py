"""Drawn crystals obey their constraints, are repeatable, and cannot see the future."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from explorer.baselines import Drawn
from explorer.evaluate.checks import check
from model.checkpoint import CheckpointError, LoadedNetwork, load_network, save_network
from model.constraints import Constraints
from model.headers import HeaderGrammar
from model.likelihood import context_of
from model.network import Memory, Network, NetworkConfig
from model.sample import Draw, log_likelihood, sample, stability_score
from model.search import SkeletonSearch
from model.shards import pad
from model.templates import load_templates
from model.tokens import SPACEGROUP_0, crystal_to_row

WISHES = [
    {"elements": "Al-Ca-Cu"},
    {"elements": "Al-Ca-Cu", "subset": True, "max_atoms": 12},
    {"elements": "Al-Ca-Cu", "formula": "CaAl2Cu2"},
    {"formula": "CaAl2Cu2", "spacegroups": 139},
    {"spacegroups": (166, 225)},
    {"spacegroups": 62, "max_atoms": 20},
    {"sites": ["139:2a=Ca", "139:4e=Al,Cu"], "max_atoms": 20},
    {"elements": "Ca-O-Ti", "stability": "high"},
    {},
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_constraints_are_kept(shipped: LoadedNetwork, wish: dict) -> None:
    """Every row decodes, and every crystal has what was asked for and nothing else."""
    constraints = Constraints.parse(**wish)
    for draw in sample(shipped, constraints, seed=3, count=48):
        crystal = draw.crystal
        assert crystal is not None, draw.reason
        assert np.isfinite(draw.log_likelihood)
        asked = set(constraints.elements)
        assert not asked or set(crystal.elements) <= asked
        assert not asked or constraints.subset or set(crystal.elements) == asked
        assert not constraints.formula or crystal.formula == constraints.formula
        assert not constraints.spacegroups or crystal.spacegroup in constraints.spacegroups
        assert crystal.n_atoms <= constraints.max_atoms
        for site in constraints.sites:
            here = [s.element for s in crystal.sites if s.letter == site.letter]
            assert set(here) & set(site.elements)


def test_spglib_finds_the_asked_group(shipped: LoadedNetwork) -> None:
    """Crystals without colliding atoms have the group they were drawn in, or a supergroup."""
    checked = 0
    for draw in sample(shipped, Constraints.parse(), seed=5, count=96):
        found = check(Drawn(draw.index, draw.crystal))
        if found.apart_07:
            assert found.spacegroup_kept, draw.crystal
            checked += 1
    assert checked > 48


def test_same_seed_same_crystals(shipped: LoadedNetwork) -> None:
    """A crystal depends on the seed and its number, not on the batch or the start."""
    wish = Constraints.parse("Ca-O-Ti")
    whole = list(sample(shipped, wish, seed=7, count=24))
    parts = [
        *sample(shipped, wish, seed=7, count=5, batch_size=3),
        *sample(shipped, wish, seed=7, count=19, start=5, batch_size=7),
    ]
    assert [draw.index for draw in parts] == list(range(24))
    assert [draw.crystal for draw in parts] == [draw.crystal for draw in whole]
    other = [draw.crystal for draw in sample(shipped, wish, seed=8, count=24)]
    assert other != [draw.crystal for draw in whole]


@pytest.mark.parametrize("search", ["distinct", "likeliest"])
def test_a_search_gives_every_skeleton_once(shipped: LoadedNetwork, search: str) -> None:
    """Skeletons come without replacement; a run can go on anywhere; the constraints hold."""
    wish = Constraints.parse("Al-Ca-Cu", spacegroups=(139, 225))
    whole = list(sample(shipped, wish, seed=4, count=60, search=search))
    assert len({draw.crystal.skeleton for draw in whole}) == 60
    assert {draw.crystal.spacegroup for draw in whole} == {139, 225}
    later = list(sample(shipped, wish, seed=4, count=20, start=40, search=search))
    assert [draw.crystal for draw in later] == [draw.crystal for draw in whole[40:]]


def test_the_likeliest_skeletons_come_first(shipped: LoadedNetwork) -> None:
    """A search finds the most probable skeletons, and more probable ones than chance does."""
    wish = Constraints.parse("Al-Ca-Cu")

    def known(draw: Draw) -> float:
        return draw.parts["spacegroup"] + draw.parts["skeleton"]

    found = list(sample(shipped, wish, seed=0, count=64, search="likeliest"))
    values = [known(draw) for draw in found]
    slack = 1e-3
    assert np.allclose(values, sorted(values, reverse=True), atol=slack)
    drawn = {d.crystal.skeleton: known(d) for d in sample(shipped, wish, seed=0, count=64)}
    # whatever was drawn by chance and is likelier than the last one found was found as well
    missed = set(drawn) - {draw.crystal.skeleton for draw in found}
    assert all(drawn[skeleton] < values[-1] + slack for skeleton in missed)


def test_a_search_with_little_memory_finds_the_same(
    shipped: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and values that are thrown away are computed again, and nothing else changes."""
    wish = Constraints.parse("Al-Ca-Cu", spacegroups=(139, 225))
    whole = [d.crystal.skeleton for d in sample(shipped, wish, seed=0, count=30, search="distinct")]
    monkeypatch.setattr(Memory, "MOST_BYTES", 2**19)
    short = [d.crystal.skeleton for d in sample(shipped, wish, seed=0, count=30, search="distinct")]
    assert short == whole


def test_out_of_patience_a_search_gives_the_same_skeletons_in_another_order(
    shipped: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does for many elements; none is lost or given twice, with the same likelihood each."""
    wish = Constraints.parse(formula="CaTiO3", spacegroups=(99, 221), max_atoms=5)
    grammar = HeaderGrammar(wish, shipped.known_elements)
    patient = {one.tokens: one.key for one in SkeletonSearch(shipped, grammar)}
    monkeypatch.setattr("model.search.PATIENCE", 0)
    monkeypatch.setattr("model.search.PATIENCE_LEFT", 0)
    hasty = [(one.tokens, one.key) for one in SkeletonSearch(shipped, grammar)]
    assert len(hasty) == len(patient) > 20
    assert dict(hasty) == pytest.approx(patient, abs=1e-3)
    keys = [key for _, key in hasty]
    assert keys != sorted(keys, reverse=True)


def test_random_search_draws_as_often_as_sampling(shipped: LoadedNetwork) -> None:
    """The first skeleton of a random search has the distribution of ordinary draws."""
    wish = Constraints.parse("Al-Cu", spacegroups=(139, 166, 225), max_atoms=6)
    grammar = HeaderGrammar(wish, shipped.known_elements)
    plain = Counter(draw.crystal.spacegroup for draw in sample(shipped, wish, seed=0, count=600))
    searches = (SkeletonSearch(shipped, grammar, noise=True, seed=k) for k in range(80))
    first = Counter(token for search in searches for token in next(iter(search)).tokens)
    for group in (139, 166, 225):
        share = plain[group] / 600
        error = 4 * (max(share * (1 - share), 0.01) * (1 / 600 + 1 / 80)) ** 0.5
        assert abs(first[SPACEGROUP_0 + group - 1] / 80 - share) < error


def test_skeletons_come_again_for_other_coordinates(shipped: LoadedNetwork) -> None:
    """With ``again``, only skeletons with free coordinates repeat, each time with other ones."""
    wish = Constraints.parse("Al-Ca-Cu", spacegroups=(62, 225))
    draws = list(sample(shipped, wish, seed=0, count=40, search="likeliest", again=0.5))
    repeated = [s for s, n in Counter(d.crystal.skeleton for d in draws).items() if n > 1]
    assert repeated
    for skeleton in repeated:
        alike = [draw.crystal for draw in draws if draw.crystal.skeleton == skeleton]
        assert any(site.free for site in alike[0].sites)
        assert len(set(alike)) == len(alike)


def test_few_skeletons_begin_anew(shipped: LoadedNetwork) -> None:
    """Constraints that leave a handful of skeletons still give as many crystals as asked."""
    wish = Constraints.parse("Cu", spacegroups=225, max_atoms=1)
    draws = list(sample(shipped, wish, seed=0, count=7, search="likeliest"))
    assert {draw.crystal.skeleton for draw in draws} == {
        (225, (("a", "Cu"),)),
        (225, (("b", "Cu"),)),
    }


def test_atoms_stay_apart(shipped: LoadedNetwork) -> None:
    """Coordinates that would put atoms into one another are left out of the draw."""
    wish = Constraints.parse(spacegroups=(2, 14, 62, 166), max_atoms=40)
    draws = sample(shipped, wish, seed=1, count=96)
    apart = [check(Drawn(draw.index, draw.crystal)).apart_07 for draw in draws]
    assert np.mean(apart) > 0.95


def test_likelihood_of_draws_is_that_of_the_crystals(shipped: LoadedNetwork) -> None:
    """What the sampler counts step by step is what a whole pass over the crystal gives."""
    draws = list(sample(shipped, Constraints.parse("Al-Ca-Cu"), seed=2, count=48))
    # sites of one letter and element are sorted when a crystal is written; leave those out
    plain = [d for d in draws if len(set(d.crystal.skeleton[1])) == len(d.crystal.sites)]
    whole = log_likelihood(shipped, [draw.crystal for draw in plain], "low")
    assert len(plain) > 10
    assert np.allclose(whole, [draw.log_likelihood for draw in plain], atol=0.02)


def test_low_temperature_is_likelier(shipped: LoadedNetwork) -> None:
    """Colder draws have a higher likelihood under the network itself."""
    wish = Constraints.parse("Al-Ca-Cu")
    warm = np.mean([d.log_likelihood for d in sample(shipped, wish, seed=1, count=64)])
    cold = [d.log_likelihood for d in sample(shipped, wish, seed=1, count=64, temperature=0.5)]
    assert np.mean(cold) > warm


def test_future_never_changes_a_state() -> None:
    """Changing a token changes no state before it, and does change its own."""
    torch.manual_seed(0)
    network = Network(NetworkConfig(width=32, layers=2, heads=2)).eval()
    crystal = next(iter(sample(_loaded(network), Constraints.parse("Ca-O-Ti"), seed=0, count=1)))
    batch = pad([crystal_to_row(crystal.crystal)])
    context, _, _ = context_of(batch)
    vectors = network.embedding()
    before = network(context, vectors)
    place = 6
    tokens = context.tokens.clone()
    tokens[0, place] += 1
    after = network(context._replace(tokens=tokens), vectors)
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.allclose(before[:, place], after[:, place])


@pytest.mark.parametrize(
    "options",
    [
        {"count": -1},
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"batch_size": 0},
        {"search": "best"},
        {"geometry_temperature": 0.0},
        {"again": -1.0},
    ],
    ids=str,
)
def test_bad_options_are_refused_before_drawing(shipped: LoadedNetwork, options: dict) -> None:
    """The error comes from the call, not from the first crystal."""
    with pytest.raises(ValueError, match="expected"):
        sample(shipped, Constraints.parse("Al-Ca-Cu"), **{"seed": 0, "count": 1, **options})


def test_weights_survive_the_disk(tmp_path, shipped: LoadedNetwork) -> None:
    """Saved and read again a network is the same; damage and strangers are refused."""
    options = {"name": "again", "known_elements": list(shipped.known_elements), "info": {}}
    save_network(shipped.network, tmp_path / "w", **options)
    again = load_network(tmp_path / "w")
    assert again.checkpoint_id.split("-")[-1] == shipped.checkpoint_id.split("-")[-1]
    part = tmp_path / "w" / "part-00.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"expected a folder with network\.json"):
        load_network(tmp_path / "nothing")


def _loaded(network: Network) -> LoadedNetwork:
    return LoadedNetwork(network, "untrained", ("Ca", "O", "Ti"), {})


def test_the_best_of_several_is_the_one_that_scores_highest(shipped: LoadedNetwork) -> None:
    """Crystal i is chosen among the ordinary draws 4 i to 4 i + 3, wherever drawing begins."""
    wish = Constraints.parse("Al-Ca-Cu", max_atoms=12)
    plain = list(sample(shipped, wish, seed=2, count=20))
    scores = stability_score(shipped, [draw.crystal for draw in plain]).reshape(5, 4)
    best = list(sample(shipped, wish, seed=2, count=5, best_of=4))
    places = scores.argmax(axis=1) + 4 * np.arange(5)
    assert [draw.crystal for draw in best] == [plain[place].crystal for place in places]
    assert [draw.index for draw in best] == list(range(5))
    later = list(sample(shipped, wish, seed=2, start=3, count=2, best_of=4, batch_size=4))
    assert [draw.crystal for draw in later] == [draw.crystal for draw in best[3:]]
    with pytest.raises(ValueError, match="independent"):
        sample(shipped, wish, seed=2, count=5, best_of=4, search="likeliest")


def test_the_best_of_several_is_new_if_any_is(shipped: LoadedNetwork) -> None:
    """A known crystal is given only where all draws are known ones, however well it scores."""
    wish, templates = Constraints.parse("Al-Ni"), load_templates()
    plain = list(sample(shipped, wish, seed=1, count=60, temperature=0.7))
    known = np.array([templates.hold(crystal_to_row(d.crystal).tokens.tolist()) for d in plain])
    assert 0 < known.sum() < 60
    how = {"seed": 1, "count": 10, "temperature": 0.7, "best_of": 6}
    given = [draw.crystal for draw in sample(shipped, wish, **how, templates=templates)]
    for k, crystal in enumerate(given):
        own, old = plain[6 * k : 6 * k + 6], known[6 * k : 6 * k + 6]
        assert crystal in [
            draw.crystal for draw, is_old in zip(own, old, strict=True) if not is_old or old.all()
        ]
    careless = [draw.crystal for draw in sample(shipped, wish, **how)]
    assert given != careless
