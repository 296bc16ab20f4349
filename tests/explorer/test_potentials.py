"""The registry of potentials, and CHGNet as a calculator."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.batch_evaluation import Evaluation, evaluate
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


def test_loading_and_evaluating_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """CHGNet's announcement and torch's complaints about it are not for the user."""
    fresh = potential("chgnet")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        list(fresh.static_energies([salt()]))
        assert isinstance(evaluate(fresh.model(), [to_atoms(salt())])[0], Evaluation)
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
