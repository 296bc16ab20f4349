"""Relaxer: structures in, Relaxations out as they finish, one worker process a core.

A worker that crashes, runs out of memory or hangs takes one structure with it, as a failed
Relaxation, and is replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.crystals import gate
from explorer.isolation import SPAWN, exit_text, one_thread
from explorer.potentials import Potential, PotentialError
from explorer.relax_worker import READY, STOPPED, Settings, work
from explorer.relaxation import FMAX, MAX_STEPS, SMAX

Key = TypeVar("Key", bound=Hashable)

POLL_SECONDS = 0.2
"""How often the caller's `should_stop` is asked while nothing finishes."""
START_SECONDS = 300.0
"""How long a worker may take to import its libraries and to load the potential."""
STOP_SECONDS = 2.0
"""How long a worker may take to notice a stop before it is killed."""


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
        Largest stress component of a relaxed structure, eV/Å³ (0.003 is about 0.5 GPa).
    max_steps
        A structure that is not converged after so many steps keeps its last frame and energy but
        counts as not converged.
    workers
        Processes; default one for each core that this process may use.
    max_seconds
        Wall time after which a structure is given up and its worker is killed; the start of the
        worker does not count.
    """

    def __init__(
        self,
        potential: Potential,
        fmax: float = FMAX,
        smax: float = SMAX,
        max_steps: int = MAX_STEPS,
        workers: int | None = None,
        *,
        max_seconds: float = 900.0,
    ) -> None:
        count = len(os.sched_getaffinity(0)) if workers is None else workers
        if count < 1:
            raise ValueError(f"expected at least one worker, got {workers}")
        self.potential = potential
        self.workers = count
        self.max_seconds = max_seconds
        self._settings = Settings(potential, fmax, smax, max_steps)
        self._stop = SPAWN.Event()
        self._pool: list[_Worker] = []

    def __enter__(self) -> Relaxer:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def warm_up(self) -> None:
        """Start every worker now; they load the potential while the caller does other things."""
        while len(self._pool) < self.workers:
            self._pool.append(_Worker(self._settings, self._stop))

    def close(self) -> None:
        """End every worker."""
        self._stop.set()
        for worker in self._pool:
            worker.end()
        self._pool.clear()

    def relax(
        self,
        items: Iterable[tuple[Key, Structure]],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Key, Relaxation]]:
        """Yield (key, Relaxation) as they finish, in any order.

        Parameters
        ----------
        items
            Taken one by one, as workers fall idle.
        should_stop
            Asked several times a second. After True, structures in flight are abandoned without a
            result, so that they can be relaxed again later, and the iterator ends.

        Raises
        ------
        PotentialError
            When a worker cannot load the potential.
        """
        self._stop.clear()
        queue = _Queue(items)
        try:
            while not should_stop():
                yield from self._hand_out(queue)
                if queue.empty and not self._busy():
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

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._pool if worker.busy]

    def _hand_out(self, queue: _Queue) -> Iterator[tuple[Any, Relaxation]]:
        """Give a structure to every idle worker; refuse at once what no potential may see."""
        while len(self._busy()) < self.workers and not queue.empty:
            key, structure = queue.take()
            reason = self._refusal(structure)
            if reason:
                yield key, self._failure(reason)
                continue
            idle = [worker for worker in self._pool if not worker.busy]
            if not idle:
                idle = [_Worker(self._settings, self._stop)]
                self._pool += idle
            idle[0].start(key, structure)

    def _refusal(self, structure: Structure) -> str:
        reason = gate(structure)
        if reason:
            return reason
        unknown = self.potential.unknown_elements(structure)
        return f"{self.potential.name} does not know {', '.join(unknown)}" if unknown else ""

    def _collect(self, timeout: float) -> Iterator[tuple[Any, Relaxation]]:
        """Yield what is finished, and a failure for every worker that died or overran its time."""
        ready = set(wait([worker.connection for worker in self._busy()], timeout))
        for worker in self._busy():
            key = worker.key
            if worker.connection in ready:
                if not worker.ready:
                    worker.hear()
                    continue
                outcome = worker.finish()
                if isinstance(outcome, Relaxation):
                    if outcome.reason != STOPPED:
                        yield key, outcome
                    continue
                reason = outcome
            elif worker.seconds > (limit := self.max_seconds if worker.ready else START_SECONDS):
                what = "gave up" if worker.ready else "the worker did not start"
                reason = f"{what} after {limit:g} s"
                worker.kill()
            else:
                continue
            self._pool.remove(worker)
            yield key, self._failure(reason, worker.seconds)

    def _halt(self) -> Iterator[tuple[Any, Relaxation]]:
        """Stop what is in flight, passing on what finished meanwhile."""
        if not self._busy():
            return
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        while self._busy() and time.monotonic() < deadline:
            yield from self._collect(POLL_SECONDS)
        for worker in self._busy():
            worker.kill()
            self._pool.remove(worker)

    def _failure(self, reason: str, seconds: float = 0.0) -> Relaxation:
        level = self.potential.level
        return Relaxation(None, None, None, None, 0, False, seconds, reason, level)


class _Queue(Generic[Key]):
    """An iterable that can say whether it is empty before an item is taken."""

    def __init__(self, items: Iterable[tuple[Key, Structure]]) -> None:
        self._items = iter(items)
        self._next: list[tuple[Key, Structure]] = []

    @property
    def empty(self) -> bool:
        if not self._next:
            self._next = list(islice(self._items, 1))
        return not self._next

    def take(self) -> tuple[Key, Structure]:
        return self._next.pop()


class _Worker:
    """A worker process, the pipe to it and the structure that it holds."""

    def __init__(self, settings: Settings, stop: Any) -> None:
        self.connection: Connection
        self.connection, far_end = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(far_end, settings, stop), daemon=True)
        with one_thread():
            self.process.start()
        # With our copy closed, a dead worker shows as the end of the pipe.
        far_end.close()
        self.key: Any = None
        self.busy = False
        self.ready = False
        self._since = 0.0

    @property
    def seconds(self) -> float:
        """Wall time spent on the present structure, or on starting up before the first one."""
        return time.monotonic() - self._since

    def start(self, key: Any, structure: Structure) -> None:
        self.key, self.busy, self._since = key, True, time.monotonic()
        try:
            self.connection.send(structure)
        except OSError:
            # Dead already: the pipe reads as ended, and `finish` says why.
            return

    def hear(self) -> None:
        """Take in that the potential is loaded: from now on time counts for the structure."""
        with suppress(EOFError, OSError):  # a dead worker: `finish` says why
            word = self.connection.recv()
            if word != READY:
                self.busy = False
                raise word
        self.ready, self._since = True, time.monotonic()

    def finish(self) -> Relaxation | str:
        """Return the result, or why there will be none."""
        self.busy = False
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(STOP_SECONDS)
            return f"worker died: {exit_text(self.process.exitcode)}"

    def kill(self) -> None:
        self.busy = False
        self.process.kill()
        self.process.join(STOP_SECONDS)
        self.connection.close()

    def end(self) -> None:
        """Ask the process to leave, and make it when it does not."""
        self.connection.close()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(STOP_SECONDS)
