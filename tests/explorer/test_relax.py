"""The relaxer: converged means converged, and failures are values with a reason."""

import os
import signal
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import (
    ELEMENTS,
    BatchedPotential,
    EmtPotential,
    FailingModel,
    SlowToLoadPotential,
    StillbornPotential,
    UnloadablePotential,
    emt,
)

from explorer.batch_evaluation import evaluate
from explorer.batch_relaxation import Batch
from explorer.crystals import spacegroup_of, to_atoms
from explorer.potentials import PotentialError, potential
from explorer.relax import MOST_KILLS, Relaxer
from explorer.relaxation import (
    EMAX,
    FMAX,
    SMAX,
    STOPPED,
    Limits,
    fallen_apart,
    pieces,
    relax_structure,
)


def fcc(symbol: str, a: float = 4.2, shift: float = 0.0) -> Structure:
    """Return a cubic cell of four atoms, the second one displaced."""
    sites = [[0, 0, 0], [0.5 + shift, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(a), [symbol] * 4, sites)


@pytest.fixture(scope="module")
def relaxer() -> Iterator[Relaxer]:
    """Two workers with the toy potential."""
    with Relaxer(emt(), workers=2, max_seconds=30) as shared:
        yield shared


def relaxed(structure: Structure, **options: Limits) -> object:
    """Relax in this process with the toy potential."""
    return relax_structure(structure, emt().calculator(), emt().level, **options)


def test_converged_means_forces_and_stress() -> None:
    """A strained, displaced crystal ends below both limits, at the right lattice constant."""
    result = relaxed(fcc("Cu", a=3.9, shift=0.03))
    assert result.converged
    assert result.reason == ""
    assert np.linalg.norm(result.forces, axis=1).max() < FMAX
    assert np.abs(result.stress).max() < SMAX
    assert result.structure.lattice.a == pytest.approx(3.59, abs=0.03)
    assert spacegroup_of(result.structure) == 225
    assert result.forces.shape == (4, 3)
    assert result.stress.shape == (3, 3)


def test_zero_force_under_pressure_is_not_converged() -> None:
    """Symmetry alone makes forces vanish; the cell still has to relax."""
    result = relaxed(fcc("Cu", a=3.9), limits=Limits(max_steps=0))
    assert np.abs(result.forces).max() < 1e-6
    assert not result.converged
    assert result.reason == "not converged in 0 steps"
    assert result.energy_per_atom is not None


def test_the_step_cap_keeps_the_last_frame() -> None:
    """What does not converge keeps its structure and energy but says so."""
    result = relaxed(fcc("Cu", a=4.3, shift=0.05), limits=Limits(max_steps=3))
    assert result.steps == 3
    assert not result.converged
    assert result.structure is not None


def test_nan_in_the_middle_keeps_the_last_sane_frame() -> None:
    """Forces that turn NaN end the relaxation within a step."""
    result = relaxed(fcc("Au", a=4.4, shift=0.02))
    assert "non-finite" in result.reason
    assert not result.converged
    assert np.isfinite(result.structure.frac_coords).all()
    assert np.isfinite(result.energy_per_atom)


def test_an_unfit_structure_never_meets_the_potential() -> None:
    """The gate's reason becomes the reason of the relaxation."""
    bad = fcc("Cu")
    bad.translate_sites([0], [float("nan")] * 3)
    result = relaxed(bad)
    assert result.structure is None
    assert "non-finite" in result.reason


def test_an_exploding_cell_is_stopped() -> None:
    """Atoms out of each other's reach feel nothing; that is not called relaxed."""
    result = relaxed(fcc("Cu", a=2.0), limits=Limits(max_steps=200))
    assert not result.converged
    assert result.reason != ""


def test_stop_is_obeyed_between_steps() -> None:
    """A stop ends the relaxation with a reason of its own."""
    result = relax_structure(
        fcc("Cu", a=4.3), emt().calculator(), emt().level, should_stop=lambda: True
    )
    assert result.reason == STOPPED
    assert result.steps == 0


def test_every_structure_gets_exactly_one_answer(relaxer: Relaxer) -> None:
    """All keys come back once, whatever the order, bad ones among them."""
    bad = fcc("Cu")
    bad.translate_sites([0], [float("nan")] * 3)
    items = [(i, fcc("Cu", a=3.7 + 0.02 * i)) for i in range(9)]
    items += [("nan", bad), ("unknown", fcc("Po", a=4.6))]
    answers = list(relaxer.relax(items))
    assert sorted(map(str, dict(answers))) == sorted(str(key) for key, _ in items)
    assert len(answers) == len(items)
    results = dict(answers)
    assert all(results[i].converged for i in range(9))
    assert "non-finite" in results["nan"].reason
    assert results["unknown"].reason == "emt does not know Po"


def test_a_crash_costs_one_structure(relaxer: Relaxer) -> None:
    """The structure that kills its worker fails with the signal named; the others succeed."""
    items = [("a", fcc("Cu")), ("crash", fcc("Ag")), ("b", fcc("Al")), ("c", fcc("Cu"))]
    results = dict(relaxer.relax(items))
    assert "SIGSEGV" in results["crash"].reason
    assert all(results[key].converged for key in "abc")


def test_a_hang_is_given_up() -> None:
    """A structure that takes longer than its time loses its worker; the next one gets a new one.

    Loading the potential takes longer than a structure may, and does not count.
    """
    toy = SlowToLoadPotential("slow", "1", "0" * 12, ELEMENTS, "none")
    with Relaxer(toy, workers=1, max_seconds=1.0, max_steps=10_000) as relaxer:
        items = [("quick", fcc("Cu")), ("slow", fcc("Ni", a=4.4, shift=0.05))]
        results = dict(relaxer.relax(items))
    assert results["quick"].converged
    assert results["slow"].reason == "gave up after 1 s"


def test_a_potential_that_cannot_be_loaded_is_an_error() -> None:
    """Not one failure for each structure: nothing is wrong with them."""
    toy = UnloadablePotential("damaged", "1", "0" * 12, ELEMENTS, "none")
    with Relaxer(toy, workers=1) as relaxer:
        with pytest.raises(PotentialError, match="damaged cannot be loaded: unexpected end"):
            list(relaxer.relax([(i, fcc("Cu")) for i in range(4)]))
        assert not relaxer._pool


def test_workers_that_never_begin_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends them: a search would count every crystal as failed, for good."""
    monkeypatch.setattr("explorer.relax.MOST_KILLS", 0)
    toy = StillbornPotential("stillborn", "1", "0" * 12, ELEMENTS, "none")
    with (
        Relaxer(toy, workers=1) as relaxer,
        pytest.raises(PotentialError, match=r"relaxes with stillborn, got 1 .* exit status 3"),
    ):
        list(relaxer.relax([(i, fcc("Cu")) for i in range(4)]))


def test_a_potential_of_a_notebook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers cannot import what no file defines; the error says what to do."""
    main = sys.modules["__main__"]
    typed = type("TypedPotential", (EmtPotential,), {"__module__": "__main__"})
    monkeypatch.setattr(main, "TypedPotential", typed, raising=False)
    monkeypatch.setattr(main, "__file__", "<stdin>", raising=False)
    toy = typed("typed", "1", "0" * 12, ELEMENTS, "none")
    with Relaxer(toy, workers=1) as relaxer, pytest.raises(PotentialError, match="into a module"):
        list(relaxer.relax([(0, fcc("Cu"))]))


def test_a_stop_reaches_the_middle_of_a_relaxation(relaxer: Relaxer) -> None:
    """What is in flight is abandoned without an answer, and the relaxer can be used again."""
    seen: list[str] = []
    asked = iter([False] * 3)
    items = [("slow", fcc("Ni", a=4.6, shift=0.05)), ("later", fcc("Ni", a=4.6))]
    for key, _ in relaxer.relax(items, should_stop=lambda: next(asked, True)):
        seen.append(key)
    assert seen == []
    assert dict(relaxer.relax([("again", fcc("Cu"))]))["again"].converged


def test_items_are_taken_as_workers_fall_idle(relaxer: Relaxer) -> None:
    """A generator is not drained ahead: at most one item more than there are workers."""
    taken = []

    def items() -> Iterator[tuple[int, Structure]]:
        for i in range(6):
            taken.append(i)
            yield i, fcc("Cu")

    answers = relaxer.relax(items())
    next(answers)
    assert len(taken) <= relaxer.workers + 2
    answers.close()
    assert not relaxer._busy()


def test_what_a_worker_held_that_somebody_killed_is_tried_again(relaxer: Relaxer) -> None:
    """A kill says nothing about the structures; they end as in a worker that was left alone."""
    relaxer.warm_up()
    os.kill(relaxer._pool[0].process.pid, signal.SIGKILL)
    results = dict(relaxer.relax([(i, fcc("Cu", a=4.0 + 0.01 * i)) for i in range(4)]))
    assert [results[i].converged for i in range(4)] == [True] * 4


def test_a_structure_whose_workers_are_killed_every_time_is_given_up(relaxer: Relaxer) -> None:
    """What wants more memory than there is gets three tries; the verdict names the signal."""
    items = [("greedy", fcc("Ni", a=4.6, shift=0.05)), ("modest", fcc("Cu"))]
    killed = set()

    def kill_whoever_holds_nickel() -> bool:
        for worker in relaxer._busy():
            if worker.ready and any(item.key == "greedy" for item in worker.held.values()):
                killed.add(worker.process.pid)
                os.kill(worker.process.pid, signal.SIGKILL)
        return False

    results = dict(relaxer.relax(items, should_stop=kill_whoever_holds_nickel))
    assert results["modest"].converged
    assert results["greedy"].reason == "worker died: signal SIGKILL, perhaps out of memory"
    assert len(killed) == MOST_KILLS


def test_workers_killed_before_they_begin_cost_no_structure() -> None:
    """Whoever ends them, it says nothing of what they were given and never looked at."""
    killed = set()

    def kill_the_first_ones() -> bool:
        for worker in fresh._busy():
            if not worker.ready and len(killed) < MOST_KILLS:
                killed.add(worker.process.pid)
                os.kill(worker.process.pid, signal.SIGKILL)
        return False

    with Relaxer(emt(), workers=1) as fresh:
        results = dict(fresh.relax([(0, fcc("Cu", a=4.0))], should_stop=kill_the_first_ones))
    assert len(killed) == MOST_KILLS
    assert results[0].converged


def test_workers_that_are_interrupted_while_they_start_cost_no_structure() -> None:
    """Ctrl-C reaches the whole process group: whoever waits for the workers decides what it means.

    Crystals that a search had given them stayed failed for ever, the likeliest ones first.
    """

    def interrupt_whoever_starts() -> bool:
        for worker in fresh._busy():
            if not worker.ready:
                os.kill(worker.process.pid, signal.SIGINT)
        return False

    with Relaxer(emt(), workers=1) as fresh:
        results = dict(fresh.relax([(0, fcc("Cu", a=4.0))], should_stop=interrupt_whoever_starts))
    assert results[0].converged


def test_a_relaxer_needs_a_worker() -> None:
    """Zero workers would wait for ever."""
    with pytest.raises(ValueError, match="at least one worker, got 0"):
        Relaxer(emt(), workers=0)


def test_layers_are_pieces_and_a_lost_atom_is_one_more() -> None:
    """What was in pieces may stay so; what falls into more of them did not relax."""
    whole, torn = to_atoms(fcc("Cu", a=3.6)), to_atoms(fcc("Cu", a=3.6))
    torn.set_cell([3.6, 3.6, 30.0], scale_atoms=True)
    assert (pieces(whole), pieces(torn)) == (1, 2)
    assert fallen_apart(whole, torn) == "the crystal fell apart"
    assert fallen_apart(torn, torn) == fallen_apart(torn, whole) == ""


def test_the_space_group_can_be_kept() -> None:
    """Rutile of copper and aluminium would rather be something else, and stays what it is."""
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.6, 3.0), ["Al", "Cu"], [[0, 0, 0], [0.32, 0.32, 0]]
    )
    with Relaxer(emt(), workers=1, keep_symmetry=True) as relaxer:
        result = dict(relaxer.relax([("rutile", rutile)]))["rutile"]
    assert result.steps > 0
    assert spacegroup_of(result.structure, symprec=1e-4) == 136


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "magic"}, "expected the engine batched or ase, got 'magic'"),
        ({"engine": "ase", "keep_symmetry": True}, "only the batched engine"),
    ],
)
def test_an_engine_that_does_not_exist_is_told(options: dict, words: str) -> None:
    """Before any worker starts."""
    with pytest.raises(ValueError, match=words):
        Relaxer(emt(), **options)


def test_both_engines_find_one_minimum() -> None:
    """ASE's FIRE and the batches end within 1 meV/atom of each other; batches in fewer steps."""
    items = [(i, fcc("Cu", a=3.7 + 0.05 * i, shift=0.02)) for i in range(4)]
    energies, steps = [], []
    for engine in ("ase", "batched"):
        with Relaxer(emt(), workers=1, engine=engine) as relaxer:
            results = dict(relaxer.relax(items))
        assert all(result.converged for result in results.values())
        energies.append([results[i].energy_per_atom for i in range(4)])
        steps.append(sum(result.steps for result in results.values()))
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)
    assert steps[1] < steps[0]


@pytest.mark.parametrize("batched", [False, True])
def test_a_crystal_whose_energy_still_falls_goes_on(batched: bool) -> None:
    """Where forces may be large, the last step tells whether there is much left to gain."""
    crystal, toy = fcc("Cu", a=3.75, shift=0.05), emt()

    def end(limits: Limits) -> np.ndarray:
        """Energies on the way, eV/atom."""
        if not batched:
            return relaxed(crystal, limits=limits).trace.energies
        batch = Batch(toy.model(), toy.level, limits)
        batch.add(0, crystal)
        while len(batch):
            found = batch.advance()
        return found[0][1].trace.energies

    loose = {"fmax": 1.5, "smax": 1.5, "max_steps": 100}
    at_once, settled = (end(Limits(**loose, emax=emax)) for emax in (np.inf, EMAX))
    assert len(at_once) == 1 < len(end(Limits(**loose | {"fmax": 0.3}, emax=np.inf)))
    assert len(settled) == 1, "a crystal that begins within the other limits takes no step"
    far = {"fmax": 0.3, "smax": 0.2, "max_steps": 100}
    early, settled = (end(Limits(**far, emax=emax)) for emax in (np.inf, EMAX))
    assert abs(early[-1] - early[-2]) > EMAX > abs(settled[-1] - settled[-2])
    assert settled[-1] < early[-1]


def test_a_poisoned_batch_is_bisected() -> None:
    """A crystal that kills the worker takes none of its company with it."""
    toy = BatchedPotential("together", "1", "0" * 12, ELEMENTS, "none")
    items = [(i, fcc("Cu", a=3.7 + 0.01 * i)) for i in range(7)]
    items.insert(3, ("poison", fcc("Ag")))
    with Relaxer(toy, workers=1, max_seconds=30) as relaxer:
        results = dict(relaxer.relax(items))
    assert "SIGSEGV" in results.pop("poison").reason
    assert len(results) == 7
    assert all(result.converged for result in results.values())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory"),
        (IndexError("no such\n thing"), "calculator error: IndexError: no such thing"),
    ],
)
def test_a_batch_that_fails_is_split(error: Exception, reason: str) -> None:
    """Down to the crystal at fault; the others have their energies, in order."""
    model = FailingModel(emt().calculator(), error)
    batch = [to_atoms(fcc(symbol)) for symbol in ("Cu", "Al", "Au", "Cu", "Al")]
    answers = evaluate(model, batch)
    assert answers[2] == reason
    assert model.largest >= 5
    energies = [answer.energy for i, answer in enumerate(answers) if i != 2]
    assert energies[0] == pytest.approx(energies[2])
    assert energies[1] == pytest.approx(energies[3])


def test_chgnet_relaxes_rock_salt(capfd: pytest.CaptureFixture[str]) -> None:
    """The real potential, in a real worker, finds the lattice constant within two percent.

    It says nothing on the user's screen.
    """
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.3), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    with Relaxer(potential("chgnet"), workers=1) as relaxer:
        result = dict(relaxer.relax([("salt", salt)]))["salt"]
    assert result.converged
    assert (result.structure.volume * 4) ** (1 / 3) == pytest.approx(5.66, rel=0.02)
    assert result.level.potential == "chgnet 0.3.0"
    assert capfd.readouterr() == ("", "")


def test_a_left_handed_cell_relaxes_as_the_other_does() -> None:
    """CHGNet's own calculator gives its stress the wrong sign, and it would fall apart."""
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.9), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    ).get_primitive_structure()
    left = Structure(-salt.lattice.matrix, salt.species, -salt.frac_coords)
    chosen = potential("chgnet", "cpu")
    calculator = chosen.calculator()
    ends = [relax_structure(one, calculator, chosen.level) for one in (salt, left)]
    assert all(end.converged for end in ends)
    assert ends[1].energy_per_atom == pytest.approx(ends[0].energy_per_atom, abs=1e-4)
    assert ends[1].structure.volume == pytest.approx(ends[0].structure.volume, rel=1e-3)
