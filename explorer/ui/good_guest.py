"""What a page must see to on Panel's server, so that many pages live side by side.

Panel has no setting for any of it, hence the private names.
"""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
from bokeh.application.application import SessionContext
from bokeh.document import Document
from panel.io.notifications import NotificationAreaBase
from panel.util import edit_readonly


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
