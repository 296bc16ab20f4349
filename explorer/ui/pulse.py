"""The pulse of a page: a look into the store now and then, that keeps nobody's click waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import panel as pn
from panel.io.callbacks import PeriodicCallback

PERIOD = 700
"""Milliseconds between looks of a page, when the server has nothing else to do."""
REST = 4.0
"""How long nobody looks after a look, in units of what looks take of the event loop."""
MEMORY = 0.05
"""Weight of the latest look in the average of what looks take."""

News = TypeVar("News")


class Turns:
    """Looks of all pages of a server, one after the other, with time for clicks in between.

    However many pages watch, their looks take 1 / (1 + `REST`) of the event loop at most: each
    looks the less often.
    """

    def __init__(self) -> None:
        self._free_from = 0.0
        self.seconds = 0.0

    def next(self, now: float) -> float:
        """Take the next place in the line and return when it comes, not before `now`."""
        turn = max(now, self._free_from)
        self._free_from = turn + REST * self.seconds
        return turn

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what happens inside as a look."""
        began = time.monotonic()
        yield
        self.seconds += MEMORY * (time.monotonic() - began - self.seconds)


TURNS = Turns()


class Pulse(Generic[News]):
    """Reads again and again while the page is open, and takes over what is new when its turn comes.

    Panel keeps the document locked while a periodic callback waits, and clicks with it; this one
    waits outside of the lock, and after it has read: pages of one campaign share a reading, and
    what they wait for in common would come to all of them at once.

    Parameters
    ----------
    read
        Reads beside the event loop; never called twice at once.
    take
        Called with what `read` returned.
    """

    def __init__(
        self, read: Callable[[], Awaitable[News]], take: Callable[[News], Awaitable[None]]
    ) -> None:
        self._read, self._take = read, take
        self._waiting = False

    def start(self) -> None:
        """Begin; the pulse ends with the session."""
        PeriodicCallback(callback=self._beat, period=PERIOD, background=True).start()

    def _beat(self) -> None:
        if not self._waiting:
            self._waiting = True
            pn.state.execute(self._when_it_is_time, schedule=True)

    async def _when_it_is_time(self) -> None:
        try:
            news = await self._read()
            now = time.monotonic()
            await asyncio.sleep(TURNS.next(now) - now)
            await self._take(news)
        finally:
            self._waiting = False
