"""Serve the page, open and close it, and print what is left: ``left_behind.py CAMPAIGN TEXT``.

A page is open until the text stands in it. A program of its own, because what the suite has made
before would count.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from panel.io.server import get_server
from sessions import Page

from explorer.ui.page import Session

APP = Path(__file__).parents[2] / "app.py"
VISITS = 3
LIFETIME = {"unused_session_lifetime_milliseconds": 3000, "check_unused_sessions_milliseconds": 200}
PATIENCE = 30.0  # Panel itself looks for garbage five seconds after a session has ended


async def main(campaign: str, text: str) -> None:
    """Visit, wait until the server has forgotten it, and count."""
    server = get_server({"app": str(APP)}, **LIFETIME)
    server.start()
    seen = 0
    for _ in range(VISITS):
        page = await Page.open(f"http://localhost:{server.port}/app?campaign={campaign}")
        while text not in json.dumps(await page.ask("PULL-DOC-REQ", {})):
            await asyncio.sleep(0.2)
        seen = max(seen, pages_alive())
        await page.close()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and (server.get_sessions() or pages_alive() > 1):
        await asyncio.sleep(0.5)
    print(json.dumps({"seen": seen, "left": pages_alive()}))


def pages_alive() -> int:
    """Return how many pages are in memory and no garbage."""
    gc.collect()
    return sum(isinstance(item, Session) for item in gc.get_objects())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
