"""Spread work on structures over processes that may die without taking the program along."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from explorer.isolation import SPAWN, one_thread

_pools: dict[int, ProcessPoolExecutor] = {}
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
    finally:
        for unasked in waiting:
            unasked.cancel()


def _submitted(function: Callable[..., Any], tasks: list[tuple], number: int) -> list[Future]:
    """Hand all tasks to kept processes, or to new ones where one of those was killed since."""
    kept = number in _pools
    pool = _pools[number] if kept else ProcessPoolExecutor(number, mp_context=SPAWN)
    _pools[number] = pool
    try:
        with one_thread():
            return [pool.submit(function, *task) for task in tasks]
    except BrokenProcessPool:
        del _pools[number]
        if not kept:
            raise
        return _submitted(function, tasks, number)
