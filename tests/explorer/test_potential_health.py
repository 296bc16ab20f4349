"""Weights are examined before anybody trusts their energies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_potentials import AlteredEmt, emt

from explorer.batch_evaluation import CalculatorModel
from explorer.potential_health import SCALES, examine, known_crystals, refuse_ill
from explorer.potentials import Potential, PotentialError, potential

METALS = frozenset({"Al", "Cu"})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def perturbed() -> Potential:
    """CHGNet with the layer that reads atoms out turned up by half."""
    ill = potential("chgnet")
    with torch.no_grad():
        ill._network.mlp.layers[-1].weight.mul_(1.5)
    return ill


def test_the_shipped_weights_are_healthy(cache: Path) -> None:
    """The verdict is written down, and stands without another look at the weights."""
    good = potential("chgnet")
    refuse_ill(good, good.load_model(gradients=False))
    assert len(list(cache.glob("hullscape/**/*.json"))) == 1
    refuse_ill(good, perturbed().load_model(gradients=False))


def test_a_flaw_that_was_mended_is_looked_for_again(cache: Path) -> None:
    """A calculator may be mended without another version; a verdict of before would stand."""
    chosen = emt(METALS)
    with pytest.raises(PotentialError, match="not fit for use"):
        refuse_ill(chosen, CalculatorModel(AlteredEmt(scaled(-1, "stress"))))
    refuse_ill(chosen, chosen.load_model())


def test_damaged_weights_are_refused(cache: Path) -> None:
    """The message says which crystal, what was expected on which scale, and how to mend it."""
    words = r"fit for use: \w+ has -?\d+\.\d+ eV/atom, expected -?\d+\.\d+ .* the MP2020 scale: get"
    with pytest.raises(PotentialError, match=words):
        perturbed().model()
    with pytest.raises(PotentialError, match=words):
        perturbed().model()


def test_random_weights_have_no_scale_but_must_be_sane(cache: Path) -> None:
    """Of a potential of unknown scale only the size of the energies is known."""
    assert examine(emt(), emt().load_model()) == ""
    wild = potential("chgnet")
    object.__setattr__(wild, "correction", "none")
    with torch.no_grad():
        wild._network.composition_model.fc.weight.mul_(9)
    assert "expected between -15 and 1" in examine(wild, wild.load_model(gradients=False))


def scaled(factor: float, *names: str) -> Callable[[dict[str, Any], int], None]:
    """Return what multiplies these results, or all."""

    def alter(results: dict[str, Any], _: int) -> None:
        for name in names or tuple(results):
            results[name] = results[name] * factor

    return alter


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (scaled(1 / 27.2114), "changes with its volume 0.0"),
        (scaled(1 / 27.2114, "energy"), "changes with its volume 0.0"),
        (scaled(23.06), "times as much"),
        (scaled(160.2, "stress"), "has a stress of"),
        (scaled(-1, "stress"), "has a stress of"),
        (scaled(-1, "forces"), "has a force of"),
        (lambda results, _: results.pop("stress"), "no forces and stress of"),
        (lambda results, _: results.update(forces=results["forces"][:1]), "expected forces of"),
        (scaled(1.0), ""),
    ],
)
def test_answers_in_other_units_are_refused(alter, complaint) -> None:
    """Of a potential of no scale each of them looked like an energy."""
    told = examine(emt(METALS), CalculatorModel(AlteredEmt(alter), gradients=False))
    assert (complaint in told) if complaint else told == ""


def test_what_a_calculator_lacks_is_told() -> None:
    """To a campaign, which asks for all at once, one without stress seemed to have no energy."""
    mute = AlteredEmt(lambda results, _: results.pop("stress"))
    told = examine(emt(METALS), CalculatorModel(mute))
    assert told.startswith("it gives no energy for Al, Cu: calculator error: ")
    assert "stress" in told


def test_the_energy_of_an_atom_is_not_that_of_a_cell() -> None:
    """Elements in cells of one atom do not tell."""

    def alter(results: dict[str, Any], atoms: int) -> None:
        results["energy"] = (results["energy"] - 4.0 * atoms) / atoms

    told = examine(emt(METALS), CalculatorModel(AlteredEmt(alter), gradients=False))
    assert "expected twice as much, the energy of a whole cell" in told


def test_every_crystal_has_an_expected_energy() -> None:
    """At least a dozen, on each scale."""
    assert len(known_crystals()) >= 12
    assert all(set(scale) == set(known_crystals()) for scale in SCALES.values())
