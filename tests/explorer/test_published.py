"""Maps of what the network learned, and the table of what a campaign's filters leave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.evaluate.embeddings import element_kinds, embedding_parts, nearest_share
from explorer.evaluate.filtering import evaluate_filtering
from explorer.figures.embeddings import embedding_figure
from explorer.headless import DATABASE
from explorer.lease import Leases, new_owner
from explorer.store import Store
from model.checkpoint import load_network
from model.elements import elements
from model.tokens import ELEMENT_0, SPACEGROUP_0


def hullscape(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_neighbours_are_counted_against_shuffled_labels() -> None:
    """Two bundles of directions keep to themselves; one that is alone in its class never does."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 0.1, (2, 20, 8)) + np.eye(8)[:2, None]
    told = nearest_share(np.concatenate([first, second]), ["a"] * 20 + ["b"] * 20)
    assert (told["share"], told["count"]) == (1.0, 40)
    assert told["shuffled"] == pytest.approx(19 / 39, abs=0.02)
    assert told["shuffled_interval"][1] < 0.9
    alone = nearest_share(np.concatenate([first, second]), ["a"] * 20 + ["b"] * 19 + ["c"])
    assert alone["count"] <= 39


def test_elements_are_told_by_group_and_block() -> None:
    """The f block has two groups of its own, though tables write 3 above them."""
    assert [element_kinds(symbol) for symbol in ("Ca", "Cu", "Al", "Gd", "U")] == [
        ("Ca", "2", "s"),
        ("Cu", "11", "d"),
        ("Al", "13", "p"),
        ("Gd", "lanthanoid", "f"),
        ("U", "actinoid", "f"),
    ]


def test_what_is_shared_follows_from_features() -> None:
    """The parts make up the whole, and elements of equal features would share a vector."""
    network = load_network()
    parts = embedding_parts(network)
    assert np.allclose(parts["whole"], parts["own"] + parts["shared"], atol=1e-6)
    weight = network.network.embedding.element.weight.numpy()
    expected = elements().features @ weight.T
    assert np.allclose(parts["shared"][ELEMENT_0:SPACEGROUP_0], expected, atol=1e-4)


def test_the_command_maps_elements_and_space_groups(tmp_path: Path, capsys) -> None:
    """What is learned for each alone tells groups apart better than shuffled labels do."""
    page, told = tmp_path / "e.html", tmp_path / "e.json"
    assert hullscape("evaluate", "embeddings", "-o", page, "--json", told) == 0
    told = json.loads(told.read_text())
    for name, n in (("elements", len(load_network().known_elements)), ("spacegroups", 230)):
        assert told[name]["n"] == len(told[name]["points"]) == n
        for part in ("whole", "own", "shared"):
            nearest = told[name]["nearest"][part]
            assert nearest["count"] / n == pytest.approx(nearest["share"], abs=1e-4)
            assert nearest["share"] > nearest["shuffled_interval"][1]
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * 3  # the points are not printed
    figure = embedding_figure(told)
    assert sum(len(trace.x) for trace in figure.data) == told["elements"]["n"] + 230
    assert any("I4/mmm (139)" in (trace.text or ()) for trace in figure.data)
    assert "Plotly.newPlot" in page.read_text(encoding="utf-8")
    assert hullscape("evaluate", "embeddings", "--checkpoint", tmp_path) == 2
    assert "network.json" in capsys.readouterr().err


def cube(a: float, *symbols: str) -> Structure:
    """A cubic cell with atoms at its corner and its middle."""
    return Structure(Lattice.cubic(a), symbols, [[0.0] * 3, [0.5] * 3][: len(symbols)])


def campaign() -> list[Candidate]:
    """One crystal for each way to be left out, and four that come through; two are the same."""
    salt = cube(3.0, "Al", "Cu")

    def ended(state: State, above: float | None = None, **more: object) -> Candidate:
        relaxed = None if above is None else more.pop("relaxed", salt)
        fields = {"initial": salt, "novel": True, "energy_above_hull": above} | more
        return Candidate("", 0, state=state, relaxed=relaxed, **fields)

    told = [
        ended(State.REJECTED, initial=None, reason="undecodable"),
        ended(State.REJECTED, reason="atoms too close"),
        ended(State.DUPLICATE, novel=None),
        ended(State.KNOWN, novel=False),
        ended(State.SKIPPED, reason="above the limit"),
        ended(State.FAILED, reason="not converged"),
        ended(State.RELAXED, 0.0, novel=False),
        ended(State.RELAXED, 0.05),
        ended(State.RELAXED, 0.05, relaxed=cube(3.05, "Cu", "Al")),
        ended(State.RELAXED, -0.02, relaxed=cube(3.6, "Cu")),
        ended(State.RELAXED, 0.5, relaxed=cube(4.0, "Al")),
    ]
    return [replace(one, id=f"{k:06d}", index=k) for k, one in enumerate(told)]


def test_each_filter_takes_its_own() -> None:
    """Every stage counts what all before it left; the last ones count no crystal twice."""
    told = evaluate_filtering(campaign(), seconds_sampling=6.0, seconds_relaxing=30.0)
    assert {name: row["count"] for name, row in told["stages"].items()} == {
        "generated": 11,
        "decodable": 10,
        "sound": 9,
        "unique": 8,
        "new": 7,
        "tried": 6,
        "relaxed": 5,
        "still new": 4,
        "within 0.1": 2,
        "within 0": 1,
    }
    assert told["stages"]["within 0"]["of_generated"] == pytest.approx(1 / 11, abs=1e-4)
    assert told["stages"]["within 0"]["of_previous"] == 0.5
    assert told["extrapolated_per_hour"]["within 0.1"] == 200
    assert told["extrapolated_per_hour"]["basis"].startswith("extrapolated from 36 s")
    idle = evaluate_filtering(campaign(), seconds_sampling=0.0, seconds_relaxing=0.0)
    assert idle["extrapolated_per_hour"] == {"basis": "no time was measured"}
    with pytest.raises(ValueError, match="got none"):
        evaluate_filtering([], seconds_sampling=1.0, seconds_relaxing=1.0)


def test_the_table_is_made_from_the_folder_of_a_run(tmp_path: Path, capsys) -> None:
    """Time comes from the store; a campaign without crystals, or none at all, is one line."""
    store = Store(tmp_path / DATABASE)
    name = store.create(CampaignSpec(elements=("Al", "Cu"), n=11))
    assert hullscape("evaluate", "filtering", tmp_path) == 2
    assert "has no crystals yet" in capsys.readouterr().err
    leases = Leases(store.engine, new_owner())
    lease = leases.take(name)
    store.put_candidates(lease, campaign(), seconds_sampling=2.0, seconds_relaxing=10.0)
    leases.release(lease, CampaignState.FINISHED, "")
    store.close()
    assert hullscape("evaluate", "filtering", tmp_path, "--json", tmp_path / "told.json") == 0
    shown = capsys.readouterr().out
    assert "an hour, extrapolated" in shown
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["seconds"] == {"sampling": 2.0, "relaxing": 10.0}
    assert told["stages"]["within 0.1"]["count"] == 2
    assert told["campaign"] == name
    store = tmp_path / DATABASE
    assert hullscape("evaluate", "filtering", tmp_path / "nowhere", "--store", store) == 2
    assert "no campaign" in capsys.readouterr().err
