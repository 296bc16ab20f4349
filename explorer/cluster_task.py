"""What a worker of a dask cluster does: relax a few structures together, in its own process.

The worker process is the disposable one: what kills it costs a try, not the campaign.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from distributed import Event, get_client
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.potentials import EnergyLevel, PotentialError, potential
from explorer.relax_worker import Engine, Settings, open_engine
from explorer.relaxation import Limits

ASK_SECONDS = 0.5
"""How often a task asks whether it is still wanted."""

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Order:
    """What all tasks of a relaxer share.

    Attributes
    ----------
    potential : str
        Its name, which the worker looks up among its own.
    level : EnergyLevel
        What the energies must belong to.
    engine, limits, keep_symmetry
        As in `explorer.relax_worker.Settings`.
    stop : str
        Name of the event on the scheduler that ends the tasks.
    """

    potential: str
    level: EnergyLevel
    engine: str
    limits: Limits
    keep_symmetry: bool
    stop: str


@dataclass(frozen=True)
class Done:
    """What a task returns: its relaxations by key, and the seconds that they took together."""

    relaxations: list[tuple[Any, Relaxation]]
    seconds: float


def relax_together(order: Order, items: Sequence[tuple[Any, Structure]]) -> Done:
    """Relax structures until all are done or nobody wants them any more.

    Raises
    ------
    PotentialError
        When this worker has no such potential, or other weights of it.
    """
    with _one_at_a_time:
        engine = _engine(
            order.potential, order.level, order.engine, order.limits, order.keep_symmetry
        )
        began = time.monotonic()
        try:
            return Done(_relaxed(engine, items, _stop_of(order)), time.monotonic() - began)
        finally:
            engine.clear()  # the next task gets the same engine


def _relaxed(
    engine: Engine, items: Sequence[tuple[Any, Structure]], stopped: Callable[[], bool]
) -> list[tuple[Any, Relaxation]]:
    ended = []
    for key, structure in items:
        answer = engine.add(key, structure)
        ended += [(key, answer)] if answer is not None else []
    while len(engine) and not stopped():
        ended += engine.advance()
    return ended


@lru_cache(maxsize=2)
def _engine(name: str, level: EnergyLevel, engine: str, limits: Limits, keep: bool) -> Engine:
    """Load a potential once in the life of a worker."""
    import torch  # noqa: PLC0415 - seconds to import

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    here = potential(name, device)
    if here.level != level:
        raise PotentialError(
            f"a worker of the cluster has {here.level}, expected {level}: install the same "
            "version of the potential everywhere"
        )
    return open_engine(Settings(here, engine, limits, keep), lambda: False)[0]


def _stop_of(order: Order) -> Callable[[], bool]:
    """Return a question that reaches the scheduler now and then."""
    event, asked, answer = Event(order.stop, client=get_client()), time.monotonic(), False

    def stopped() -> bool:
        nonlocal asked, answer
        if time.monotonic() - asked > ASK_SECONDS:
            asked = time.monotonic()
            with suppress(OSError):
                answer = event.is_set()
        return answer

    return stopped
