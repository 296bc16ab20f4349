"""Spread work on structures over processes that may die without taking the program along."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
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
    pool = _pools.setdefault(number, ProcessPoolExecutor(number, mp_context=SPAWN))
    waiting = []
    try:
        with one_thread():
            waiting = [pool.submit(function, *task) for task in tasks]
        for done in waiting if ordered else as_completed(waiting):
            yield done.result()
    except BrokenProcessPool:
        _pools.pop(number, None)
        raise
    finally:
        for unasked in waiting:
            unasked.cancel()
