"""The descent of one crystal: exact slopes, careful steps, nothing of the caller's changed."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from explorer.batch_descent import MAX_MOVE, MAX_STRAIN, Descent, spring_hessian


def crystal() -> Atoms:
    """Return a distorted alloy in a cell without right angles."""
    atoms = bulk("AlCu", "cesiumchloride", a=3.1).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=4)
    shear = np.eye(3) + np.array([[0.03, 0.02, 0], [0, -0.02, 0.01], [0.04, 0, 0.01]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


def told(descent: Descent, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Evaluate the geometry that a descent proposes."""
    frame = atoms.copy()
    frame.set_cell(descent.cell)
    frame.positions = descent.positions
    frame.calc = EMT()
    return frame.get_potential_energy(), frame.get_forces(), frame.get_stress(voigt=False)


def test_the_first_geometry_is_the_given_one() -> None:
    """And it stays the caller's: the descent keeps a copy of cell and positions."""
    atoms = crystal()
    descent = Descent(atoms)
    assert np.allclose(descent.positions, atoms.positions)
    before = descent.cell.copy()
    atoms.set_cell(2 * atoms.cell.array, scale_atoms=True)
    assert np.allclose(descent.cell, before)


def test_the_slope_is_exact_in_a_strained_cell() -> None:
    """By finite differences, for atoms and strain alike, far from the first cell."""
    atoms = crystal()
    descent = Descent(atoms)
    for _ in range(2):
        descent.step(*told(descent, atoms))
    here = descent._x.copy()
    _, forces, stress = told(descent, atoms)
    slope = descent._slope(forces, stress)
    assert np.abs(here[-6:]).max() > 1e-3
    for k in (0, 4, len(here) - 6, len(here) - 3, len(here) - 1):
        energies = []
        for sign in (1, -1):
            descent._x = here.copy()
            descent._x[k] += sign * 1e-4
            energies.append(told(descent, atoms)[0])
        assert (energies[0] - energies[1]) / 2e-4 == pytest.approx(slope[k], abs=1e-4)


def test_no_step_goes_too_far() -> None:
    """Neither an atom nor the cell, however large the forces."""
    atoms = crystal()
    descent = Descent(atoms)
    energy, forces, stress = told(descent, atoms)
    descent.step(energy, 1e3 * forces, 1e3 * stress)
    moved = descent._x[:-6].reshape(-1, 3) - atoms.positions
    assert np.linalg.norm(moved, axis=1).max() <= MAX_MOVE + 1e-9
    assert np.abs(descent._x[-6:]).max() <= MAX_STRAIN + 1e-9


def test_a_step_that_raises_the_energy_is_taken_back() -> None:
    """The next proposal lies on the same way, nearer to the start."""
    atoms = crystal()
    descent = Descent(atoms)
    start = descent._x.copy()
    energy, forces, stress = told(descent, atoms)
    descent.step(energy, 50 * forces, stress)
    first = descent._x - start
    descent.step(energy + 1.0, forces, stress)
    assert 0 < np.linalg.norm(descent._x - start) < np.linalg.norm(first)


def test_springs_hold_every_coordinate() -> None:
    """Symmetric and positive, and moving the whole crystal costs no more than the floor."""
    atoms = crystal()
    hessian = spring_hessian(atoms)
    assert np.allclose(hessian, hessian.T)
    values = np.linalg.eigvalsh(hessian)
    assert values[0] > 0
    shift = np.zeros(len(hessian))
    shift[0:-6:3] = 1
    assert shift @ hessian @ shift / len(atoms) == pytest.approx(values[0], rel=1e-6)


def test_a_distorted_crystal_needs_few_steps() -> None:
    """Fifteen are enough for small forces and stress; steepest descent would need hundreds."""
    atoms = crystal()
    descent = Descent(atoms)
    for _ in range(15):
        descent.step(*told(descent, atoms))
    _, forces, stress = told(descent, atoms)
    assert np.linalg.norm(forces, axis=1).max() < 0.05
    assert np.abs(stress).max() < 0.003
