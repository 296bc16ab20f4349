"""Worker processes from the outside: what each of them holds, and what it has to say."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.isolation import SPAWN, exit_text, killed_from_outside, starting
from explorer.potentials import PotentialError
from explorer.relax_worker import Alive, Halted, Ready, Settings, Underway, bulk, work

START_SECONDS = 300.0
"""How long a worker may take to import its libraries and to load the potential."""
STOP_SECONDS = 2.0
"""How long a worker may take to notice a stop before it is killed."""


class WorkerDiedError(RuntimeError):
    """A worker process ended, or was ended, with its reason.

    Attributes
    ----------
    killed : bool
        Whether somebody else ended it, which may say nothing about what it held.
    """

    def __init__(self, reason: str, *, killed: bool = False) -> None:
        super().__init__(reason)
        self.killed = killed


@dataclass(frozen=True, eq=False)
class Item:
    """A structure on its way through the workers.

    Attributes
    ----------
    place
        Unique in a Relaxer.
    key
        The caller's.
    state
        Where its relaxation was when it was last heard of; empty before the first step.
    """

    place: int
    key: Any
    structure: Structure
    state: bytes = b""

    @property
    def bulk(self) -> float:
        """Its share of a batch, as torch-sim measures memory."""
        return bulk(self.structure)


class ItemQueue:
    """An iterable that can say whether it is empty before an item is taken."""

    def __init__(self, items: Iterable[tuple[Any, Structure]], first_place: int) -> None:
        self._items = (Item(place, *pair) for place, pair in enumerate(items, first_place))
        self._next: list[Item] = []

    @property
    def empty(self) -> bool:
        """Whether there is no further item."""
        return not self._ahead()

    def peek(self) -> Item:
        """Return the next item and leave it there."""
        return self._ahead()[0]

    def take(self) -> Item:
        """Return the next item."""
        return self._ahead().pop()

    def _ahead(self) -> list[Item]:
        if not self._next:
            self._next = list(islice(self._items, 1))
        return self._next


def needs_program(settings: Settings) -> bool:
    """Whether a worker must import the program itself, as for a potential that is defined there.

    Raises
    ------
    PotentialError
        When it must and cannot: what is typed, or written in a notebook, is in no file.
    """
    if b"__main__" not in pickle.dumps(settings):
        return False
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None or not Path(file).is_file():
        raise PotentialError(
            f"expected {settings.potential.name} to be defined in a file, got one defined in a "
            "notebook or a typed program: workers are processes of their own and cannot see it "
            "there; put its class into a module beside the notebook, and import it"
        )
    return True


class Worker:
    """A worker process, the pipe to it and the structures that it holds.

    Raises
    ------
    PotentialError
        As in `needs_program`.
    """

    def __init__(self, settings: Settings, stop: Any) -> None:
        with_program = needs_program(settings)
        self.connection: Connection
        self.connection, far_end = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(far_end, settings, stop), daemon=True)
        with starting(with_program=with_program):
            self.process.start()
        # With our copy closed, a dead worker shows as the end of the pipe.
        far_end.close()
        self.held: dict[int, Item] = {}
        self._underway: dict[Any, bytes] = {}
        self._outbox: SimpleQueue[tuple[int, Structure, bytes] | None] = SimpleQueue()
        self._sender = threading.Thread(target=self._send, daemon=True, name="outbox")
        self._sender.start()
        self.suspected = False
        self.ready = False
        self._room = Ready(1, float("inf"))
        self._heard = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether it holds a structure."""
        return bool(self.held)

    @property
    def load(self) -> float:
        """Memory that its structures take, as torch-sim measures it."""
        return sum(item.bulk for item in self.held.values())

    @property
    def silent_seconds(self) -> float:
        """Wall time since it said something, or since it was given something to do."""
        return time.monotonic() - self._heard

    def fits(self, item: Item) -> bool:
        """Whether it can take one more; an idle worker takes any."""
        if not self.held:
            return True
        room = self._room
        small = self.load + item.bulk <= room.bulk
        return not self.suspected and small and len(self.held) < room.structures

    def give(self, items: Iterable[Item], *, suspected: bool = False) -> None:
        """Send structures; suspected ones get no further company."""
        if not self.held:
            self._heard = time.monotonic()
        self.suspected = suspected
        for item in items:
            self.held[item.place] = item
            self._outbox.put((item.place, item.structure, item.state))

    def _send(self) -> None:
        """Send what is given, in a thread of its own.

        Worker and caller may both have more to say than the pipe holds; were the caller to wait
        until the worker has read, it would not read what the worker waits to have said.
        """
        # Dead already: the pipe reads as ended, and `hear` says why.
        with suppress(OSError):
            while (words := self._outbox.get()) is not None:
                self.connection.send(words)

    def hear(self) -> Iterator[tuple[Any, Relaxation]]:
        """Take in all that it has said, and yield what ended.

        Raises
        ------
        WorkerDiedError
            When the process is gone.
        PotentialError
            When it could not load the potential.
        """
        self._heard = time.monotonic()
        try:
            while self.connection.poll():
                yield from self._understand(self.connection.recv())
        except (EOFError, OSError) as error:
            self.process.join(STOP_SECONDS)
            code = self.process.exitcode
            reason = f"worker died: {exit_text(code)}"
            raise WorkerDiedError(reason, killed=killed_from_outside(code)) from error

    def _understand(self, word: Any) -> Iterator[tuple[Any, Relaxation]]:
        if isinstance(word, Exception):
            raise word
        if isinstance(word, Ready):
            self.ready, self._room = True, word
        elif isinstance(word, Halted):
            for place in word.keys:
                self.held.pop(place, None)
        elif isinstance(word, Underway):
            for place, state in word.states:
                self.held[place] = replace(self.held[place], state=state)
                self._underway[self.held[place].key] = state
        elif not isinstance(word, Alive):
            place, relaxation = word
            key = self.held.pop(place).key
            self._underway.pop(key, None)
            yield key, relaxation

    def underway(self) -> dict[Any, bytes]:
        """Return where relaxations are of which it has told since the last call, by key."""
        told, self._underway = self._underway, {}
        return told

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join(STOP_SECONDS)
        self._hang_up()

    def end(self) -> None:
        """Ask the process to leave, and make it when it does not."""
        self._hang_up()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(STOP_SECONDS)

    def _hang_up(self) -> None:
        """Close the pipe, once nothing is being written: its number may soon be another file's."""
        self._outbox.put(None)
        self._sender.join(STOP_SECONDS)
        self.connection.close()
