"""What crashes, hangs or eats memory ends in a reason, and the next call works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest
import spglib

from explorer.isolation import IsolationError, Sandbox, exit_text, one_thread, run
from explorer.structure_files import StructureFileError, read_structures


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One child for the module, replaced whenever a test kills it."""
    with Sandbox() as shared:
        yield shared


def test_a_call_returns_its_value_and_keeps_the_child(sandbox: Sandbox) -> None:
    """Two calls run in one process, which is not ours."""
    first, second = sandbox.run(os.getpid), sandbox.run(os.getpid)
    assert first == second != os.getpid()


def test_a_hang_is_ended(sandbox: Sandbox) -> None:
    """A call that takes too long is killed, and the next one is answered."""
    with pytest.raises(IsolationError, match=r"longer than 0\.5 s"):
        sandbox.run(time.sleep, 60, seconds=0.5)
    assert sandbox.run(abs, -1) == 1


def work(seconds: float) -> float:
    """Use the processor for so long."""
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass
    return seconds


BUSY = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"


def test_waiting_for_a_processor_is_no_hang(sandbox: Sandbox) -> None:
    """A call that needs half of its time is answered while everybody else is busy too."""
    assert sandbox.run(work, 0.0) == 0.0
    busy = [sys.executable, "-c", BUSY]
    crowd = [subprocess.Popen(busy) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        assert sandbox.run(work, 0.2, seconds=0.4) == 0.2
        with pytest.raises(IsolationError, match=r"longer than 0\.2 s"):
            sandbox.run(work, 60.0, seconds=0.2)
    finally:
        for process in crowd:
            process.kill()
            process.wait()


def test_importing_the_function_is_no_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new child may need longer to import than the call may take."""
    source = "import time\ntime.sleep(0.6)\n\ndef answer():\n    return 42\n"
    (tmp_path / "slow_to_import.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    slow = import_module("slow_to_import")
    with Sandbox() as fresh:
        assert fresh.run(slow.answer, seconds=0.3) == 42


def test_spglib_dies_of_nan_alone(sandbox: Sandbox) -> None:
    """A segmentation fault costs the child, not this process."""
    cell = (np.eye(3), [[float("nan")] * 3], [1])
    with pytest.raises(IsolationError, match="SIGSEGV"):
        sandbox.run(spglib.get_symmetry_dataset, cell)
    assert sandbox.run(abs, -1) == 1


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    """A call that wants more than it may have is refused it."""
    with pytest.raises(IsolationError, match="1 GB of memory"):
        sandbox.run(bytearray, 4 * 10**9, memory_gb=1)
    assert sandbox.run(abs, -1) == 1


def test_what_the_function_raises_comes_through(sandbox: Sandbox) -> None:
    """Errors keep their class and their words."""
    with pytest.raises(StructureFileError, match="no such file"):
        sandbox.run(read_structures, "nowhere.cif")


def test_a_call_whose_child_somebody_kills_is_made_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Not for ever: what brings its child to be killed each time is told so."""
    assert sandbox.run(die_once, str(tmp_path / "died"), seconds=60) == "alive"
    with pytest.raises(IsolationError, match="SIGKILL"):
        sandbox.run(signal.raise_signal, signal.SIGKILL)
    assert sandbox.run(abs, -1) == 1


def test_a_child_killed_while_it_starts_is_replaced() -> None:
    """As long as it has not said a word, its end says nothing of the call either."""
    before = set(psutil.Process().children())
    with Sandbox() as fresh, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(fresh.run, abs, -1)
        while not (born := set(psutil.Process().children()) - before):
            pass
        born.pop().kill()
        assert answer.result() == 1


def test_a_child_that_starts_hears_no_interrupt() -> None:
    """Ctrl-C reaches the whole process group, and says nothing of the call."""
    before = set(psutil.Process().children())
    with Sandbox() as fresh, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(fresh.run, abs, -1)
        while not answer.done():
            for born in set(psutil.Process().children()) - before:
                born.send_signal(signal.SIGINT)
        assert answer.result() == 1


def die_once(mark: str) -> str:
    """Be killed, but not when the mark of the first time is there."""
    if not Path(mark).exists():
        Path(mark).touch()
        signal.raise_signal(signal.SIGKILL)
    return "alive"


def test_a_child_killed_between_calls_is_replaced(sandbox: Sandbox) -> None:
    """Somebody else may kill the child while it is idle."""
    os.kill(sandbox.run(os.getpid), signal.SIGKILL)
    time.sleep(0.2)
    assert sandbox.run(abs, -1) == 1


def test_the_shared_child() -> None:
    """`run` needs no sandbox of one's own."""
    assert run(abs, -1) == 1


@pytest.mark.parametrize("saved", [True, False])
def test_a_program_needs_no_guard_and_no_file(saved: bool, tmp_path: Path) -> None:
    """A child imports no script again that has no ``if __name__``, and misses none that was typed.

    Every crystal of such a program failed, as one that kills its worker.
    """
    program = "from explorer.isolation import run\nprint('once', run(abs, -1), __file__)\n"
    script = tmp_path / "script.py"
    script.write_text(program, encoding="utf-8")
    command = [sys.executable, str(script) if saved else "-"]
    given = None if saved else program
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.stdout == f"once 1 {script if saved else '<stdin>'}\n", done.stderr


def test_threads_that_start_children_leave_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several sessions of a server start children at once; each sees what was set before."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    def start(_: int) -> str:
        with one_thread():
            time.sleep(0.05)
            return os.environ["OMP_NUM_THREADS"]

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(start, range(8))) == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_exits_in_words() -> None:
    """A signal is named, and the usual suspect of SIGKILL with it."""
    assert exit_text(-9) == "signal SIGKILL, perhaps out of memory"
    assert exit_text(3) == "exit status 3"
