"""What every potential promises: one test for all that this machine has."""

import os
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Lattice, Structure
from torch_sim.models.interface import ModelInterface
from toy_potentials import emt

from explorer.batch_evaluation import CalculatorModel, Evaluation, evaluate
from explorer.crystals import from_atoms, to_atoms
from explorer.potentials import Potential, available, potential
from explorer.relax import Relaxer

FURTHER = os.environ.get("HULLSCAPE_TEST_POTENTIALS", "").split()
"""Such as matgl:/path/to/model; they are held to the same contract."""


@pytest.fixture(scope="module")
def small_matgl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A TensorNet with few and random weights, saved as matgl saves models."""
    from matgl.apps.pes import Potential as Pes  # noqa: PLC0415 - seconds to import
    from matgl.models import TensorNet  # noqa: PLC0415

    torch.manual_seed(3)
    sizes = {"units": 8, "nblocks": 1, "num_rbf": 6, "cutoff": 4.5}
    network = TensorNet(element_types=("Al", "Cl", "Cu", "Na"), is_intensive=False, **sizes)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(2)  # as drawn, they give next to no forces
    folder = tmp_path_factory.mktemp("potential") / "small"
    folder.mkdir()
    Pes(network, element_refs=np.array([-3.0, -2.0, -4.0, -1.0])).save(folder)
    return f"matgl:{folder}"


@pytest.fixture(scope="module", params=["emt", "matgl", *available(), *FURTHER])
def each(request: pytest.FixtureRequest) -> Potential:
    """Every potential in turn."""
    if request.param == "emt":
        return emt()
    name = request.getfixturevalue("small_matgl") if request.param == "matgl" else request.param
    return potential(name)


@pytest.fixture(scope="module")
def crystals(each: Potential) -> Iterator[list[Atoms]]:
    """Distorted crystals of elements that the potential knows, in cells without symmetry."""
    copper = bulk("Cu", "fcc", a=3.7, cubic=True)
    alloy = bulk("AlCu", "cesiumchloride", a=3.0).repeat((2, 1, 1))
    crystals = [copper, alloy]
    if "Na" in each.elements:
        lattice = Lattice.from_parameters(4.0, 3.9, 4.1, 62, 60, 58)
        crystals.append(to_atoms(Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [0.47, 0.52, 0.5]])))
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.08, seed=seed)
        strain = np.array([[0.02, 0.01, 0], [0.01, -0.02, 0.005], [0, 0.005, 0.01]])
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return crystals


@pytest.fixture(scope="module")
def answers(each: Potential, crystals: list[Atoms]) -> list[Evaluation]:
    """What the potential says of the crystals, all in one batch."""
    return evaluate(each.model(), crystals)


def slope(model: ModelInterface, at: Callable[[float], Atoms], step: float = 0.01) -> float:
    """Return the derivative of the energy of `at(x)` at x = 0, by five points."""
    points = [at(factor * step) for factor in (2, 1, -1, -2)]
    far, near, back, far_back = (answer.energy for answer in evaluate(model, points))
    return (8 * (near - back) - (far - far_back)) / (12 * step)


def test_forces_are_slopes_of_the_energy(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Moving an atom by a little changes the energy as its force says: eV/Å."""
    model = each.model()
    for atoms, answer in zip(crystals, answers, strict=True):
        for axis in range(3):

            def moved(by: float, atoms: Atoms = atoms, axis: int = axis) -> Atoms:
                other = atoms.copy()
                other.positions[1, axis] += by
                return other

            assert -slope(model, moved) == pytest.approx(answer.forces[1, axis], abs=0.01, rel=2e-3)


def test_energies_alone_leave_the_calculator_whole(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Where static energies were asked for before, ASE still gets forces and stress."""
    structure = from_atoms(crystals[0])
    assert list(each.static_energies([structure])) == pytest.approx(
        [answers[0].energy / len(crystals[0])], abs=1e-4
    )
    atoms = crystals[0].copy()
    atoms.calc = each.calculator()
    assert atoms.get_forces() == pytest.approx(answers[0].forces, abs=1e-3)
    assert atoms.get_stress(voigt=False) == pytest.approx(answers[0].stress, abs=1e-3)


def test_stress_is_the_slope_by_strain(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Units and sign are those of ASE: eV/Å³, negative under compression; GPa would be 160 fold."""
    model = each.model()
    for atoms, answer in zip(crystals, answers, strict=True):
        for i, j in ((0, 0), (1, 2)):

            def strained(by: float, atoms: Atoms = atoms, i: int = i, j: int = j) -> Atoms:
                strain = np.zeros((3, 3))
                strain[i, j] = strain[j, i] = by if i == j else by / 2
                other = atoms.copy()
                other.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                return other

            found = slope(model, strained) / atoms.get_volume()
            assert found == pytest.approx(answer.stress[i, j], abs=1e-3)


def test_a_left_handed_cell_is_no_other_crystal(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Its volume is not below zero: a calculator that divides by that turns the stress round."""
    turned = [atoms.copy() for atoms in crystals]
    for atoms in turned:
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    for model in (each.model(), CalculatorModel(each.calculator())):
        for here, there in zip(answers, evaluate(model, turned), strict=True):
            assert there.energy == pytest.approx(here.energy, abs=1e-3)
            assert there.forces == pytest.approx(here.forces, abs=1e-3)
            assert there.stress == pytest.approx(here.stress, abs=1e-3)


def test_one_crystal_has_one_energy(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Turned, moved, repeated or with other atoms first, it has the same energy per atom."""
    for atoms, answer in zip(crystals, answers, strict=True):
        turned = atoms.copy()
        turned.rotate(37, (1, 2, 3), rotate_cell=True)
        moved = atoms.copy()
        moved.positions += (0.3, 1.7, -2.1)
        others = [turned, moved, atoms.repeat((2, 1, 1)), atoms[::-1]]
        energies = [
            found.energy / len(other)
            for found, other in zip(evaluate(each.model(), others), others, strict=True)
        ]
        assert energies == pytest.approx([answer.energy / len(atoms)] * 4, abs=2e-5)


def test_a_batch_says_what_each_crystal_hears_alone(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """Company changes nothing, and the library's own calculator agrees."""
    calculator = each.calculator()
    for atoms, answer in zip(crystals, answers, strict=True):
        (alone,) = evaluate(each.model(), [atoms])
        single = atoms.copy()
        single.calc = calculator
        for energy in (alone.energy, single.get_potential_energy()):
            assert energy == pytest.approx(answer.energy, abs=2e-5 * len(atoms))
        assert np.allclose(alone.forces, answer.forces, atol=1e-4)
        assert np.allclose(single.get_forces(), answer.forces, atol=3e-4)
        assert np.allclose(single.get_stress(voigt=False), answer.stress, atol=3e-5)


def test_energies_without_gradients_are_the_same(
    each: Potential, crystals: list[Atoms], answers: list[Evaluation]
) -> None:
    """A static energy is the energy that a relaxation would start from."""
    structures = [Structure.from_ase_atoms(atoms) for atoms in crystals]
    expected = [a.energy / len(c) for a, c in zip(answers, crystals, strict=True)]
    assert list(each.static_energies(structures)) == pytest.approx(expected, abs=2e-5)


def test_an_unknown_element_is_refused_by_name(each: Potential) -> None:
    """Before the potential sees it, and the element is named."""
    every = {"Po", "Og"} - each.elements
    strange = sorted(every)[0]
    cell = Structure(Lattice.cubic(4.0), [strange], [[0, 0, 0]])
    with Relaxer(each, workers=1) as relaxer:
        result = dict(relaxer.relax([("strange", cell)]))["strange"]
    assert result.reason == f"{each.name} does not know {strange}"
    assert result.structure is None


def test_what_identifies_a_potential_travels(each: Potential) -> None:
    """Name, version, hash, elements and correction make the ledger line of each energy."""
    assert len(each.checkpoint_hash) == 12
    assert each.version
    assert each.correction in {"none", "MP2020"}
    assert each.level.checkpoint == each.checkpoint_hash
    assert pickle.loads(pickle.dumps(each)) == each  # noqa: S301 - as workers receive it
