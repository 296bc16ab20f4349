"""Processes that are kept between calls, and what becomes of them when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


BUSY = """
import os, signal, sys, time
from explorer.evaluate.pool import spread
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for pid in spread(os.getpid, [()], 1):
        print(pid, flush=True)
    list(spread(time.sleep, [(600,), (600,), (600,)], 1))
"""
"""Says which process works for it, and waits for ten minutes of work.

A shell lets what it runs in the background ignore Ctrl-C, and all that is started from there.
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_program_ends_at_once_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Neither Ctrl-C, which reaches the processes too, nor a kill leaves one at work for ever."""
    (tmp_path / "busy.py").write_text(BUSY)
    program = subprocess.Popen(
        [sys.executable, tmp_path / "busy.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    worker = int(program.stdout.readline())
    if number == signal.SIGINT:
        os.killpg(program.pid, number)
    else:
        program.send_signal(number)
    assert program.wait(60) != 0
    end = time.monotonic() + 60
    while is_alive(worker):
        assert time.monotonic() < end, "the worker outlives its program"
        os.sched_yield()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
