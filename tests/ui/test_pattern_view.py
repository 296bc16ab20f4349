"""The powder tab: wavelength, upload, and what is said of a file that cannot be read."""

import asyncio
import json

import param
from handmade import HOSTILE, candidate

from explorer.ui.pattern_view import HELP, PatternView

MEASURED = "\n".join(f"{10 + k} {100 * (k % 7)}" for k in range(60))


def drop(view, name: str, content: str) -> None:
    """Drop a file, and wait until it was read."""
    with param.parameterized.discard_events(view.dropper):
        view.dropper.param.update(filename=name, value=content.encode())
    asyncio.run(view._take())


def names(drawing: str) -> list[str]:
    """Return the names of the traces that have one."""
    return [trace["name"] for trace in json.loads(drawing)["data"] if "name" in trace]


def test_a_measured_pattern_is_drawn_and_removed():
    """The plot holds both until Remove is clicked; the same file may come again."""
    view, salt = PatternView(), candidate(0).initial
    assert names(view.draw(salt, False)) == ["simulated"]
    for _ in range(2):
        drop(view, "../mine.xy", MEASURED)
        assert "mine.xy: 60 points" in view.note.object
        assert names(view.draw(salt, False)) == ["measured", "simulated"]
    view.clear.clicks += 1
    assert view.measured is None
    assert view.note.object == HELP
    assert view.slot.visible


def test_a_bad_file_says_why_and_leaves_the_last():
    """The message is text, whatever the file's name holds, and the next file can be dropped."""
    view = PatternView()
    drop(view, "good.xy", MEASURED)
    drop(view, HOSTILE, "nothing")
    assert "got 0" in view.note.object
    assert "role='alert'" in view.note.object
    assert "<img" not in view.note.object
    assert view.measured.name == "good.xy"
    assert view.dropper.value is None


def test_another_radiation_moves_the_peaks():
    """The choice is made by what people call it."""
    view, salt = PatternView(), candidate(0).initial
    before = json.loads(view.draw(salt, False))["data"][0]["x"]
    view.radiation.value = "MoKa"
    after = json.loads(view.draw(salt, False))["data"][0]["x"]
    assert after[0] < before[0] / 2
