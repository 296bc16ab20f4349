"""The registry of potentials, and CHGNet as a calculator."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.crystals import to_atoms
from explorer.potentials import EnergyLevel, Potential, PotentialError, available, potential


@pytest.fixture(scope="module")
def chgnet() -> Potential:
    """The default potential."""
    return potential("chgnet")


def salt() -> Structure:
    """Return distorted rock salt, so that no force vanishes."""
    lattice = Lattice.from_parameters(4.0, 3.9, 4.1, 62, 60, 58)
    return Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [0.47, 0.52, 0.5]])


def test_chgnet_is_known_without_being_loaded(chgnet: Potential) -> None:
    """Name, hash and elements come without the weights, and travel to a worker."""
    assert "chgnet" in available()
    assert re.fullmatch("[0-9a-f]{12}", chgnet.checkpoint_hash)
    assert chgnet.level == EnergyLevel("chgnet 0.3.0", chgnet.checkpoint_hash, "MP2020")
    assert {"H", "Pu"} <= chgnet.elements
    assert "Po" not in chgnet.elements
    assert len(chgnet.elements) == 89
    assert pickle.loads(pickle.dumps(chgnet)) == chgnet  # noqa: S301
    assert EnergyLevel.from_dict(chgnet.level.to_dict()) == chgnet.level


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "unknown potential 'nothing': expected one of chgnet"),
        ("matgl:", "matgl needs a model"),
        ("chgnet:large", "takes no argument"),
        ("matgl:/no/such/folder", "no such folder: /no/such/folder"),
        ("matgl:explorer", "no matgl model: expected model.json, model.pt, state.pt"),
        ("matgl:NoSuchModel", "neither a folder here nor on its hub .the hub cannot be reached"),
        ("matgl:owner/NoSuchModel", "give the folder that holds model.json"),
    ],
)
def test_a_wrong_name_is_told_what_is_right(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected, got, and how to mend it; without a network too."""
    (tmp_path / "explorer").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PotentialError, match=words):
        potential(name)


def test_unknown_elements_are_named(chgnet: Potential) -> None:
    """Polonium is in no training set."""
    structure = Structure(Lattice.cubic(3.4), ["Po"], [[0, 0, 0]])
    assert chgnet.unknown_elements(structure) == ["Po"]
    assert chgnet.unknown_elements(salt()) == []


def test_the_fast_calculator_agrees_with_the_one_of_chgnet(chgnet: Potential) -> None:
    """One backward pass gives the energy, forces and stress of CHGNet's own calculator."""
    from chgnet.model.dynamics import CHGNetCalculator  # noqa: PLC0415

    ours, theirs = to_atoms(salt()), to_atoms(salt())
    ours.calc, theirs.calc = chgnet.calculator(), CHGNetCalculator(use_device="cpu")
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-4)
    assert np.allclose(ours.get_forces(), theirs.get_forces(), atol=1e-4)
    assert np.allclose(ours.get_stress(), theirs.get_stress(), atol=1e-5)


def test_forces_and_stress_are_slopes_of_the_energy(chgnet: Potential) -> None:
    """Finite differences confirm the units and signs: eV/Å, and eV/Å³ as ASE counts stress."""
    atoms = to_atoms(salt())
    atoms.calc = chgnet.calculator()
    force, stress, step = atoms.get_forces()[1, 0], atoms.get_stress()[0], 0.01
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[1, 0] += sign * step
        energies.append(moved.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(force, abs=0.01)
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.calc = atoms.calc
        strained.set_cell(atoms.cell @ np.diag([1 + sign * step, 1, 1]), scale_atoms=True)
        energies.append(strained.get_potential_energy())
    slope = (energies[0] - energies[1]) / (2 * step * atoms.get_volume())
    assert slope == pytest.approx(stress, abs=0.002)


def test_loading_and_evaluating_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """CHGNet's announcement and torch's complaints about it are not for the user."""
    fresh = potential("chgnet")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        list(fresh.static_energies([salt()]))
        atoms = to_atoms(salt())
        atoms.calc = fresh.calculator()
        atoms.get_stress()
    assert capfd.readouterr() == ("", "")


def test_static_energies_in_batches(chgnet: Potential) -> None:
    """A batch gives what the calculator gives, and NaN for an atom without neighbours."""
    lonely = Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]])
    atoms = to_atoms(salt())
    atoms.calc = chgnet.calculator()
    first, none, again = chgnet.static_energies([salt(), lonely, salt()])
    assert first == pytest.approx(atoms.get_potential_energy() / 2, abs=1e-5)
    assert np.isnan(none)
    assert again == pytest.approx(first, abs=1e-6)
