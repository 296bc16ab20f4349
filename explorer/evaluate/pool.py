"""Spread work on structures over processes that may die without taking the program along."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, connection, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from explorer.isolation import SPAWN, starting

_pools: dict[int, _Pool] = {}
"""Processes kept for the next call, by how many there may be: each takes seconds to import all."""


def spread(
    function: Callable[..., Any],
    tasks: Iterable[tuple],
    workers: int | None = None,
    *,
    ordered: bool = False,
) -> Iterator[Any]:
    """Yield ``function(*task)`` of every task from spawned processes.

    Parameters
    ----------
    workers : int, optional
        Processes; as many as cores by default.
    ordered : bool
        Whether results come in the order of the tasks, not as they finish.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If a process dies.
    """
    number = workers or os.cpu_count() or 1
    waiting = []
    try:
        waiting = _submitted(function, list(tasks), number)
        for done in waiting if ordered else as_completed(waiting):
            yield done.result()
    except BrokenProcessPool:
        _pools.pop(number, None)  # the next call begins with others
        raise
    except (KeyboardInterrupt, SystemExit):
        # Python would wait at its end for whatever is begun, which may take minutes.
        for process in _pools.pop(number).processes if number in _pools else ():
            process.kill()
        waiting = []  # a cancelled task of a broken pool makes Python wait for ever
        raise
    finally:
        for unasked in waiting:
            unasked.cancel()


class _Pool(NamedTuple):
    """Kept processes, and what hands them their work."""

    executor: ProcessPoolExecutor
    processes: frozenset[BaseProcess]


def _submitted(function: Callable[..., Any], tasks: list[tuple], number: int) -> list[Future]:
    """Hand all tasks to kept processes, or to new ones where one of those was killed since."""
    kept = number in _pools
    try:
        if not kept:
            _pools[number] = _opened(number)
        return [_pools[number].executor.submit(function, *task) for task in tasks]
    except BrokenProcessPool:
        _pools.pop(number, None)
        if not kept:
            raise
        return _submitted(function, tasks, number)


def _opened(number: int) -> _Pool:
    """Start processes that leave Ctrl-C to this one, from their first moment on."""
    executor = ProcessPoolExecutor(number, mp_context=SPAWN, initializer=_end_with_parent)
    others = set(active_children())
    with starting():
        executor.submit(os.getpid)  # the first task starts them all
    return _Pool(executor, frozenset(set(active_children()) - others))


def _end_with_parent() -> None:
    """End when the parent does: an orphan would wait for work for ever."""
    sentinel = parent_process().sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
