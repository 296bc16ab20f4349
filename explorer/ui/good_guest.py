"""What a page must see to on Panel's server, so that many pages live side by side.

Panel has no setting for any of it, hence the private names.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import cache, wraps

import panel as pn
import panel.io.document as panel_document
import panel_material_ui as pmui
from bokeh.application.application import SessionContext
from bokeh.document import Document
from bokeh.settings import settings
from panel.io.notifications import NotificationAreaBase
from panel.util import edit_readonly
from tornado.ioloop import IOLoop

LITTER = 10_000
"""Objects made before Python looks for garbage among them: a page is 75,000 that all stay."""

CLOSED = 20
"""Pages that may have been closed before what they left is searched for while others are open."""
AFTERWARDS = 6.0
"""Seconds after the end of a session in which Panel still holds parts of it."""

TURN = 5e-4
"""Seconds for which a thread may compute while the one that answers clicks waits."""


@cache
def settle() -> None:
    """Make this process a server of pages, when the first one is asked for."""
    # What has been imported by now stays: to search it for garbage would stop all pages for half a
    # second now and then.
    gc.collect()
    gc.freeze()
    # Panel searches everything once sessions have ended. To do that while a page is built, too,
    # would take an eighth of its time.
    gc.set_threshold(LITTER, *gc.get_threshold()[1:])
    # A message to a page is some writes to a socket, and before each goes on the threads that draw
    # may keep what runs Python for so long: five milliseconds, left alone.
    sys.setswitchinterval(TURN)
    # Bokeh would check the signature of each of a page's 2,000 callbacks, which are Panel's, and
    # then all of its models.
    settings.perform_error_diagnostics = False
    settings.perform_document_validation = False
    panel_document._dispatch_msgs = leaving_none(panel_document._dispatch_msgs)


def leaving_none(
    send: Callable[[Document], Awaitable[None]],
) -> Callable[[Document], Awaitable[None]]:
    """Return Panel's sender of what waits for a page, mended: none of it stays behind.

    What changes while another message is on its way waits. Panel's sender takes away the sign that
    something does after it has sent, and what came meanwhile with it: that change reaches the
    browser with the next one, be it in an hour. A list would go on saying that it is empty.
    """

    @wraps(send)
    async def send_all(page: Document) -> None:
        await send(page)
        while panel_document._WRITE_MSGS.get(page) and page not in panel_document._WRITE_BLOCK:
            panel_document._WRITE_BLOCK[page] = True
            await send(page)

    return send_all


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
    """Let a page go when its session ends: at once what can be, the rest as `SEARCH` sees fit.

    Panel keeps its notifications, and with them all of the page and its campaign: 8 MB each time.
    """

    def forget(_context: SessionContext) -> None:
        SEARCH.ended()
        for name, (view, _, document, _) in list(pn.state._views.items()):
            if document is page and isinstance(view, NotificationAreaBase):
                del pn.state._views[name]

    if page is not None:
        SEARCH.opened()
        page.on_session_destroyed(forget)
        # Panel has no other way to its set, which it goes through again at `--warm`.
        hooks = page.callbacks
        hooks._session_destroyed_callbacks = Hooks(hooks.session_destroyed_callbacks)


class Search:
    """Looks for what closed pages left, seldom: all pages wait for it, forty of them 1.3 s.

    Objects that refer to each other stay in memory until Python searches all that it has. Left
    alone it does so when pages are opened, and Bokeh and Panel ask it to whenever one is closed.
    So what belongs to pages is put where it does not look, and comes back when many were closed, or
    all of them.
    """

    def __init__(self) -> None:
        self._open = self._closed = 0
        self._due = False

    def opened(self) -> None:
        """Count a page that is being built."""
        self._open += 1

    def keep(self) -> None:
        """Leave alone what there is now, when a page has been built."""
        gc.freeze()

    def ended(self) -> None:
        """Count a page whose session ends, and search once it is worth it."""
        self._open -= 1
        self._closed += 1
        enough = self._closed >= max(CLOSED, self._open // 2)
        if (enough or not self._open) and not self._due:
            self._due = True
            IOLoop.current().call_later(AFTERWARDS, self._search)

    def _search(self) -> None:
        self._closed, self._due = 0, False
        gc.unfreeze()
        gc.collect()
        gc.freeze()


SEARCH = Search()


class Hooks(set):
    """What a page calls when its session ends; one that takes itself away ends no loop over them.

    HoloViews' plots do so, while Panel, after it has built a page in advance, loops over the set
    itself: ``panel serve --warm`` would end with "Set changed size during iteration".
    """

    def __iter__(self) -> Iterator[Callable[[SessionContext], None]]:
        return iter(tuple(super().__iter__()))
