"""S.U.N. by each definition: who counts, in which order, divided by what."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import ELEMENTS, EmtPotential

from explorer.baselines import Drawn
from explorer.crystals import NamedStructure
from explorer.evaluate.sun import Outcome, distances_moved, evaluate_sun, is_valid, outcomes
from explorer.hull import Hull
from explorer.references import ReferencePhases
from explorer.relax import Relaxer


def salt(anion: str = "Cl", a: float = 5.64) -> Structure:
    """Rock salt of sodium."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Na", anion], [[0] * 3, [0.5] * 3]
    ).get_primitive_structure()


def lopsided() -> Structure:
    """Sodium bromide without any symmetry."""
    lattice = Lattice.from_parameters(5.0, 5.6, 6.1, 84, 97, 103)
    points = [[0, 0, 0], [0.48, 0.53, 0.46], [0.1, 0.55, 0.5], [0.6, 0.1, 0.07]]
    return Structure(lattice, ["Na", "Br", "Na", "Br"], points)


def placed(structure: Structure, above: float | None) -> Outcome:
    """A crystal that did not move, at some distance from the hull."""
    reason = "" if above is not None else "no elemental reference phase"
    return Outcome(structure, structure, above, reason, converged=True)


TOLD = [
    placed(salt(a=5.8), 0.2),
    placed(salt(), 0.05),
    placed(salt("F", 4.7), -0.01),
    placed(lopsided(), 0.0),
    placed(salt("I", 6.5), None),
    Outcome(None, reason="no end"),
]
KNOWN = [NamedStructure("villiaumite", salt("F", 4.6))]


def test_mattergen_masks_duplicates_among_all_that_was_generated() -> None:
    """The stable salt repeats an unstable one, so only the lopsided crystal is left."""
    told = evaluate_sun(TOLD, KNOWN, definition="mattergen", workers=1)
    assert told["n"] == 6
    assert told["counts"]["stable"] == {"0": 2, "0.1": 3}
    assert told["counts"]["unique"] == 4
    assert told["counts"]["novel"] == 4
    assert told["sun"] == {"0": pytest.approx(1 / 6), "0.1": pytest.approx(1 / 6)}
    assert told["reasons"] == {"no elemental reference phase": 1, "no end": 1}
    assert told["rmsd"] == pytest.approx(0.0, abs=1e-3)
    assert "ssun" not in told


def test_lemat_looks_for_duplicates_among_the_stable_and_divides_by_the_valid() -> None:
    """The stable salt is the first of the stable; what is not valid is not in the denominator."""
    told = evaluate_sun(TOLD, KNOWN, definition="lemat", workers=1)
    assert (told["n"], told["counts"]["generated"]) == (5, 6)
    assert told["counts"]["sun"] == {"0": 1, "0.1": 2}


def test_wyformer_tells_the_symmetric_apart() -> None:
    """A crystal of group P1 is S.U.N. but not S.S.U.N."""
    told = evaluate_sun(TOLD, KNOWN, definition="wyformer", workers=1)
    assert told["counts"]["sun"]["0.1"] == 1
    assert told["ssun"] == {"0": 0.0, "0.1": 0.0}


def test_bad_questions_are_refused() -> None:
    """An unknown definition lists those there are; nothing cannot be judged."""
    with pytest.raises(ValueError, match="mattergen, lemat, wyformer, got 'sun'"):
        evaluate_sun(TOLD, KNOWN, definition="sun")
    with pytest.raises(ValueError, match="at least one crystal"):
        evaluate_sun([], KNOWN)


def test_validity_asks_for_charges_distances_and_densities() -> None:
    """Unbalanced, crowded and empty crystals are not valid."""
    assert is_valid(salt())
    crowded = salt(a=3.0)
    unbalanced = Structure(Lattice.cubic(6.0), ["Na", "F", "F"], [[0] * 3, [0.5] * 3, [0.5, 0, 0]])
    assert not is_valid(crowded)
    assert not is_valid(unbalanced)
    assert not is_valid(salt(a=60.0))
    assert not is_valid(None)


def test_distance_moved_is_in_angstrom_per_atom() -> None:
    """One of two atoms moved by 0.2 Å and the other held: 0.1 Å each once the mean shift is out."""
    moved = salt()
    moved.translate_sites([1], [0.2, 0, 0], frac_coords=False)
    (distance, none) = distances_moved([(salt(), moved), (salt(), salt("F"))])
    assert distance == pytest.approx(0.1, rel=0.05)
    assert none is None


def test_outcomes_keep_every_crystal_in_its_place() -> None:
    """Undecodable and colliding crystals are not relaxed; a good one is relaxed and placed."""
    emt = EmtPotential("emt", "1", "0" * 12, ELEMENTS, "none")
    hull = Hull(ReferencePhases(emt.level, (), ("Cu",)))
    collision = Structure(Lattice.cubic(4.0), ["Cu", "Cu"], [[0] * 3, [0.05, 0, 0]])
    drawn = [
        Drawn(0, reason="no end"),
        Drawn(1, given=collision),
        Drawn(2, given=Structure(Lattice.cubic(3.7), ["Cu"] * 4, _FCC)),
    ]
    with Relaxer(emt, workers=1, max_steps=50, engine="ase") as relaxer:
        told = outcomes(drawn, relaxer, lambda _: hull, lambda _: None)
    assert told[0].reason == "no end"
    assert "closer" in told[1].reason
    assert told[2].relaxed.volume == pytest.approx(4 * 11.5, rel=0.05)
    assert told[2].above is None
    assert "no elemental reference phase for Cu" in told[2].reason


_FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
