"""Baselines beside a campaign: drawn under its constraints, compared with its targets."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.baseline_curves import METHODS, Question, baseline, baselines
from explorer.baselines import structure_formula
from explorer.campaign import CampaignSpec
from explorer.evaluate.retrieval import Target
from explorer.evaluate.trials import drawn_trial
from explorer.generators import open_source
from explorer.targets import shipped_targets

SPEC = CampaignSpec.parse(elements="Al-Ca-Cu", n=60, seed=3)
TARGETS = shipped_targets("Al-Ca-Cu").structures


@pytest.mark.parametrize("method", METHODS)
def test_a_baseline_finds_what_the_experiment_finds(method: str) -> None:
    """Counted in another way, by another matcher: the same crystals find the same targets."""
    spec = SPEC.model_copy(update={"generator": method})
    wanted = [Target(name, structure_formula(structure), structure) for name, structure in TARGETS]
    trial = drawn_trial(spec, open_source(spec, None), wanted, workers=1)
    curve = baseline(SPEC, TARGETS, method)
    assert curve.crystals[-1] == trial.drawn == 60
    by_number = np.sort(list(trial.crystals.values()))
    found = [np.searchsorted(by_number, k, side="right") for k in curve.crystals]
    assert curve.found_by_crystals.tolist() == found
    assert found[-1] > 1


def test_baselines_obey_the_constraints() -> None:
    """Of one formula only its phases are found; sites that no prototype has end the curve."""
    formula = CampaignSpec.parse(elements="Al-Ca-Cu", formula="CaAl2Cu2", n=40)
    curves = baselines(Question("formula", formula, TARGETS))
    assert set(curves) == set(METHODS)
    assert {curve.found_by_crystals[-1] for curve in curves.values()} == {1}
    nowhere = CampaignSpec.parse(elements="Al-Ca-Cu", sites=("47:1a=Ca", "47:1h=Cu"), n=40)
    for curve in baselines(Question("nowhere", nowhere, TARGETS)).values():
        assert curve.crystals[-1] < 40


def test_a_generator_is_not_its_own_baseline() -> None:
    """And without targets or elements there is nothing to compare."""
    own = SPEC.model_copy(update={"generator": "similarity", "n": 2})
    assert Question("own", own, TARGETS).methods == ("substitution",)
    assert set(baselines(Question("own", own, TARGETS))) == {"substitution"}
    assert baselines(Question("none", SPEC, ())) == {}
    anything = CampaignSpec.parse(n=2)
    assert baselines(Question("any", anything, TARGETS)) == {}
