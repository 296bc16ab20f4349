"""The pulse of a page: a look into the store now and then, that keeps nobody's click waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import panel as pn
import panel_material_ui as pmui
from bokeh.application.application import SessionContext
from bokeh.document import Document
from panel.io.callbacks import PeriodicCallback
from panel.io.notifications import NotificationAreaBase
from panel.util import edit_readonly

PERIOD = 700
"""Milliseconds between looks of a page, when the server has nothing else to do."""
REST = 4.0
"""How long nobody looks after a look, in units of what looks take of the event loop."""
MEMORY = 0.05
"""Weight of the latest look in the average of what looks take."""


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


class Pulse:
    """Calls a coroutine again and again while the page is open, each time when its turn comes.

    Panel keeps the document locked while a periodic callback waits, and clicks with it; this one
    waits outside of the lock.

    Parameters
    ----------
    look
        What is called; never twice at once.
    """

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
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
            now = time.monotonic()
            await asyncio.sleep(TURNS.next(now) - now)
            await self._look()
        finally:
            self._waiting = False


def mind_own_business(page: pmui.Page) -> None:
    """Do not tell a page whenever a callback of any session runs: with many pages nothing else.

    What tells it would keep the page in memory too, after its session has ended.
    """
    with edit_readonly(page):
        page.busy = False
    for watcher in pn.state.param.watchers.get("busy", {}).get("value", [])[:]:
        if getattr(getattr(watcher.fn, "__self__", None), "self", None) is page:
            pn.state.param.unwatch(watcher)


def send_at_once(page: Document | None) -> None:
    """Let what a page is told leave at once; its browser must be there, else nothing changes.

    A message is three frames or more; while the browser's machine has not confirmed one, TCP would
    hold back the next, for 40 ms (Nagle's algorithm and delayed acknowledgement).
    """
    if page is None or page.session_context is None:  # of no server
        return
    for connection in page.session_context.session._subscribed_connections:
        connection._socket.set_nodelay(True)


def leave_nothing(page: Document | None) -> None:
    """Let a page's notifications go when its session ends.

    Panel keeps them, and with them all of the page and its campaign: 8 MB each time.
    """

    def forget(_context: SessionContext) -> None:
        for name, (view, _, document, _) in list(pn.state._views.items()):
            if document is page and isinstance(view, NotificationAreaBase):
                del pn.state._views[name]

    if page is not None:
        page.on_session_destroyed(forget)
