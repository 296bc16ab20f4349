"""The corrections of published energies, added to a potential that learned plain ones."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure

from explorer.ase_potentials import FAMILIES
from explorer.batch_evaluation import evaluate
from explorer.crystals import from_atoms
from explorer.mp2020 import corrected, correction
from explorer.potentials import PotentialError, potential

# eV for each atom of the element: Wang et al., Sci. Rep. 11, 15496 (2021)
OXIDE, PEROXIDE, CHLORIDE, SULFIDE = -0.687, -0.465, -0.614, -0.503
FLUORIDE, IRON = -0.462, -2.256


def rocksalt(metal: str, anion: str) -> Structure:
    """Return two atoms."""
    return from_atoms(bulk(metal + anion, "rocksalt", a=4.4))


def peroxide() -> Structure:
    """Return a sodium cell with a pair of oxygen atoms 1.5 Å apart."""
    lattice = Lattice.cubic(5.0)
    places = [[0, 0, 0], [3.4, 3.4, 3.4], [1.75, 1.5, 0.5], [3.25, 1.5, 0.5]]
    return Structure(lattice, ["Na", "Na", "O", "O"], places, coords_are_cartesian=True)


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (rocksalt("Mg", "O"), OXIDE),
        (rocksalt("Na", "Cl"), CHLORIDE),
        (rocksalt("Ca", "S"), SULFIDE),
        (rocksalt("Fe", "O"), OXIDE + IRON),
        (rocksalt("Fe", "F"), FLUORIDE + IRON),
        (rocksalt("Fe", "S"), SULFIDE),
        (peroxide(), 2 * PEROXIDE),
        (from_atoms(bulk("NiAl", "cesiumchloride", a=2.89)), 0.0),
        (from_atoms(bulk("Fe", "bcc", a=2.87)), 0.0),
    ],
    ids=lambda value: value.reduced_formula if isinstance(value, Structure) else "",
)
def test_corrections_are_the_published_ones(structure: Structure, expected: float) -> None:
    """Anions, oxygen that is bonded to oxygen, and metals with a U; alloys and elements none."""
    assert correction(structure) == pytest.approx(expected, abs=2e-3)
    assert correction(structure * (2, 1, 1)) == pytest.approx(2 * correction(structure))


def test_forces_and_stress_stay() -> None:
    """Only the energy of a corrected calculator differs from that of the calculator."""
    atoms = bulk("CuO", "rocksalt", a=4.2).repeat((2, 1, 1))
    atoms.rattle(0.05, seed=1)
    plain, summed = atoms.copy(), atoms.copy()
    plain.calc, summed.calc = EMT(), corrected(EMT())
    gained = summed.get_potential_energy() - plain.get_potential_energy()
    assert gained == pytest.approx(2 * OXIDE, abs=2e-3)
    np.testing.assert_allclose(summed.get_forces(), plain.get_forces())
    np.testing.assert_allclose(summed.get_stress(), plain.get_stress())


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        *((f"sevennet:{model}", "MP2020") for model in ("7net-0", "7net-0_11Jul2024", "7net-l3i5")),
        *((f"sevennet:{model}", "none") for model in ("7net-omat", "7net-mf-ompa", "/my/7net-0")),
        *((f"mace:{model}", "MP2020") for model in ("medium", "small-0b2", "medium-mpa-0")),
        *((f"mace:{model}", "none") for model in ("medium-omat-0", "mace-matpes-pbe-0", "x.model")),
        *((f"orb:{model}", "MP2020") for model in ("orb-v3-direct-20-mpa", "orb-v2")),
        *((f"orb:{model}", "none") for model in ("orb-v3-direct-20-omat", "orb-d3-v2")),
        ("mattersim:MatterSim-v1.0.0-1M.pth", "none"),
    ],
)
def test_only_models_of_the_published_settings_are_corrected(name: str, scheme: str) -> None:
    """Other data, dispersion or a file of one's own: nobody knows the scale."""
    family, _, model = name.partition(":")
    assert FAMILIES[family].correction(model) == scheme


SEVENN = """
import torch
from ase.calculators.emt import EMT

class SevenNetCalculator(EMT):
    def __init__(self, model, device):
        super().__init__()
        self.model = torch.nn.Linear(1, 1)
"""


def test_a_model_of_an_optional_package_carries_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its level says so, its energies have them, and weights of another scale are refused."""
    folder = tmp_path / "sevenn"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "calculator.py").write_text(SEVENN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = potential("sevennet")
    assert (net.level.potential, net.level.correction) == ("sevennet 7net-0", "MP2020")
    oxide, plain = bulk("CuO", "rocksalt", a=4.4), EMT()
    (evaluation,) = evaluate(net.load_model(), [oxide])
    gained = evaluation.energy - plain.get_potential_energy(oxide)
    assert gained == pytest.approx(OXIDE, abs=2e-3)
    with pytest.raises(PotentialError, match="on the MP2020 scale"):
        list(net.static_energies([from_atoms(oxide)]))
