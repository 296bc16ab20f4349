"""The retrieval curve counts each target once, against crystals and against relaxations."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.crystals import NamedStructure
from explorer.retrieval import RetrievalCurve


def structure(a: float, *symbols: str) -> Structure:
    """Return two atoms in a cube."""
    return Structure(Lattice.cubic(a), list(symbols), [[0, 0, 0], [0.5, 0.5, 0.5]])


TARGETS = [
    NamedStructure("cscl", structure(4.1, "Cs", "Cl")),
    NamedStructure("cuzn", structure(2.95, "Cu", "Zn")),
    NamedStructure("never", structure(3.0, "Ni", "Al")),
]


def test_each_target_counts_once_when_first_found() -> None:
    """Found as drawn, or only after relaxation; found again changes nothing."""
    curve = RetrievalCurve(TARGETS)
    assert curve.add(0, None, relaxed=False) == []
    assert curve.add(4, structure(4.2, "Cs", "Cl"), relaxed=False) == ["cscl"]
    assert curve.add(4, structure(4.1, "Cs", "Cl"), relaxed=True) == []
    assert curve.add(9, structure(4.0, "Cu", "Cl"), relaxed=False) == []
    assert curve.add(9, structure(2.9, "Zn", "Cu"), relaxed=True) == ["cuzn"]
    curve.add(19, structure(4.2, "Cs", "Cl"), relaxed=False)
    assert curve.found == {"cscl": 5, "cuzn": 10}
    assert curve.missed == ["never"]
    steps = curve.curve()
    assert np.array_equal(steps.crystals, [0, 5, 10, 20])
    assert np.array_equal(steps.found_by_crystals, [0, 1, 2, 2])
    assert np.array_equal(steps.relaxations, [0, 2])
    assert np.array_equal(steps.found_by_relaxations, [1, 2])
    assert steps.recall == pytest.approx(2 / 3)


def test_an_empty_curve_starts_at_zero() -> None:
    """Before anything is drawn both curves are one point."""
    steps = RetrievalCurve([]).curve()
    assert steps.crystals.tolist() == steps.found_by_crystals.tolist() == [0]
    assert np.isnan(steps.recall)


def test_an_unfit_crystal_only_counts_as_drawn() -> None:
    """NaN never reaches the matcher."""
    curve = RetrievalCurve(TARGETS)
    bad = structure(4.1, "Cs", "Cl")
    bad.translate_sites([0], [float("nan")] * 3)
    assert curve.add(6, bad, relaxed=True) == []
    steps = curve.curve()
    assert (steps.crystals[-1], steps.relaxations[-1]) == (7, 1)


def test_an_unfit_target_is_named() -> None:
    """A target that cannot be compared would silently lower the recall."""
    bad = NamedStructure("bad", structure(0.5, "Cs", "Cl"))
    with pytest.raises(ValueError, match="target bad"):
        RetrievalCurve([bad])
