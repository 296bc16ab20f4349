"""The program's real processes on one machine, started, killed, frozen and starved from outside."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from explorer.store import Store

ROOT = Path(__file__).parents[2]


class Machine:
    """A store in a folder, a runner of it, and perhaps the web server.

    Parameters
    ----------
    home : Path
        The folder; gets the database and the logs.
    web : bool
        Whether to serve the page too.
    """

    def __init__(self, home: Path, *, web: bool) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.store = Store(home / "campaigns.db")
        self._slots = count()
        self._started: list[subprocess.Popen] = []
        self.runner = self.start_runner()
        self.serves = web
        self.web = self.start_web() if web else None

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                kill_tree(process)
        self.store.close()

    def start_runner(self) -> subprocess.Popen:
        """Start a runner, as on another machine, that stays until it is ended."""
        slot = f"machine-{next(self._slots)}"
        options = ["--idle", "1e9", "--device", "cpu", "--workers", "1", "--slot", slot]
        return self._start("runner", [sys.executable, "-m", "explorer.runner", *options])

    def start_web(self, *more: str) -> subprocess.Popen:
        """Serve the page and its health checks on a free port, with more options."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options = ["--port", str(self.port), "--plugins", "explorer.health", *more]
        return self._start("web", [sys.executable, "-m", "panel", "serve", "app.py", *options])

    def _start(self, name: str, command: list[str]) -> subprocess.Popen:
        environment = os.environ | {
            "HULLSCAPE_HOME": str(self.home),
            "HULLSCAPE_STORE": self.store.url,
            "OMP_NUM_THREADS": "1",
        }
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def web_is_ready(self) -> bool:
        """Whether the server of the page says that it can work."""
        return self.web is not None and answers(f"http://127.0.0.1:{self.port}/ready")

    def page_answers(self) -> bool:
        """Whether a new session of the page opens."""
        # A request that is given up would still be worked on, and the next would wait behind it.
        return self.web is not None and answers(f"http://127.0.0.1:{self.port}/app", seconds=80)

    def workers(self) -> list[psutil.Process]:
        """Return the relaxation workers and sandboxes of the runner."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.runner.pid).children()
            return [child for child in children if is_worker(child)]
        return []


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is a child that a runner gave work to."""
    with suppress(psutil.Error):
        return any("spawn_main" in word for word in process.cmdline())
    return False


def answers(url: str, seconds: float = 5) -> bool:
    """Whether a server replies within so many seconds that all is well."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=seconds) as reply:  # noqa: S310 - ours
        return reply.status == 200
    return False


def kill(process: subprocess.Popen) -> None:
    """End a process as a power cut does; its children find out by themselves."""
    process.kill()
    process.wait()


def kill_tree(process: subprocess.Popen) -> None:
    """End a process and its children at once."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()


def wait_until_stopped(process: subprocess.Popen) -> None:
    """Wait until a process that was sent SIGSTOP does nothing any more."""
    os.waitpid(process.pid, os.WUNTRACED)


def let_write(process: subprocess.Popen, size: int) -> None:
    """Let no file of a process grow beyond so many bytes; RLIM_INFINITY for any."""
    hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))
