"""Processes that are kept between calls, and what becomes of them when one is killed."""

from __future__ import annotations

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from explorer.evaluate.pool import spread


def test_a_killed_idle_process_costs_nothing() -> None:
    """Calls share a process; one that somebody killed meanwhile is replaced."""
    (first,) = spread(os.getpid, [()], 1)
    (again,) = spread(os.getpid, [()], 1)
    assert first == again
    os.kill(first, signal.SIGKILL)
    while Path(f"/proc/{first}").exists():
        os.sched_yield()
    (other,) = spread(os.getpid, [()], 1)
    assert other != first


def test_a_process_that_dies_at_work_is_told() -> None:
    """The call fails, and the next one works."""
    with pytest.raises(BrokenProcessPool):
        list(spread(os.abort, [()], 1))
    assert list(spread(abs, [(-1,), (-2,)], 1, ordered=True)) == [1, 2]
