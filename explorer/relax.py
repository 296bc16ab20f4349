"""Relaxer: structures in, Relaxations out as they finish, batched, one worker process a core.

A worker that crashes, runs out of memory or hangs loses none of the structures that it held: they
are tried again in halves until the one at fault is alone, which ends as a failed Relaxation.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import wait
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.crystals import gate
from explorer.hopeless import Ceilings
from explorer.isolation import SPAWN
from explorer.potentials import Potential, PotentialError
from explorer.relax_pool import (
    START_SECONDS,
    STOP_SECONDS,
    Item,
    ItemQueue,
    Worker,
    WorkerDiedError,
)
from explorer.relax_worker import ENGINES, SAVE_SECONDS, Settings
from explorer.relaxation import FMAX, MAX_SECONDS, MAX_STEPS, SMAX, Limits, failed

Key = TypeVar("Key", bound=Hashable)

NONE_BEGUN: Mapping[Any, bytes] = MappingProxyType({})
MOST_KILLS = 3
"""How many workers may be killed from outside over one structure, or in a row before they begin."""
POLL_SECONDS = 0.2
"""How often the caller's `should_stop` is asked while nothing finishes."""


def ignore(_: dict[Any, bytes]) -> None:
    """Let go of where relaxations are: they are not to go on elsewhere."""


class Relaxer:
    """Relaxes positions and cell of many structures with one potential.

    Cheap to construct: workers start with the first structure, or with `warm_up`. Close it, or use
    it as a context manager.

    Parameters
    ----------
    potential
        From `explorer.potentials.potential`.
    fmax
        Largest force of a relaxed structure, eV/Å.
    smax
        Largest stress component of a relaxed structure, eV/Å³ (0.001 is 0.16 GPa).
    max_steps
        A structure that is not converged after so many steps keeps its last frame and energy but
        counts as not converged.
    workers
        Processes; default one for each core that this process may use, or one for a GPU.
    max_seconds
        Computing time after which a structure is given up, and wall time after which a worker that
        says nothing is killed; the start of the worker does not count.
    engine
        "batched": many structures share each evaluation of the potential. "ase": ASE's FIRE, one
        structure at a time in each worker, to compare with.
    keep_symmetry
        Whether each structure keeps the space group that it begins with (symprec 0.01 Å).
    first
        A fast potential that relaxes every structure before `potential` does.
    ceiling
        Energies per atom above which a structure is not begun, or given up, see
        `explorer.hopeless`.
    save_seconds
        How often `relax` tells where each of the relaxations is.
    rattle, rattle_atoms
        As in `explorer.relaxation.Limits`; what keeps its symmetry is not rattled.
    """

    def __init__(
        self,
        potential: Potential,
        fmax: float = FMAX,
        smax: float = SMAX,
        max_steps: int = MAX_STEPS,
        workers: int | None = None,
        *,
        max_seconds: float = MAX_SECONDS,
        engine: str = "batched",
        keep_symmetry: bool = False,
        first: Potential | None = None,
        ceiling: Callable[[Structure], Ceilings | None] | None = None,
        save_seconds: float = SAVE_SECONDS,
        rattle: float = 0.0,
        rattle_atoms: int | None = None,
    ) -> None:
        if (keep_symmetry or first or ceiling) and engine != "batched":
            raise ValueError(
                "only the batched engine can keep the symmetry, give structures up or begin with "
                f"another potential, got {engine!r}"
            )
        if engine not in ENGINES:
            raise ValueError(f"expected the engine {' or '.join(ENGINES)}, got {engine!r}")
        cores = 1 if potential.device.startswith("cuda") else len(os.sched_getaffinity(0))
        count = cores if workers is None else workers
        if count < 1:
            raise ValueError(f"expected at least one worker, got {workers}")
        self.potential = potential
        self.workers = count
        self.max_seconds = max_seconds
        shaken = {"rattle": rattle, "rattle_atoms": rattle_atoms}
        limits = Limits(fmax, smax, max_steps, max_seconds, **shaken)
        self._settings = Settings(
            potential, engine, limits, keep_symmetry, save_seconds, first, ceiling
        )
        self._save: Callable[[dict[Any, bytes]], None] = ignore
        self._stop = SPAWN.Event()
        self._pool: list[Worker] = []
        self._suspects: list[list[Item]] = []
        self._killed: Counter[int] = Counter()
        self._stillborn = 0
        self._places = 0

    def __enter__(self) -> Relaxer:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def warm_up(self, *, patient: bool = False) -> None:
        """Start every worker now; they load the potential while the caller does other things.

        Nothing here has to be waited for, however `patient` the caller is.
        """
        while len(self._pool) < self.workers:
            self._start_worker()

    def close(self) -> None:
        """End every worker."""
        self._stop.set()
        for worker in self._pool:
            worker.end()
        self._pool.clear()
        self._suspects.clear()

    def relax(
        self,
        items: Iterable[tuple[Key, Structure]],
        should_stop: Callable[[], bool] = lambda: False,
        *,
        begun: Mapping[Key, bytes] = NONE_BEGUN,
        save: Callable[[dict[Key, bytes]], None] = ignore,
    ) -> Iterator[tuple[Key, Relaxation]]:
        """Yield (key, Relaxation) as they finish, in any order.

        Parameters
        ----------
        items
            Taken one by one, as workers have room, so that millions need no more memory than a
            few batches.
        should_stop
            Asked several times a second. After True, structures in flight are abandoned without a
            result, so that they can be relaxed again later, and the iterator ends.
        begun
            Where relaxations were that `save` heard of before: they go on from there, to the very
            result that they would have had. Looked into when a structure is handed out.
        save
            Called every few seconds, and at a stop, with where the longer relaxations are.

        Raises
        ------
        PotentialError
            When a worker cannot load the potential.
        """
        self._stop.clear()
        self._save = save
        queue = ItemQueue(items, self._places)
        try:
            while not should_stop():
                yield from self._hand_out(queue, begun)
                if queue.empty and not self._busy() and not self._suspects:
                    return
                yield from self._collect(POLL_SECONDS)
            yield from self._halt()
        except PotentialError:
            # Every other worker is about to find the same.
            self.close()
            raise
        finally:
            # The caller may also leave the loop: nothing may go on computing behind its back.
            for _ in self._halt():
                pass

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._pool if worker.busy]

    def _start_worker(self) -> Worker:
        self._pool.append(Worker(self._settings, self._stop))
        return self._pool[-1]

    def _hand_out(
        self, queue: ItemQueue, begun: Mapping[Any, bytes]
    ) -> Iterator[tuple[Any, Relaxation]]:
        """Fill the workers, suspects first; refuse at once what no potential may see."""
        while self._suspects and (worker := self._idle()):
            worker.give(self._suspects.pop(), suspected=True)
        while not queue.empty and (worker := self._with_room(queue.peek())):
            item = queue.take()
            self._places = item.place + 1
            reason = refusal(self.potential, item.structure)
            if reason:
                yield item.key, failed(self.potential.level, reason)
                continue
            worker.give([replace(item, state=begun.get(item.key, b""))])
            yield from self._collect(0)

    def _idle(self) -> Worker | None:
        """Return a worker with nothing to do, a new one where there may be more."""
        idle = [worker for worker in self._pool if not worker.busy]
        if idle:
            return idle[0]
        return self._start_worker() if len(self._pool) < self.workers else None

    def _with_room(self, item: Item) -> Worker | None:
        """Return the worker with the least to do among those that can take the item."""
        free = [worker for worker in self._pool if worker.fits(item)]
        return self._idle() or min(free, key=lambda worker: worker.load, default=None)

    def _collect(self, timeout: float) -> Iterator[tuple[Any, Relaxation]]:
        """Yield what is finished; take care of workers that died or fell silent."""
        ready = set(wait([worker.connection for worker in self._busy()], timeout))
        for worker in self._busy():
            try:
                if worker.connection in ready:
                    yield from worker.hear()
                    self._stillborn = 0 if worker.ready else self._stillborn
                    self._pass_on(worker)
                self._refuse_silence(worker)
            except WorkerDiedError as error:
                yield from self._bury(worker, error)

    def _pass_on(self, worker: Worker) -> None:
        underway = worker.underway()
        if underway:
            self._save(underway)

    def _refuse_silence(self, worker: Worker) -> None:
        limit = self.max_seconds if worker.ready else START_SECONDS
        if worker.busy and worker.silent_seconds > limit:
            what = "gave up" if worker.ready else "the worker did not start"
            raise WorkerDiedError(f"{what} after {limit:g} s")

    def _bury(self, worker: Worker, error: WorkerDiedError) -> Iterator[tuple[Any, Relaxation]]:
        """Replace a worker; of what it held, find the one at fault by halves.

        Who kills a worker from outside may do so again: alone in one, a structure gets some tries
        more, and of a worker that had not even begun nothing is held against what it was given.

        Raises
        ------
        PotentialError
            When workers end again and again before they begin, and none works.
        """
        worker.kill()
        self._pool.remove(worker)
        held = list(worker.held.values())
        if len(held) > 1 and worker.ready:
            middle = len(held) // 2
            self._suspects += [held[middle:], held[:middle]]
            return
        if not worker.ready:
            self._refuse_stillbirths(error)
            self._suspects.append(held)
            return
        for item in held:
            self._killed[item.place] += 1
            if error.killed and self._killed[item.place] < MOST_KILLS:
                self._suspects.append([item])
                continue
            seconds = worker.silent_seconds
            yield item.key, failed(self.potential.level, str(error), seconds=seconds)

    def _refuse_stillbirths(self, error: WorkerDiedError) -> None:
        """Raise when no worker begins: every structure would fail, and it is no fault of theirs."""
        if self._stillborn >= MOST_KILLS and not any(other.ready for other in self._pool):
            raise PotentialError(
                f"expected a process that relaxes with {self.potential.name}, got "
                f"{self._stillborn + 1} in a row that ended before they began, the last one as: "
                f"{error}; what they printed tells more"
            ) from error
        self._stillborn += 1

    def _halt(self) -> Iterator[tuple[Any, Relaxation]]:
        """Stop what is in flight, passing on what finished meanwhile."""
        self._suspects.clear()
        if not self._busy():
            return
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        while self._busy() and time.monotonic() < deadline:
            yield from self._collect(POLL_SECONDS)
        for worker in self._busy():
            worker.kill()
            self._pool.remove(worker)


def refusal(potential: Potential, structure: Structure) -> str:
    """Say why a potential may not see a structure; "" when it may."""
    reason = gate(structure)
    if reason:
        return reason
    unknown = potential.unknown_elements(structure)
    return f"{potential.name} does not know {', '.join(unknown)}" if unknown else ""
