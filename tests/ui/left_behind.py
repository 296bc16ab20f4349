"""Serve the page, open and close it, and print what is left: ``left_behind.py CAMPAIGN TEXT``.

A page is open until the text stands in it. A program of its own, because what the suite has made
before would count. Nobody here looks for garbage: the server has to.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from weakref import WeakSet

from panel.io.server import get_server
from sessions import Page

from explorer.ui.page import Session

APP = Path(__file__).parents[2] / "app.py"
VISITS = 3
LIFETIME = {"unused_session_lifetime_milliseconds": 3000, "check_unused_sessions_milliseconds": 200}
PATIENCE = 30.0  # what a session leaves is searched for some seconds after it has ended
ALIVE: WeakSet[Session] = WeakSet()
_begin = Session.__init__


def _noted(session: Session, *given: Any, **named: Any) -> None:
    ALIVE.add(session)
    _begin(session, *given, **named)


Session.__init__ = _noted


async def main(campaign: str, text: str) -> None:
    """Visit, wait until the server has forgotten it, and count."""
    server = get_server({"app": str(APP)}, **LIFETIME)
    server.start()
    seen = 0
    for _ in range(VISITS):
        page = await Page.open(f"http://localhost:{server.port}/app?campaign={campaign}")
        while text not in json.dumps(await page.ask("PULL-DOC-REQ", {})):
            await asyncio.sleep(0.2)
        seen = max(seen, len(ALIVE))
        await page.close()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and (server.get_sessions() or len(ALIVE) > 1):
        await asyncio.sleep(0.5)
    print(json.dumps({"seen": seen, "left": len(ALIVE)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
