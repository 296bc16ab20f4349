"""A disposable child process for what may crash, hang or eat the memory.

spglib, StructureMatcher and the parsers meet structures from strangers there. The child is kept
between calls, so a call costs about a millisecond; it is killed and replaced when it fails.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from math import ceil
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")

SPAWN = get_context("spawn")
START_SECONDS = 300.0
"""How long a child may take to import what it needs, before the clock of a call runs."""
MOST_KILLS = 3
"""How many children may be killed from outside over one call."""
SHORTEST_WAIT = 0.05
ORPHAN_FACTOR = 20
"""How many times its seconds an orphan may take: a busy machine is no reason to end a call."""


class IsolationError(RuntimeError):
    """A call that ended without a result: killed, out of time or out of memory; says which."""


class KilledError(IsolationError):
    """The process of a call was ended from outside, which may say nothing about the call."""


class Sandbox:
    """One child process that runs one function at a time. Thread-safe.

    Starts with the first call. Close it, or use it as a context manager.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process: Any = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        function: Callable[..., Result],
        *args: Any,
        seconds: float = 10.0,
        memory_gb: float = 4.0,
    ) -> Result:
        """Call an importable function in the child and return its result.

        When somebody else kills the child, the call is made again in another one, twice at most.

        Parameters
        ----------
        function, args
            Must pickle; a function defined in a notebook or in `__main__` does not.
        seconds
            Wall time of the call, after which the child is killed; what it spends waiting for a
            processor, or importing the function, does not count.
        memory_gb
            How much the child may grow during the call.

        Raises
        ------
        IsolationError
            When the child died, took too long or ran out of memory.
        Exception
            Whatever the function itself raised.
        """
        call = (function, args, seconds, memory_gb)
        with self._lock:
            succeeded, value = self._ask_until_it_ends(call, seconds)
        if succeeded:
            return value
        raise value

    def _ask_until_it_ends(self, call: tuple, seconds: float) -> tuple[bool, Any]:
        for _ in range(MOST_KILLS - 1):
            with suppress(KilledError):
                return self._ask(call, seconds)
        return self._ask(call, seconds)

    def _ask(self, call: tuple, seconds: float) -> tuple[bool, Any]:
        connection = self._ready()
        try:
            connection.send(call)
            if not connection.poll(START_SECONDS):
                raise IsolationError(f"the call did not begin within {START_SECONDS:g} s")
            connection.recv()
            if not self._answers_within(seconds):
                raise IsolationError(f"took longer than {seconds:g} s")
            return connection.recv()
        except (EOFError, OSError) as error:
            raise self._death("the process died") from error
        except BaseException:
            # Also when Ctrl-C interrupts the wait: an answer may not meet the next question.
            self._kill()
            raise

    def _answers_within(self, seconds: float) -> bool:
        """Wait for the answer, until the child has had its seconds or does nothing."""
        began, before = time.monotonic(), turn_of(self._process.pid)
        left = seconds
        while left > 0:
            if self._connection.poll(max(left, SHORTEST_WAIT)):
                return True
            turn = turn_of(self._process.pid)
            ran, waited = turn.ran - before.ran, turn.waited - before.waited
            left = seconds + waited - (time.monotonic() - began)
            if turn.ready:  # perhaps it waits right now, which counts when it is over
                left = max(left, min(seconds - ran, SHORTEST_WAIT))
        return False

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._process is not None:
                self._kill()

    def _ready(self) -> Connection:
        if self._process is not None and self._process.is_alive():
            return self._connection
        connection, far_end = SPAWN.Pipe()
        process = SPAWN.Process(target=_serve, args=(far_end,), daemon=True)
        with starting():
            process.start()
        far_end.close()
        self._connection, self._process = connection, process
        if not self._connection.poll(START_SECONDS):
            self._kill()
            raise IsolationError(f"the process did not start within {START_SECONDS:g} s")
        try:
            self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._death("the process did not start") from error
        return self._connection

    def _death(self, what: str) -> IsolationError:
        """End the child, and say how it ended and whether somebody else had a hand in it."""
        code = self._kill(patience=1.0)
        kind = KilledError if killed_from_outside(code) else IsolationError
        return kind(f"{what}: {exit_text(code)}")

    def _kill(self, patience: float = 0.0) -> int | None:
        """End the child and return its exit code; `patience` lets a dying one keep its own."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._connection.close()
        self._connection = self._process = None
        return code


class Here:
    """Calls functions in this very process, for what runs in a disposable one already."""

    @staticmethod
    def run(function: Callable[..., Result], *args: Any, **_: float) -> Result:
        """Call the function; limits are those of the whole process."""
        return function(*args)


_starting = threading.Lock()
_shared = Sandbox()
atexit.register(_shared.close)


def run(
    function: Callable[..., Result], *args: Any, seconds: float = 10.0, memory_gb: float = 4.0
) -> Result:
    """Call `function` in the child that this process shares; see `Sandbox.run`."""
    return _shared.run(function, *args, seconds=seconds, memory_gb=memory_gb)


def _serve(connection: Connection) -> None:
    """Answer calls until the pipe ends."""
    # Libraries that print must not write into the parent's standard output.
    sys.stdout = sys.stderr
    connection.send("ready")
    while True:
        try:
            function, args, seconds, memory_gb = connection.recv()
        except (EOFError, OSError):
            return
        connection.send("begun")
        # Should the parent be killed meanwhile, nobody is left to end a call that hangs.
        signal.alarm(ceil(ORPHAN_FACTOR * seconds))
        connection.send(_answer(function, args, memory_gb))
        signal.alarm(0)


def _answer(function: Callable[..., Any], args: tuple, memory_gb: float) -> tuple[bool, Any]:
    try:
        with _memory_limit(memory_gb):
            value = function(*args)
        pickle.dumps(value)
    except MemoryError:
        return False, IsolationError(f"needs more than {memory_gb:g} GB of memory")
    except Exception as error:
        return False, _portable(error)
    return True, value


def _portable(error: Exception) -> Exception:
    """Return the error itself when it survives the pipe, else its words."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        return IsolationError(f"{type(error).__name__}: {error}")
    return error


@contextmanager
def _memory_limit(gigabytes: float) -> Iterator[None]:
    """Bound the growth of the address space; where the system has no such limit, do nothing."""
    try:
        import resource  # noqa: PLC0415 - Unix only

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        now = pages * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = now + int(gigabytes * 1e9)
    if before[1] != resource.RLIM_INFINITY:
        limit = min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def starting(*, with_program: bool = False) -> Iterator[None]:
    """Let a process that starts inside begin as all of ours do.

    Parameters
    ----------
    with_program
        Whether it needs what the program itself defines, in `__main__`.
    """
    with one_thread(), deaf(), nullcontext() if with_program else without_program():
        yield


@contextmanager
def without_program() -> Iterator[None]:
    """Let a process that starts inside not import this one's `__main__`, as spawned ones do.

    A script without ``if __name__ == "__main__"`` would begin its search again in each of them, and
    a program that is typed, or read from standard input, has no file that they could find.
    """
    main = sys.modules["__main__"]
    names = [name for name in ("__spec__", "__file__") if hasattr(main, name)]
    before = {name: getattr(main, name) for name in names}
    vars(main).update(dict.fromkeys(names))
    try:
        yield
    finally:
        vars(main).update(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let a process that starts inside see one thread: spinning BLAS threads cost a factor of 10.

    The libraries read these variables when they load, so that a worker cannot set its own.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    # Two threads inside at once would restore what the other one had set.
    with _starting:
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(dict.fromkeys(names, "1"))
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def deaf() -> Iterator[None]:
    """Let a process that starts inside hear no Ctrl-C, from its first moment on.

    Ctrl-C reaches the whole process group; who waits for the processes decides what it means. One
    that ignored it as its first own act would still die of it while it imports.
    """
    resource_tracker.ensure_running()  # its start ends with Ctrl-C heard again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Turn(NamedTuple):
    """What a process got of the processors, in seconds, and whether it would take more now."""

    ran: float = 0.0
    waited: float = 0.0
    ready: bool = False


def turn_of(pid: int) -> Turn:
    """Look at a process; where the system does not tell, it never ran and never waited."""
    try:
        home = Path(f"/proc/{pid}")
        ran, waited = home.joinpath("schedstat").read_text(encoding="ascii").split()[:2]
        state = home.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError, ValueError):
        return Turn()
    return Turn(int(ran) / 1e9, int(waited) / 1e9, state == "R")


def killed_from_outside(code: int | None) -> bool:
    """Whether a process was ended by somebody, or for want of memory, and not by its own fault."""
    return code is not None and -code in {signal.SIGKILL, signal.SIGTERM}


def exit_text(code: int | None) -> str:
    """Say how a process ended, from its exit code."""
    if code is None:
        return "no exit status"
    if code >= 0:
        return f"exit status {code}"
    hint = ", perhaps out of memory" if -code == signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{hint}"
