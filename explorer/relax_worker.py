"""What a relaxation worker does: load a potential once, then relax what comes down the pipe."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import warnings
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from explorer.candidate import Relaxation
from explorer.potentials import Potential, PotentialError
from explorer.relaxation import STOPPED, relax_structure

__all__ = ["READY", "STOPPED", "Settings", "work"]

READY = "ready"
"""The first word of a worker: its potential is loaded."""


@dataclass(frozen=True)
class Settings:
    """What every structure of a Relaxer shares; units as in `explorer.relaxation`."""

    potential: Potential
    fmax: float
    smax: float
    max_steps: int


def work(connection: Connection, settings: Settings, stop: Event) -> None:
    """Relax structures until the pipe ends. One torch thread: the cores belong to the workers."""
    import torch  # noqa: PLC0415 - seconds to import, and only workers need it

    # Ctrl-C reaches the whole process group; who waits for the workers decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    # Libraries that print must not write into the parent's standard output, and what they warn of
    # is nothing that the user of a relaxation can mend.
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="hullscape-") as scratch:
        # CHGNet drops a file into the working directory when it cannot build a graph.
        os.chdir(scratch)
        _serve(connection, settings, stop)
        os.chdir("/")


def _serve(connection: Connection, settings: Settings, stop: Event) -> None:
    try:
        calculator = settings.potential.calculator()
    except Exception as error:
        # No structure can be relaxed then; the parent raises it for all of them.
        connection.send(PotentialError(f"{settings.potential.name} cannot be loaded: {error}"))
        return
    connection.send(READY)
    level = settings.potential.level
    parent = parent_process()

    def should_stop() -> bool:
        return stop.is_set() or parent is None or not parent.is_alive()

    while True:
        try:
            structure = connection.recv()
        except (EOFError, OSError):
            return
        result: Relaxation = relax_structure(
            structure,
            calculator,
            level,
            fmax=settings.fmax,
            smax=settings.smax,
            max_steps=settings.max_steps,
            should_stop=should_stop,
        )
        connection.send(result)
