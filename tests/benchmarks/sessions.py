"""How many pages one server holds, and how fast it answers clicks while a campaign relaxes.

`python tests/benchmarks/sessions.py --open 300 --watching 30 --clicks 200` starts the server and a
runner, opens pages as a browser does (document and websocket, without drawing them), lets some of
them watch a campaign that is being relaxed, clicks a checkbox of one, and prints the figures as
JSON. A click is answered when the server has handled it and says so; it is also clicked while all
other pages are closed at once and the server forgets them. Seconds of the processor and the longest
callbacks of the server's loop mean the same on a busy machine, too. With `--visits 1000` so many
pages are opened and closed one after the other instead, and the figure is the memory that stays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from fault_machine import Machine

from explorer.campaign import CampaignSpec

CLICKED = "Deleted ones"
READY = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
WARM = 30
"""Visits after which a server has loaded what it ever loads."""
STOPS = 4
"""How often the memory is read while pages are opened and closed."""
REST = 45.0
"""Seconds in which the server forgets the sessions that nobody looks at."""
PATIENCE = 120.0
"""Seconds after which a page that does not come counts as an error."""


class Page:
    """A session as its browser's end of the wire sees it: whole messages, answers by their number.

    Parameters
    ----------
    socket
        Open websocket in Bokeh's protocol: three frames for each message, and two for each buffer.
    """

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._numbers = count()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._begun = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, address: str) -> Page:
        """Load the page and tell the server that it is ready."""
        reply = await AsyncHTTPClient().fetch(address, request_timeout=PATIENCE)
        token = re.search(r'"token":"([^"]+)"', reply.body.decode()).group(1)
        where = re.sub("^http", "ws", address.partition("?")[0]) + "/ws"
        socket = await websocket_connect(where, subprotocols=["bokeh", token])
        socket.protocol.set_nodelay(True)  # as browsers do
        page = cls(socket)
        await asyncio.wait_for(page._begun.wait(), PATIENCE)
        await page.patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": READY})
        return page

    async def ask(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send a message and return the content of its answer."""
        number = f"bench-{next(self._numbers)}"
        self._waiting[number] = asyncio.get_running_loop().create_future()
        for part in ({"msgid": number, "msgtype": kind}, {}, content):
            self._socket.write_message(json.dumps(part))
        return await asyncio.wait_for(self._waiting[number], PATIENCE)

    async def patch(self, event: dict[str, Any]) -> None:
        """Change the document on the server."""
        await self.ask("PATCH-DOC", {"events": [event]})

    async def close(self) -> None:
        """Leave as a closed tab does."""
        self._socket.close()
        await self._reader

    async def _read(self) -> None:
        while (header := await self._socket.read_message()) is not None:
            told = json.loads(header)
            await self._socket.read_message()
            content = await self._socket.read_message()
            for _ in range(2 * told.get("num_buffers", 0)):
                await self._socket.read_message()
            if told["msgtype"] == "ACK":  # before that the server takes no message
                self._begun.set()
            waiting = self._waiting.pop(told.get("reqid", ""), None)
            if waiting is not None:
                waiting.set_result(json.loads(content))


def find(node: Any, label: str) -> str | None:
    """Return the id of the model with a label in a document as JSON."""
    if isinstance(node, dict):
        if node.get("attributes", {}).get("label") == label:
            return node["id"]
        node = list(node.values())
    if isinstance(node, list):
        return next(filter(None, (find(item, label) for item in node)), None)
    return None


async def clicks(page: Page, times: int, pause: float = 0.1) -> list[float]:
    """Tick a checkbox again and again; returns how long the server took, in milliseconds."""
    model = find(await page.ask("PULL-DOC-REQ", {}), CLICKED)
    if model is None:
        raise LookupError(f"the page has no {CLICKED!r} to click")
    took = []
    for number in range(times):
        change = {"kind": "ModelChanged", "model": {"id": model}, "attr": "value"}
        began = time.perf_counter()
        await page.patch(change | {"new": number % 2 == 0})
        took.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(pause)  # people do not click without a break
    return took


async def measure(machine: Machine, address: str, options: argparse.Namespace) -> dict[str, Any]:
    """Open the pages, click, close them, and say what that took."""
    server = psutil.Process(machine.web.pid)
    spec = CampaignSpec.parse(elements="Al-Ca-Cu", n=2000, max_steps=500, fmax=0.001)
    campaign = machine.store.create(spec)
    first = await Page.open(address)
    while not machine.store.campaign(campaign).counts["relaxed"]:
        await asyncio.sleep(0.2)
    blocks = address.removesuffix("/app") + "/blocks"
    before, worked = server.memory_info().rss, processor_seconds(server)
    pages, loads = [first], []
    for number in range(options.open):
        began = time.perf_counter()
        watched = f"{address}?campaign={campaign}" if number < options.watching else address
        pages.append(await Page.open(watched))
        loads.append(time.perf_counter() - began)
    after, worked = server.memory_info().rss, processor_seconds(server) - worked
    while_opening = json.loads((await AsyncHTTPClient().fetch(blocks)).body)
    began, busy = time.perf_counter(), processor_seconds(server)
    took = await clicks(first, options.clicks)
    busy = (processor_seconds(server) - busy) / (time.perf_counter() - began)
    while_clicking = json.loads((await AsyncHTTPClient().fetch(blocks)).body)
    leaving = asyncio.create_task(clicks(first, round(REST / 0.1)))
    for page in pages[1:]:
        await page.close()
    took_leaving = await leaving
    await first.close()
    return {
        "pages": {"open": len(pages), "watching": min(options.watching, options.open)},
        "page_load_seconds": quantiles(loads),
        "processor_seconds_for_each_page": round(worked / max(options.open, 1), 2),
        "click_milliseconds": quantiles(took),
        "click_milliseconds_while_pages_close": quantiles(took_leaving),
        "server_cores_used": round(busy, 2),
        "loop_while_pages_open": while_opening,
        "loop_while_clicking": while_clicking,
        "megabytes_for_each_page": round((after - before) / 1e6 / max(options.open, 1), 2),
        "relaxed_meanwhile": machine.store.campaign(campaign).counts["relaxed"],
        "load_average": round(psutil.getloadavg()[0], 1),
    }


def processor_seconds(process: psutil.Process) -> float:
    """Return what a process has worked, in all its threads."""
    return sum(process.cpu_times()[:2])


async def visit(machine: Machine, address: str, times: int) -> dict[str, Any]:
    """Open and close pages one after the other, and say what memory that left behind.

    Memory that is lost grows from stop to stop; what the allocator keeps of the busiest moment so
    far goes up and down.
    """
    server = psutil.Process(machine.web.pid)
    sizes, loads = [], []
    stops = np.linspace(0, times, STOPS + 1, dtype=int)
    for number in (WARM, *np.diff(stops).tolist()):
        for _ in range(number):
            began = time.perf_counter()
            page = await Page.open(address)
            loads.append(time.perf_counter() - began)
            await page.close()
        await asyncio.sleep(REST)
        sizes.append(server.memory_info().rss / 1e6)
    return {
        "visits": times,
        "page_load_seconds": quantiles(loads[WARM:]),
        "megabytes_at_rest": {
            WARM + done: round(size) for done, size in zip(stops.tolist(), sizes, strict=True)
        },
        "megabytes_grown": round(sizes[-1] - sizes[0], 1),
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the 95th percentile and the largest."""
    middle, late, last = np.percentile(values, (50, 95, 100)).round(2).tolist()
    return {"n": len(values), "median": middle, "p95": late, "max": last}


def main() -> int:
    """Measure, in a folder that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--open", type=int, default=300, help="pages")
    parser.add_argument("--watching", type=int, default=30, help="of these on the live campaign")
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--visits", type=int, default=0, help="pages opened and closed instead")
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="hullscape-bench-") as folder,
        Machine(Path(folder), web=False) as machine,
    ):
        here = str(Path(__file__).parent)
        os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
        machine.web = machine.start_web("--plugins", "loop_blocks")
        while not machine.page_answers():
            time.sleep(0.5)
        address = f"http://127.0.0.1:{machine.port}/app"
        work = visit(machine, address, options.visits) if options.visits else None
        print(json.dumps(asyncio.run(work or measure(machine, address, options)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
