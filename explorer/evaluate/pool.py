"""Spread work on structures over processes that may die without taking the program along."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any


def spread(
    function: Callable[..., Any], tasks: Iterable[tuple], workers: int | None = None
) -> Iterator[Any]:
    """Yield ``function(*task)`` of every task, as they finish, from spawned processes.

    Parameters
    ----------
    workers : int, optional
        Processes; as many as cores by default.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If a process dies.
    """
    number = workers or os.cpu_count() or 1
    with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(function, *task) for task in tasks]
        for done in as_completed(waiting):
            yield done.result()
