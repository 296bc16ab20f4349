"""What a relaxation worker does: load a potential once, then relax what comes down the pipe."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any, Protocol

from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.hopeless import Ceilings
from explorer.potentials import Potential, PotentialError
from explorer.relaxation import STOPPED, Limits, relax_structure

ENGINES = ("batched", "ase")
BATCH_STRUCTURES = 16
"""Crystals that share an evaluation on a CPU: with more the caches overflow (measured, CHGNet)."""
BATCH_BULK = 25_000.0
"""Atoms times atoms per 1000 Å³ that share one: about 1 GB with CHGNet."""
CUDA_STRUCTURES = 1024
BYTES_PER_BULK = 40_000.0
SAVE_SECONDS = 4.0
"""How often it is told where a relaxation is: a crash costs no more of it."""
ALIVE_SECONDS = 0.5
"""How often a worker that computes says so."""


@dataclass(frozen=True)
class Settings:
    """What every structure of a Relaxer shares."""

    potential: Potential
    engine: str
    limits: Limits
    keep_symmetry: bool = False
    save_seconds: float = SAVE_SECONDS
    first: Potential | None = None
    ceiling: Callable[[Structure], Ceilings | None] | None = None


@dataclass(frozen=True)
class Ready:
    """The first word of a worker: its potential is loaded, and so much fits into a batch."""

    structures: int
    bulk: float


@dataclass(frozen=True)
class Alive:
    """A worker computes and has nothing to tell yet."""


@dataclass(frozen=True)
class Halted:
    """A worker was stopped and has let go of these structures."""

    keys: tuple[Any, ...]


@dataclass(frozen=True)
class Underway:
    """Where some relaxations are, so that they can go on from there elsewhere."""

    states: tuple[tuple[Any, bytes], ...]


def bulk(structure: Structure) -> float:
    """Return torch-sim's measure of memory: atoms times atoms per 1000 Å³."""
    return 1000 * len(structure) ** 2 / max(structure.volume, 1e-9)


class Engine(Protocol):
    """Relaxes what it was given, a little with each call."""

    def __len__(self) -> int:
        """Crystals in work."""

    def add(self, key: Any, structure: Structure, state: bytes = b"") -> Relaxation | None:
        """Take a crystal in, perhaps in the state that it had elsewhere, or answer at once."""

    def states(self, seconds: float) -> list[tuple[Any, bytes]]:
        """Return where those crystals are of which nothing was told for so long, by key."""

    def advance(self) -> list[tuple[Any, Relaxation]]:
        """Go on, and return what ended."""

    def clear(self) -> list[Any]:
        """Forget every crystal in work; returns their keys."""


class OneByOne:
    """ASE's FIRE on one crystal after the other."""

    def __init__(self, settings: Settings, should_stop: Callable[[], bool]) -> None:
        from explorer.batch_evaluation import CalculatorModel  # noqa: PLC0415 - torch-sim
        from explorer.potential_health import refuse_ill  # noqa: PLC0415

        self._calculator = settings.potential.calculator()
        refuse_ill(settings.potential, CalculatorModel(self._calculator, gradients=False))
        self._settings, self._should_stop = settings, should_stop
        self._waiting: list[tuple[Any, Structure]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Any, structure: Structure, state: bytes = b"") -> None:
        """Take a crystal in, which begins anew whatever its state was."""
        self._waiting.append((key, structure))

    def states(self, seconds: float) -> list[tuple[Any, bytes]]:
        """Return none: ASE's optimizer cannot go on elsewhere."""
        return []

    def advance(self) -> list[tuple[Any, Relaxation]]:
        """Relax the first crystal that waits."""
        if not self._waiting:
            return []
        (key, structure), self._waiting = self._waiting[0], self._waiting[1:]
        level, limits = self._settings.potential.level, self._settings.limits
        result = relax_structure(structure, self._calculator, level, limits, self._should_stop)
        if result.reason == STOPPED:
            self._waiting.insert(0, (key, structure))
            return []
        return [(key, result)]

    def clear(self) -> list[Any]:
        """Forget every crystal in work; returns their keys."""
        keys = [key for key, _ in self._waiting]
        self._waiting.clear()
        return keys


def work(connection: Connection, settings: Settings, stop: Event) -> None:
    """Relax structures until the pipe ends. One torch thread: the cores belong to the workers."""
    import torch  # noqa: PLC0415 - seconds to import, and only workers need it

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
    # At its end Python would go through all that torch made once more, for a second, while who
    # closed the pipe waits. What a user's calculator has to do at the end is still done.
    gc.freeze()


def _serve(connection: Connection, settings: Settings, stop: Event) -> None:
    parent = parent_process()

    def alone() -> bool:
        return parent is None or not parent.is_alive()

    try:
        engine, ready = open_engine(settings, lambda: stop.is_set() or alone())
    except Exception as error:
        # No structure can be relaxed then; the parent raises it for all of them.
        connection.send(PotentialError(f"{settings.potential.name} cannot be loaded: {error}"))
        return
    try:
        connection.send(ready)
        _relax_all(connection, engine, stop, alone, settings.save_seconds)
    except (EOFError, OSError):
        return


def open_engine(settings: Settings, should_stop: Callable[[], bool]) -> tuple[Engine, Ready]:
    """Load the potential, and say how much it takes at once.

    Raises
    ------
    PotentialError
        When the weights are not sound.
    """
    potential = settings.potential
    if settings.engine == "ase":
        return OneByOne(settings, should_stop), Ready(1, float("inf"))
    from explorer.batch_relaxation import Batch  # noqa: PLC0415 - torch-sim takes seconds

    def batch_of(chosen: Potential, **how: Any) -> Batch:
        keep = settings.keep_symmetry
        return Batch(chosen.model(), chosen.level, keep_symmetry=keep, **how)

    batch = batch_of(potential, limits=settings.limits, ceiling=settings.ceiling)
    if settings.first is None:
        return batch, _room(potential)
    from explorer.relax_stages import Stages  # noqa: PLC0415

    first = batch_of(settings.first, limits=replace(settings.limits, rattle=0.0))
    return Stages(first, batch, settings.first, settings.limits), _room(potential)


def _room(potential: Potential) -> Ready:
    """Say how much one batch may hold on this device."""
    if not potential.batches:
        return Ready(1, float("inf"))
    if not potential.device.startswith("cuda"):
        return Ready(BATCH_STRUCTURES, BATCH_BULK)
    import torch  # noqa: PLC0415

    free, _ = torch.cuda.mem_get_info(potential.device)
    return Ready(CUDA_STRUCTURES, free / 2 / BYTES_PER_BULK)


def _relax_all(
    connection: Connection,
    engine: Engine,
    stop: Event,
    alone: Callable[[], bool],
    save_seconds: float,
) -> None:
    """Take structures in whenever some wait, work on all of them, tell what ended."""
    spoke = time.monotonic()
    while not alone():
        # With nothing to do it waits for the next structure, or for the end of the pipe.
        while connection.poll(0 if len(engine) else None):
            key, structure, state = connection.recv()
            answer = engine.add(key, structure, state)
            if answer is not None:
                connection.send((key, answer))
        ended = engine.advance()
        for pair in ended:
            connection.send(pair)
        underway = engine.states(0.0 if stop.is_set() else save_seconds)
        if underway:
            connection.send(Underway(tuple(underway)))
        if stop.is_set():
            _let_go(connection, engine)
        elif ended or time.monotonic() - spoke > ALIVE_SECONDS:
            spoke = time.monotonic()
            connection.send(Alive())


def _let_go(connection: Connection, engine: Engine) -> None:
    """Forget what is in work and what was sent meanwhile."""
    keys = engine.clear()
    while connection.poll(0):
        keys.append(connection.recv()[0])
    if keys:
        connection.send(Halted(tuple(keys)))
