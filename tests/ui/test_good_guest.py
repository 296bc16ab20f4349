"""What is changed on a page reaches its browser, however the messages come together."""

import asyncio

import panel.io.document as panel_document
import pytest
from bokeh.document import Document
from bokeh.document.events import ModelChangedEvent
from bokeh.models import Div
from bokeh.protocol import Protocol
from tornado.locks import Lock

from explorer.ui.good_guest import leaving_none


class Browser:
    """The server's end of a connection, on which a message arrives when the test says so."""

    def __init__(self) -> None:
        self.protocol = Protocol()
        self.write_lock = Lock()
        self.sent = []
        self._socket = self
        self._on_the_way = []

    def send(self, text_data: str) -> asyncio.Future:
        """Take a frame, three of which are a message."""
        self.sent.append(text_data)
        self._on_the_way.append(asyncio.get_running_loop().create_future())
        return self._on_the_way[-1]

    def arrive(self) -> None:
        """Let arrive what was sent."""
        while self._on_the_way:
            self._on_the_way.pop().set_result(None)


async def until_still() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def texts_that_arrive(texts: list[str], steps: int) -> list[str]:
    """Change a page, and on while messages are on their way; return what the browser gets."""
    browser, page, words = Browser(), Document(), Div()
    page.add_root(words)
    for text in texts:
        event = ModelChangedEvent(page, words, "text", text)
        panel_document.schedule_write_events(page, [browser], [event])
        for _ in range(steps):
            await asyncio.sleep(0)
        browser.arrive()
    for _ in texts:
        await until_still()
        browser.arrive()
    return [text for text in texts if any(text in frame for frame in browser.sent)]


@pytest.mark.parametrize("steps", range(4))
def test_no_change_waits_for_the_next_one(monkeypatch, steps):
    """Panel alone leaves one behind; see the test after this one."""
    mended = leaving_none(panel_document._dispatch_msgs)
    monkeypatch.setattr(panel_document, "_dispatch_msgs", mended)
    texts = ["first", "second", "third", "fourth"]
    assert asyncio.run(texts_that_arrive(texts, steps)) == texts


def test_panel_still_needs_it():
    """When this fails, what mends Panel can go."""
    plain = getattr(panel_document._dispatch_msgs, "__wrapped__", panel_document._dispatch_msgs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel_document, "_dispatch_msgs", plain)
        arrived = [asyncio.run(texts_that_arrive(["first", "second"], k)) for k in range(4)]
    assert ["first"] in arrived
