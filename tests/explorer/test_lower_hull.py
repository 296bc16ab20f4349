"""Many placements at once, against pymatgen's one by one."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from explorer.lower_hull import LowerHull

ELEMENTS = ("Al", "Ca", "Cu", "Fe", "Mg", "Na", "O", "Si")


def random_points(count: int, points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return compounds of up to four elements above and below the elements, corners first."""
    rng = np.random.default_rng(seed)
    amounts = rng.integers(1, 5, (points, count)).astype(float)
    for row in amounts:
        row[rng.permutation(count)[4:]] = 0
    fractions = np.vstack([np.eye(count), amounts / amounts.sum(axis=1, keepdims=True)])
    return fractions, np.concatenate([rng.normal(-3, 1, count), rng.normal(-3.3, 0.6, points)])


def entries_of(fractions: np.ndarray, energies: np.ndarray) -> list[PDEntry]:
    """Return the same points for pymatgen."""
    return [
        PDEntry(Composition(dict(zip(ELEMENTS, row, strict=False))), energy, name=str(k))
        for k, (row, energy) in enumerate(zip(fractions, energies, strict=True))
    ]


@pytest.mark.parametrize("count", range(1, 9))
def test_distances_are_those_of_pymatgen(count: int) -> None:
    """1 to 8 elements, compounds and mixtures: energy of the hull, stable phases, shares."""
    fractions, energies = random_points(count, 30, seed=count)
    hull = LowerHull(fractions, energies)
    diagram = PhaseDiagram(entries_of(fractions, energies))
    stable = {int(entry.name) for entry in diagram.stable_entries}
    assert set(hull.vertices.tolist()) == stable
    asked = np.vstack([fractions, np.random.default_rng(0).dirichlet(np.ones(count), 20)])
    ours = hull.energy(asked)
    for row, energy in zip(asked, ours, strict=True):
        composition = Composition(dict(zip(ELEMENTS, row, strict=False)))
        assert energy == pytest.approx(diagram.get_hull_energy_per_atom(composition), abs=1e-8)
        shares = hull.decompose(row)
        assert sum(shares.values()) == pytest.approx(1)
        mixed = sum(energies[k] * share for k, share in shares.items())
        assert mixed == pytest.approx(energy, abs=1e-8)
        rebuilt = sum(fractions[k] * share for k, share in shares.items())
        assert np.allclose(rebuilt, row, atol=1e-7)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_adding_points_is_the_hull_of_all(count: int) -> None:
    """Step by step or at once, the same corners stand; points above the hull change nothing."""
    fractions, energies = random_points(count, 60, seed=7)
    first = count + 10
    stepwise = LowerHull(fractions[:first], energies[:first])
    for start in range(first, len(energies), 10):
        stop = start + 10
        stepwise = stepwise.lowered_by(fractions[start:stop], energies[start:stop])
    whole = LowerHull(fractions, energies)
    assert set(stepwise.vertices) == set(whole.vertices)
    assert np.allclose(stepwise.energy(fractions), whole.energy(fractions))
    high = stepwise.lowered_by(fractions[count:], np.full(len(energies) - count, 5.0))
    assert np.array_equal(high.facets, stepwise.facets)


def test_the_lower_of_two_polymorphs_is_the_corner() -> None:
    """Equal compositions leave one corner, and equal energies do not break the hull."""
    half = np.array([[1.0, 0], [0, 1], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    hull = LowerHull(half, np.array([0.0, 0, -0.1, -0.3, -0.3]))
    assert hull.vertices.tolist() == [0, 1, 3]
