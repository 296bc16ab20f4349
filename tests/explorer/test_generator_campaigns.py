"""Every generator can run as a campaign, through the same screen and onto the same hull."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from explorer.baseline_imported import replay
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, SpecError
from explorer.candidate import Candidate
from explorer.crystals import NamedStructure, write_structures
from explorer.discover import rank
from explorer.generators import generator, open_source
from explorer.headless import DATABASE, run_in_folder
from explorer.hopeless import Ceiling
from explorer.laboratory import Library
from explorer.potentials import potential
from explorer.relaxers import SCHEDULER, open_relaxer
from explorer.store import Store
from model.checkpoint import load_network
from model.constraints import ConstraintError, Constraints


def cube(a: float, *symbols: str) -> Structure:
    """A cubic cell with atoms at its corner and its middle."""
    return Structure(Lattice.cubic(a), symbols, [[0.0] * 3, [0.5] * 3][: len(symbols)])


SAMPLES = (
    NamedStructure("first", cube(3.0, "Al", "Cu")),
    NamedStructure("elsewhere", cube(4.1, "Cs", "Cl")),
    NamedStructure("again", cube(3.1, "Cu", "Al")),
    NamedStructure("crowded", Structure(Lattice.cubic(4), ["Al", "Cu"], [[0] * 3, [0.1, 0, 0]])),
)


def rows(folder: Path) -> list[dict[str, str]]:
    """Read candidates.csv."""
    with (folder / "candidates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_samples_of_a_file_become_a_campaign_that_can_be_resumed(tmp_path: Path) -> None:
    """Those of the system are screened and relaxed in the file's order; none gets a likelihood.

    Asked to, each keeps its space group, be it on a saddle as body-centred copper is.
    """
    file, folder = tmp_path / "samples.extxyz", tmp_path / "run"
    write_structures(file, (*SAMPLES, NamedStructure("saddle", cube(2.9, "Cu", "Cu"))))
    spec = CampaignSpec.parse(
        elements="Al-Cu", subset=True, generator="file", samples=str(file), n=10, max_steps=40,
        relax_known=True, keep_symmetry=True,
    )  # fmt: skip
    campaign = run_in_folder(spec, folder, device="cpu", workers=1)
    assert campaign.counts["drawn"] == 4
    *_, twin, crowded, saddle = rows(folder)
    assert (twin["state"], crowded["state"]) == ("duplicate", "rejected")
    assert (saddle["spacegroup_relaxed"], saddle["lowered_by_rattling"]) == ("229", "")
    assert float(saddle["formation_energy"]) > 0.02
    assert [row["sample"] for row in rows(folder)] == ["first", "again", "crowded", "saddle"]
    assert {row["log_likelihood"] for row in rows(folder)} == {""}
    told = json.loads((folder / "summary.json").read_text())
    assert (told["state"], told["generator"]) == ("finished", "file samples.extxyz")
    store = Store(folder / DATABASE)
    candidates, _ = store.candidates(store.campaigns()[0].id)
    store.close()
    first = min(candidates, key=lambda one: one.index)
    assert first.steps is not None
    assert first.spacegroup_asked is None
    again = run_in_folder(spec, folder, device="cpu", workers=1, resume=True)
    assert again.counts == campaign.counts


def test_what_begins_too_high_is_left_as_drawn(tmp_path: Path) -> None:
    """A cell pressed together is skipped and says how high it began: no failure, and no energy.

    Going on later leaves it so, and the counts add up.
    """
    file, folder = tmp_path / "samples.extxyz", tmp_path / "run"
    pressed = NamedStructure("pressed", cube(2.1, "Al"))
    write_structures(file, (*SAMPLES[:1], pressed))
    spec = CampaignSpec.parse(
        elements="Al-Cu", subset=True, generator="file", samples=str(file), n=10, max_steps=1,
        relax_known=True, relax_below=1.0,
    )  # fmt: skip
    for resume in (False, True):
        campaign = run_in_folder(spec, folder, device="cpu", workers=1, resume=resume)
        near, far = rows(folder)
        assert near["state"] in {"relaxed", "failed"}
        assert far["state"] == "skipped"
        assert float(re.fullmatch(r"not relaxed: begins (.*) eV/atom.*", far["reason"])[1]) > 1.0
        assert far["energy_per_atom"] == far["energy_above_hull"] == ""
        assert campaign.counts["skipped"] == campaign.counts["reasons"]["not relaxed"] == 1
        assert campaign.counts["drawn"] == 2
    assert json.loads((folder / "summary.json").read_text())["skipped"] == 1


def test_a_cluster_does_not_drop_the_limit_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses what it cannot do before it begins."""
    monkeypatch.setenv(SCHEDULER, "tcp://127.0.0.1:1")
    chosen = potential("chgnet", "cpu")
    library = Library("chgnet", None, "Al-Cu")
    with pytest.raises(ValueError, match="leave out relax_below"):
        open_relaxer(chosen, ceiling=Ceiling(library, chosen.level, below=0.2))


def test_other_samples_under_the_same_name_are_other_samples(tmp_path: Path) -> None:
    """What a campaign goes on with is told by a hash of the samples, not by the file's name."""
    file = tmp_path / "samples.extxyz"
    spec = CampaignSpec.parse(elements="Al-Cu", generator="file", samples=str(file))
    write_structures(file, SAMPLES)
    before = open_source(spec, None)
    write_structures(file, SAMPLES[:1])
    after = open_source(spec, None)
    assert before.name == after.name == "file samples.extxyz"
    assert before.identity != after.identity
    elsewhere = spec.model_copy(update={"elements": ("Na", "Cl")})
    with pytest.raises(SpecError, match=r"none of the 1 in samples\.extxyz is of Cl-Na"):
        open_source(elsewhere, None)


@pytest.mark.parametrize("method", ["substitution", "similarity", "random"])
def test_a_generator_that_begins_later_gives_the_same_crystals(method: str) -> None:
    """Crystal i depends on the seed and on i, wherever the stream begins."""
    constraints = Constraints.parse("Al-Cu", max_atoms=8)
    whole = list(generator(method)(constraints, n=5, seed=2))
    later = list(generator(method)(constraints, n=5, seed=2, start=3))
    assert [one.index for one in later] == [3, 4]
    assert [one.crystal for one in later] == [one.crystal for one in whole[3:]]


def test_samples_obey_the_constraints_that_they_can() -> None:
    """Elements, formula and size choose among samples; groups and sites are refused."""
    samples = [Drawn(k, given=one.structure) for k, one in enumerate(SAMPLES)]
    samples.append(Drawn(4, reason="unreadable: nothing"))
    system = [one.given for one in replay(samples, Constraints.parse("Al-Cu"), n=9)]
    assert system == [SAMPLES[k].structure for k in (0, 2, 3)]
    assert len(list(replay(samples, Constraints(), n=9))) == 5
    assert not list(replay(samples, Constraints.parse(formula="AlCu2"), n=9))
    assert not list(replay(samples, Constraints.parse("Al-Cu", max_atoms=1), n=9))
    ranged = list(replay(samples, Constraints.parse(formula="AlCu0-1, CsCl"), n=9))
    assert [one.given for one in ranged] == [item.structure for item in SAMPLES]
    assert not list(replay(samples, Constraints.parse(formula="AlCu2-3"), n=9))
    without = list(replay(samples, Constraints.parse(excluded="Cu"), n=9))
    assert [one.symbols for one in without] == [{"Cs", "Cl"}]
    later = replay(samples, Constraints.parse("Al-Cu"), n=3, start=1)
    assert [one.index for one in later] == [1, 2]
    with pytest.raises(ConstraintError, match="no space groups or sites"):
        replay(samples, Constraints.parse("Al-Cu", spacegroups=221), n=1)


@pytest.mark.parametrize(
    ("fields", "text", "field"),
    [
        ({"generator": "file"}, "expected the file of the samples", "samples"),
        ({"samples": "x.zip"}, "expected the file of the samples", "samples"),
        ({"generator": "random", "elements": ""}, "needs some", "elements"),
        ({"generator": "random", "sites": ("225:4a",)}, "takes none", "sites"),
        ({"generator": "random-neutral", "sites": ("225:4a=none",)}, "takes none", "sites"),
        ({"generator": "file", "samples": "x", "spacegroups": (1,)}, "takes none", "spacegroups"),
        ({"generator": "alchemy"}, "alchemy", "generator"),
    ],
)
def test_what_a_generator_cannot_do_is_said_before_any_work(
    fields: dict, text: str, field: str
) -> None:
    """One line, at the field that has to change."""
    with pytest.raises(SpecError, match=text) as complaint:
        CampaignSpec.parse(**{"elements": "Al-Cu", **fields})
    assert complaint.value.field == field


def test_candidates_without_a_likelihood_wait_in_the_order_of_drawing() -> None:
    """Not-a-number sorts nowhere: where a model is missing, nothing is ranked."""
    waiting = [Candidate(str(k), k, initial=cube(3.0, "Al", "Cu")) for k in range(3)]
    assert rank(waiting) == waiting
    likely = [replace(one, log_likelihood=float(one.index)) for one in waiting]
    assert [one.index for one in rank(likely)] == [2, 1, 0]
    stable = [replace(one, stability=-float((one.index - 1) ** 2)) for one in likely]
    assert [one.index for one in rank(stable)] == [1, 0, 2]


def test_what_chooses_among_draws_is_part_of_what_draws() -> None:
    """Other stability networks would choose other crystals, so a campaign names its own."""
    loaded = load_network()
    asked = {"elements": "Al-Cu", "search": "independent"}
    alone = open_source(CampaignSpec.parse(**asked), loaded).identity
    chosen = open_source(CampaignSpec.parse(**asked, best_of=4), loaded).identity
    assert alone == loaded.checkpoint_id
    assert all(part in chosen for part in (alone, "stability-0.safetensors [", "templates.npz ["))
