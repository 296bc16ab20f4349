"""How long a server's event loop is held at a time: ``panel serve ... --plugins loop_blocks``.

`/blocks` tells the longest callbacks since it was asked last, in milliseconds of the wall's clock
and of the processor's: on a busy machine a callback also waits for others. And the longest rounds:
a click that comes while many callbacks are due waits for all of them.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Any

from tornado.web import RequestHandler

LONG = 0.03
"""Seconds of the processor after which a callback keeps clicks waiting that one notices."""
TOLD = 10


class Blocks:
    """What the loop did: how many callbacks, how many long ones, and the longest."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.callbacks = self.long = 0
        self.processor = 0.0
        self.longest: list[tuple[float, float]] = []
        self.round = 0.0
        self.rounds: list[float] = []

    def count(self, wall: float, processor: float) -> None:
        """Take a callback that took so many seconds of both clocks."""
        self.callbacks += 1
        self.processor += processor
        self.long += processor > LONG
        self.round += processor
        keep_longest(self.longest, (processor, wall))

    def end_round(self) -> None:
        """Take what has been counted since the last round as one."""
        keep_longest(self.rounds, self.round)
        self.round = 0.0


def keep_longest(kept: list, value: Any) -> None:
    """Add a value to a heap of the longest ones."""
    keep = heapq.heappush if len(kept) < TOLD else heapq.heappushpop
    keep(kept, value)


BLOCKS = Blocks()
_run = asyncio.Handle._run
_run_once = asyncio.BaseEventLoop._run_once


def _timed(handle: asyncio.Handle) -> None:
    wall, processor = time.perf_counter(), time.thread_time()
    try:
        _run(handle)
    finally:
        BLOCKS.count(time.perf_counter() - wall, time.thread_time() - processor)


def _rounded(loop: asyncio.BaseEventLoop) -> None:
    _run_once(loop)
    BLOCKS.end_round()


asyncio.Handle._run = _timed
asyncio.BaseEventLoop._run_once = _rounded


class Told(RequestHandler):
    """Tells the blocks and begins anew."""

    def get(self) -> None:
        """Answer."""
        longest = sorted(BLOCKS.longest, reverse=True)
        self.write(
            {
                "callbacks": BLOCKS.callbacks,
                "longer_than_30_ms_of_processor": BLOCKS.long,
                "longest_milliseconds_of_processor": [round(1000 * p, 1) for p, _ in longest],
                "their_milliseconds_of_wall": [round(1000 * w, 1) for _, w in longest],
                "longest_rounds_milliseconds_of_processor": [
                    round(1000 * p, 1) for p in sorted(BLOCKS.rounds, reverse=True)
                ],
            }
        )
        BLOCKS.forget()


ROUTES = [("/blocks", Told, {})]
