"""The way of a relaxation: every step's numbers, some frames, the same in both engines."""

import io

import numpy as np
import pytest
from ase import Atoms
from pymatgen.core import Lattice, Structure
from toy_potentials import emt

from explorer.batch_evaluation import Evaluation
from explorer.batch_relaxation import Batch
from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, Relaxation, State
from explorer.lease import Leases, new_owner
from explorer.relaxation import Limits, relax_structure
from explorer.store import Store
from explorer.trace import MOST_FRAMES, Recorder, Trace

COPPER = Structure(
    Lattice.cubic(3.8), ["Cu"] * 4, [[0, 0, 0], [0.53, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
)


def by_batch(max_steps: int = 200) -> Relaxation:
    """Relax copper with the batched engine in this process."""
    batch = Batch(emt().model(), emt().level, Limits(max_steps=max_steps))
    assert batch.add("one", COPPER) is None
    while True:
        if ended := batch.advance():
            return ended[0][1]


def by_ase() -> Relaxation:
    """Relax copper with ASE's FIRE in this process."""
    return relax_structure(COPPER, emt().calculator(), emt().level)


@pytest.mark.parametrize("relax", [by_batch, by_ase])
def test_a_trace_leads_from_the_first_geometry_to_the_relaxed_one(relax):
    """One entry for each evaluation; its ends are what went in and what came out."""
    result = relax()
    trace = result.trace
    assert result.converged
    assert len(trace.energies) == len(trace.forces) == len(trace.stresses) == result.steps + 1
    assert trace.energies[-1] == pytest.approx(result.energy_per_atom)
    assert trace.energies[-1] < trace.energies[0]
    assert trace.forces[-1] == pytest.approx(np.linalg.norm(result.forces, axis=1).max())
    assert trace.stresses[-1] == pytest.approx(np.abs(result.stress).max())
    assert (trace.frames[0], trace.frames[-1]) == (0, result.steps)
    assert trace.structure(0).matches(COPPER)
    last = trace.structure(len(trace.frames) - 1)
    assert np.allclose(last.lattice.matrix, result.structure.lattice.matrix)
    assert np.allclose(last.cart_coords, result.structure.cart_coords)


def test_a_relaxation_that_was_given_up_keeps_its_trace():
    """What did not converge is what somebody wants to look at."""
    result = by_batch(max_steps=2)
    assert not result.converged
    assert len(result.trace.energies) == 3


@pytest.mark.parametrize("steps", [1, MOST_FRAMES, MOST_FRAMES + 1, 300])
def test_frames_are_thinned_evenly_and_the_last_is_kept(steps):
    """However long it takes, a bounded number of frames at equal distances, and the end."""
    recorder = Recorder()
    for step in range(steps):
        atoms = Atoms("Cu", positions=[[0.01 * step, 0, 0]], cell=np.eye(3) * (3 + step), pbc=True)
        recorder.add(atoms, Evaluation(-float(step), np.zeros((1, 3)), np.eye(3) * step))
    trace = recorder.trace()
    assert len(trace.energies) == steps
    assert len(trace.frames) <= MOST_FRAMES
    assert trace.frames[-1] == steps - 1
    assert len(set(np.diff(trace.frames[:-1]))) <= 1
    assert np.allclose(trace.lattices[:, 0, 0], 3 + trace.frames)


def test_a_relaxation_without_an_evaluation_has_no_trace():
    """Nothing is made up."""
    overlapping = Structure(Lattice.cubic(4), ["Cu", "Cu"], [[0, 0, 0], [0.01, 0, 0]])
    batch = Batch(emt().model(), emt().level, Limits())
    assert batch.add("one", overlapping).trace is None


def test_the_store_keeps_a_trace_apart_from_its_candidate(tmp_path):
    """The newest relaxation of a candidate replaces the one before; others have none."""
    store = Store(tmp_path / "campaigns.db")
    campaign = store.create(CampaignSpec(elements=("Cu",)))
    lease = Leases(store.engine, new_owner()).take(campaign)
    relaxed = [Candidate(id=f"{n:06d}", index=n, state=State.RELAXED) for n in range(2)]
    first, second = by_batch(max_steps=2).trace, by_batch().trace
    for trace in (first, second):
        store.put_candidates(lease, relaxed, traces={"000000": trace})
    back = store.trace(campaign, "000000")
    assert np.allclose(back.energies, second.energies)
    assert np.array_equal(back.frames, second.frames)
    assert back.structure(0).matches(COPPER)
    assert store.trace(campaign, "000001") is None
    store.close()


def test_a_trace_is_read_without_unpickling():
    """A stored trace cannot run anything."""
    file = io.BytesIO()
    np.savez(file, energies=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Trace.from_bytes(file.getvalue())
