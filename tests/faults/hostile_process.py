"""The process that inputs are handed to; it stands for web server and command, and may not die."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from hostile_feeds import Bench, Outcome, feed
from hostile_inputs import make
from hostile_networks import LEVEL
from pymatgen.core import Structure

from explorer import isolation
from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.isolation import SPAWN, exit_text, turn_of
from explorer.lease import Leases, new_owner
from explorer.store import Store
from explorer.structure_files import safe_name

PATIENCE = 120.0
"""Seconds after which a process that says nothing is ended."""


@dataclass
class Answer:
    """What became of an input, as the process that watches hears of it; see `Outcome`."""

    number: int
    kind: str
    entry: str = ""
    accepted: bool = False
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    structures: list[Structure] = field(default_factory=list)


class Process:
    """Hands in inputs, in a child that cannot take this process along."""

    def __init__(self, seed: int, numbers: Sequence[int], folder: Path) -> None:
        self._seed, self._numbers = seed, list(numbers)
        self._connection, far_end = SPAWN.Pipe()
        arguments = (seed, self._numbers, folder, far_end)
        self._process = SPAWN.Process(target=_serve, args=arguments)
        self._process.start()
        far_end.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
        self._process.join()
        self._connection.close()

    def answers(self) -> Iterator[Answer]:
        """Yield an answer for each input up to the one that the process dies of."""
        for number in self._numbers:
            try:
                if self._connection.poll(PATIENCE):
                    yield self._connection.recv()
                    continue
                told = f"no verdict within {PATIENCE:g} s"
            except (EOFError, OSError):
                self._process.join()
                told = f"the process died: {exit_text(self._process.exitcode)}"
            yield Answer(number, make(self._seed, number).kind, wrong=[told])
            return


def _serve(seed: int, numbers: Sequence[int], folder: Path, connection: Connection) -> None:
    """Hand in one input after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    for name in ("inputs", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    tempfile.tempdir = str(folder / "temporary")
    os.chdir(folder)
    bench = _bench(folder)
    for number in numbers:
        _warm()
        given = make(seed, number)
        began, waited = time.monotonic(), _waited()
        outcome = feed(given, bench)
        seconds = time.monotonic() - began - max(_waited() - waited, 0.0)
        connection.send(_answer(number, given.kind, outcome, seconds))
        for path in (folder / "inputs").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _answer(number: int, kind: str, outcome: Outcome, seconds: float) -> Answer:
    told = (outcome.entry, outcome.accepted, outcome.wrong, seconds, outcome.structures)
    return Answer(number, kind, *told)


def _warm() -> None:
    """Let a child that replaces a killed one start before the clock runs."""
    isolation.run(safe_name, "warm")


def _waited() -> float:
    """Return how long this process and its children have waited for a processor, seconds."""
    me = psutil.Process()
    return sum(turn_of(process.pid).waited for process in (me, *me.children(recursive=True)))


def _bench(folder: Path) -> Bench:
    store = Store(folder / "campaigns.db")
    campaign = store.create(CampaignSpec(elements=("Na", "Cl"), n=1))
    lease = Leases(store.engine, new_owner()).take(campaign)
    facts = {"formula": "NaCl", "state": State.FAILED, "level": LEVEL}
    store.put_candidates(lease, [Candidate(id="000000", index=0, **facts)])
    return Bench(folder, store, campaign, "000000")
