"""Relaxations beyond one machine: the same interface as `Relaxer`, on a dask.distributed cluster.

HULLSCAPE_SCHEDULER names the scheduler ("tcp://host:8786"). Dask forgets tasks when its scheduler
dies and cannot end one that runs, so nothing is left to it: what is in flight is known here and
handed out again, a result counts once, and it is committed by the runner that holds the lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from logging import WARNING
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from distributed import CancelledError, Client, Event, Future, KilledWorker
from distributed.client import ClosedClientError
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.cluster_task import Done, Order, relax_together
from explorer.complaints import one_line
from explorer.logs import log_event
from explorer.potentials import Potential, PotentialError
from explorer.relax import NONE_BEGUN, POLL_SECONDS, ignore, refusal
from explorer.relax_pool import Item, ItemQueue
from explorer.relaxation import FMAX, MAX_SECONDS, MAX_STEPS, SMAX, Limits, failed

CONNECT_SECONDS = 5.0
TASK_SECONDS = 5.0
"""What a task aims to take: a worker that dies costs about so much of each of its structures."""
MAX_TASK = 1024
TRIES = 3
"""How often a structure is handed out when the cluster, not the structure, is at fault."""
GONE = (OSError, CancelledError, ClosedClientError)
"""What dask raises when a scheduler goes away while it is spoken to."""
COUNT_SECONDS = 2.0
"""How often the workers are counted, since they come and go."""


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(eq=False)
class _Flight:
    """What is on the cluster, and what has to go out again.

    Attributes
    ----------
    tasks : dict
        The structures that each task holds.
    again : list of list of Item
        Batches that the cluster lost.
    suspects : list of list of Item
        Batches that may kill workers. Dask blames all tasks that a dead worker had, also those that
        only waited there, so that a suspect has to fly alone.
    alone : bool
        Whether what is in flight is a suspect.
    tries : dict
        How often a structure was lost, by its place.
    ended : SimpleQueue
        Tasks that are over.
    """

    tasks: dict[Future, list[Item]] = field(default_factory=dict)
    again: list[list[Item]] = field(default_factory=list)
    suspects: list[list[Item]] = field(default_factory=list)
    alone: bool = False
    tries: dict[int, int] = field(default_factory=dict)
    ended: SimpleQueue[Future] = field(default_factory=SimpleQueue)


class ClusterRelaxer:
    """Relaxes positions and cell of many structures on the workers of a dask scheduler.

    Parameters
    ----------
    address
        Of the scheduler, "tcp://host:8786".
    potential
        From `explorer.potentials.potential`; workers look its name up and must have its weights.
    fmax, max_steps, smax, max_seconds, engine, keep_symmetry, rattle
        As in `explorer.relax.Relaxer`; `max_seconds` bounds the computing time of each structure.
    resources
        What a task takes of a worker while it runs, such as {"GPU": 1}.
    say
        Hears that the cluster has no worker that could take a task, and "" once it has one.
    """

    def __init__(
        self,
        address: str,
        potential: Potential,
        fmax: float = FMAX,
        max_steps: int = MAX_STEPS,
        *,
        smax: float = SMAX,
        max_seconds: float = MAX_SECONDS,
        engine: str = "batched",
        keep_symmetry: bool = False,
        rattle: float = 0.0,
        resources: dict[str, float] | None = None,
        say: Callable[[str], None] = silent,
    ) -> None:
        self.address, self.potential = address, potential
        self._limits = Limits(fmax, smax, max_steps, max_seconds, rattle=rattle)
        self._engine, self._keep_symmetry = engine, keep_symmetry
        self._resources = resources or {}
        self._client: Client | None = None
        self._places = 0
        self._size = 1
        self._threads, self._counted = 0, float("-inf")
        self._say, self._told = say, ""

    def __enter__(self) -> ClusterRelaxer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self, *, patient: bool = False) -> None:
        """Connect.

        Parameters
        ----------
        patient
            Whether a scheduler that does not answer is left to `relax`, which waits for it.

        Raises
        ------
        PotentialError
            When the scheduler does not answer.
        """
        if not self._connect() and not patient:
            raise PotentialError(
                f"no dask scheduler answers at {self.address}: start one, or name none"
            )

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        if self._client is not None:
            self._client.close(timeout=CONNECT_SECONDS)
            self._client = None

    def relax(
        self,
        items: Iterable[tuple[Any, Structure]],
        should_stop: Callable[[], bool] = lambda: False,
        *,
        begun: Mapping[Any, bytes] = NONE_BEGUN,
        save: Callable[[dict[Any, bytes]], None] = ignore,
    ) -> Iterator[tuple[Any, Relaxation]]:
        """Yield (key, Relaxation) as they finish, in any order; see `Relaxer.relax`.

        All begin anew, and `save` hears of none: tasks are short. A scheduler that goes away is
        waited for, and gets again what it had.

        Raises
        ------
        PotentialError
            When a worker cannot load the potential, or has other weights.
        """
        queue, flight = ItemQueue(items, self._places), _Flight()
        order = self._order()
        try:
            while not should_stop():
                if self._connected(flight):
                    yield from self._hand_out(queue, flight, order)
                if not (flight.tasks or flight.again or flight.suspects) and queue.empty:
                    return
                yield from self._collect(flight)
        finally:
            self._halt(flight, order)

    def _order(self) -> Order:
        stop = f"hullscape-stop-{secrets.token_hex(8)}"
        chosen = self.potential
        return Order(
            chosen.name, chosen.level, self._engine, self._limits, self._keep_symmetry, stop
        )

    def _connect(self) -> bool:
        self.close()
        try:
            self._client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            log_event("no scheduler", address=self.address, reason=error)
            return False
        self._counted = float("-inf")
        return True

    def _connected(self, flight: _Flight) -> bool:
        """Whether there is a scheduler; one that came back gets again what the last one had."""
        if self._client is not None and self._client.status == "running":
            return True
        flight.again += flight.tasks.values()
        flight.tasks.clear()
        connected = self._connect()
        if not connected:
            self._tell(f"waiting for the dask scheduler at {self.address}")
        return connected

    def _room(self) -> int:
        """Tasks that may wait or run: two for each thread, so that no worker idles in between."""
        if monotonic() - self._counted > COUNT_SECONDS:
            self._counted = monotonic()
            with suppress(*GONE):  # as it was, then; the next look at the connection finds out
                self._threads = self._able()
            self._tell("" if self._threads else self._nobody)
        return max(2 * self._threads, 1)

    def _able(self) -> int:
        """Count the threads of workers that have what a task takes."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(
            worker["nthreads"]
            for worker in workers
            if all(worker["resources"].get(name, 0) >= n for name, n in self._resources.items())
        )

    @property
    def _nobody(self) -> str:
        offers = ", ".join(f"{name}={amount:g}" for name, amount in self._resources.items())
        return f"waiting for a worker of the cluster{offers and f' that offers {offers}'}"

    def _tell(self, words: str) -> None:
        """Say it unless that is what was said last."""
        if words != self._told:
            self._told = words
            log_event(words or "the cluster has workers", address=self.address)
            self._say(words)

    def _hand_out(
        self, queue: ItemQueue, flight: _Flight, order: Order
    ) -> Iterator[tuple[Any, Relaxation]]:
        """Fill the cluster; refuse at once what no potential may see."""
        if flight.suspects:
            if not flight.tasks:
                flight.alone = True
                self._submit(flight.suspects.pop(), flight, order)
            return
        if flight.alone and flight.tasks:
            return
        flight.alone = False
        while not flight.suspects and len(flight.tasks) < self._room():
            batch = flight.again.pop() if flight.again else []
            while not batch or (len(batch) < self._size and batch[0].place not in flight.tries):
                if queue.empty:
                    break
                item = queue.take()
                self._places = item.place + 1
                reason = refusal(self.potential, item.structure)
                if reason:
                    yield item.key, failed(self.potential.level, reason)
                    continue
                batch.append(item)
            if not batch:
                return
            self._submit(batch, flight, order)
            yield from self._collect(flight, wait=False)

    def _submit(self, batch: list[Item], flight: _Flight, order: Order) -> None:
        try:
            future = self._client.submit(
                relax_together,
                order,
                [(item.place, item.structure) for item in batch],
                key=f"relax-{secrets.token_hex(8)}",
                resources=self._resources,
                pure=False,
            )
        except GONE as lost:
            self._lost(batch, flight, lost)
            return
        flight.tasks[future] = batch
        future.add_done_callback(flight.ended.put)

    def _collect(self, flight: _Flight, *, wait: bool = True) -> Iterator[tuple[Any, Relaxation]]:
        """Yield what is finished."""
        try:
            future = flight.ended.get(timeout=POLL_SECONDS if wait else 0)
        except Empty:
            return
        batch = flight.tasks.pop(future, [])
        try:
            done = future.result() if future.status == "finished" else None
            error = future.exception() if future.status == "error" else None
        except GONE as lost:
            self._lost(batch, flight, lost)
            return
        if done is not None:
            yield from self._settle(done, batch, flight)
        elif error is not None:
            yield from self._mend(error, batch, flight)
        else:  # the scheduler forgot it
            yield from self._retry(batch, flight, f"the cluster gave up the task: {future.status}")

    def _lost(self, batch: list[Item], flight: _Flight, error: BaseException) -> None:
        """Keep a batch for the scheduler that comes next."""
        flight.again += [batch] if batch else []
        reason = one_line(error) or type(error).__name__
        log_event("lost the scheduler", WARNING, address=self.address, reason=reason)

    def _settle(
        self, done: Done, batch: list[Item], flight: _Flight
    ) -> Iterator[tuple[Any, Relaxation]]:
        missing = {item.place: item for item in batch}
        for place, relaxation in done.relaxations:
            yield missing.pop(place).key, relaxation
        if missing:
            yield from self._retry(list(missing.values()), flight, "the task was stopped")
        pace = max(done.seconds / len(batch), 1e-3) if batch else 1.0
        self._size = max(1, min(int(TASK_SECONDS / pace), 2 * self._size, MAX_TASK))

    def _mend(
        self, error: BaseException, batch: list[Item], flight: _Flight
    ) -> Iterator[tuple[Any, Relaxation]]:
        """Find the structure that kills workers by halves; any other error is the potential's."""
        if not isinstance(error, KilledWorker):
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PotentialError(f"a worker of the cluster cannot relax: {reason}") from error
        if not flight.alone:
            flight.suspects.append(batch)
            return
        if len(batch) == 1:
            reason = "workers of the cluster died of it, each time it was tried"
            yield batch[0].key, failed(self.potential.level, reason)
            return
        middle = len(batch) // 2
        flight.suspects += [batch[middle:], batch[:middle]]

    def _retry(
        self, batch: list[Item], flight: _Flight, reason: str
    ) -> Iterator[tuple[Any, Relaxation]]:
        """Hand structures out again, each of them a few times at most."""
        kept = []
        for item in batch:
            flight.tries[item.place] = flight.tries.get(item.place, 0) + 1
            if flight.tries[item.place] < TRIES:
                kept.append(item)
            else:
                yield item.key, failed(self.potential.level, reason)
        if kept:
            flight.again.append(kept)

    def _halt(self, flight: _Flight, order: Order) -> None:
        """Let go of what is in flight: tasks that wait are cancelled, those that run hear of it."""
        if flight.tasks and self._client is not None and self._client.status == "running":
            with suppress(*GONE):  # tasks end with their scheduler
                Event(order.stop, client=self._client).set()
                self._client.cancel(list(flight.tasks), force=True)
        flight.tasks.clear()
