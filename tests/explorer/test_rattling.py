"""Rattling: what rests on a saddle leaves it, what rests in a minimum comes back unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from toy_potentials import emt

from explorer.batch_evaluation import CalculatorModel
from explorer.batch_relaxation import Batch
from explorer.candidate import Relaxation
from explorer.crystals import to_atoms
from explorer.potentials import potential
from explorer.rattling import LOWER, rattled
from explorer.relax import Relaxer
from explorer.relaxation import Limits, relax_structure
from explorer.relaxed import RATTLE

LIMITS = Limits(rattle=RATTLE)
ENGINES = ("batched", "ase")


def body_centred() -> Structure:
    """Copper on a saddle: its energy falls along the tetragonal strain that leads to fcc."""
    return Structure(2.9 * Lattice([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]).matrix,
                     ["Cu"], [[0, 0, 0]])  # fmt: skip


def face_centred() -> Structure:
    """Copper as it is."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]])


def heusler(a: float, first: str, second: str) -> Structure:
    """Two copper atoms, and one each of two others."""
    sites = [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Cu", first, second], sites)


def relax(structure: Structure, limits: Limits, engine: str) -> Relaxation:
    """Relax one crystal with the toy potential."""
    if engine == "ase":
        return relax_structure(structure, emt().calculator(), emt().level, limits)
    batch = Batch(CalculatorModel(emt().calculator()), emt().level, limits)
    batch.add("it", structure)
    while len(batch):
        for _, done in batch.advance():
            return done
    raise AssertionError("it never ended")


def group(relaxation: Relaxation) -> int:
    """Space group of what came out."""
    return SpacegroupAnalyzer(relaxation.structure, symprec=0.1).get_space_group_number()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crystal_on_a_saddle_leaves_for_the_form_below(engine: str) -> None:
    """It is said by how much, and the way there is one: each step has its energy."""
    held, free = (relax(body_centred(), limits, engine) for limits in (Limits(), LIMITS))
    assert (group(held), held.lowered) == (229, None)
    assert free.converged
    assert group(free) == 225
    assert free.lowered == pytest.approx(held.energy_per_atom - free.energy_per_atom, abs=1e-9)
    assert free.lowered > LOWER
    assert len(free.trace.energies) == free.steps + 1
    assert free.energy_per_atom == pytest.approx(free.trace.energies[-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crystal_in_a_minimum_is_what_it_would_be_unrattled(engine: str) -> None:
    """To the last bit, with its exact symmetry; the clock alone knows that it was tried."""
    plain, tried = (relax(face_centred(), limits, engine) for limits in (Limits(), LIMITS))
    assert (plain.lowered, tried.lowered) == (None, 0.0)
    assert tried.structure.lattice == plain.structure.lattice
    assert np.array_equal(tried.structure.frac_coords, plain.structure.frac_coords)
    assert (tried.energy_per_atom, tried.steps) == (plain.energy_per_atom, plain.steps)
    assert tried.trace.to_bytes() == plain.trace.to_bytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_one_that_finds_no_rest_stays_what_it_was_and_nothing_is_claimed(engine: str) -> None:
    """The saddle is reached within the limit, the form below is not."""
    limits = replace(LIMITS, max_steps=relax(body_centred(), Limits(), engine).steps)
    tried = relax(body_centred(), limits, engine)
    assert tried.converged
    assert (group(tried), tried.lowered) == (229, None)


def test_what_keeps_its_symmetry_is_not_rattled() -> None:
    """It was asked to stay on its saddle."""
    batch = Batch(CalculatorModel(emt().calculator()), emt().level, LIMITS, keep_symmetry=True)
    batch.add("it", body_centred())
    ended = []
    while len(batch):
        ended += batch.advance()
    assert [(group(done), done.lowered) for _, done in ended] == [(229, None)]


@pytest.mark.parametrize("engine", ENGINES)
def test_only_crystals_up_to_a_size_are_rattled_where_one_is_given(engine: str) -> None:
    """The limit itself is still rattled."""
    double = body_centred() * (2, 1, 1)
    told = [relax(double, replace(LIMITS, rattle_atoms=size), engine) for size in (1, 2)]
    assert told[0].lowered is None
    assert told[1].lowered > LOWER


def test_what_fails_is_not_rattled() -> None:
    """Too few steps are too few, before a rattle as without."""
    done = relax(face_centred().scale_lattice(60.0), replace(LIMITS, max_steps=1), "batched")
    assert (done.converged, done.steps, done.lowered) == (False, 1, None)


def test_a_rattle_is_as_large_as_asked_and_the_same_each_time() -> None:
    """Root mean square over the atoms, beside what the strained cell moves."""
    crystal = to_atoms(face_centred() * (3, 3, 3))
    moved = rattled(crystal, 0.05)
    strained = crystal.copy()
    strained.set_cell(moved.cell, scale_atoms=True)
    away = moved.positions - strained.positions
    assert np.sqrt((away**2).sum(axis=1).mean()) == pytest.approx(0.05, rel=0.1)
    assert np.array_equal(moved.positions, rattled(crystal, 0.05).positions)
    strain = np.linalg.solve(crystal.cell.array, moved.cell.array) - np.eye(3)
    assert strain == pytest.approx(strain.T)
    assert 0 < np.abs(strain).max() < 0.03


def test_chgnet_lets_known_crystals_be_and_drops_a_made_up_one() -> None:
    """Salt, silicon and a Heusler compound stand; the Heusler structure of CaAlCu2 does not."""
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0] * 3])
    known = [salt, silicon, heusler(5.96, "Mn", "Al")]
    made_up = heusler(6.2, "Ca", "Al")
    crystals = [crystal.get_primitive_structure() for crystal in (*known, made_up)]
    with Relaxer(potential("chgnet"), workers=1, rattle=RATTLE) as relaxer:
        done = dict(relaxer.relax(enumerate(crystals)))
    assert [done[place].lowered for place in range(3)] == [0.0] * 3
    assert done[3].lowered > 0.1
    assert group(done[3]) != 225
