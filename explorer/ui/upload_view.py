"""A file that is given with a campaign: dropped, read beside the event loop, told of, removed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.complaints import too_large
from explorer.structure_files import safe_name
from explorer.ui.draft import NO_UPLOAD, Upload
from explorer.ui.drop_area import drop_area, short_name
from explorer.ui.theme import words

MAX_MEGABYTES = 16
LOOK = """
.label { font-size: 12.5px; }
p { font-size: 12px; margin-top: 1px; }
"""
DETAIL = """
p, ul { font-size: 12px; margin: 0; color: var(--muted); }
ul { padding-left: 16px; overflow-wrap: anywhere; }
"""


class UploadView(Viewer):
    """A drop area with a line below that says what was read.

    Parameters
    ----------
    label : str
        HTML that names the field and says what may be dropped.
    what : str
        What the file holds, for the drop area.
    read : callable
        Makes an `Upload` of a file's name and bytes; never raises.
    take : callable
        Called with what was read, or with `NO_UPLOAD` when it is taken away.
    """

    def __init__(
        self,
        label: str,
        what: str,
        read: Callable[[str, bytes], Upload],
        take: Callable[[Upload], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._what, self._read, self._take_over = what, read, take
        self._label = words(label, LOOK, margin=(8, 0, 4, 0))
        self.note = words(sizing_mode="stretch_width", align="center")
        self.detail = words(extra=DETAIL, visible=False, margin=(0, 0, 2, 0))
        self.clear = pmui.Button(
            label="Remove", variant="text", size="small", margin=0, visible=False, align="center"
        )
        self.slot = pn.Column(sizing_mode="stretch_width", margin=(2, 0))
        self.clear.on_click(self._clear)
        self._offer()

    def show(self, name: str, html: str, detail: str = "") -> None:
        """Tell of the file of this name; "" for none, which offers the drop area."""
        self.clear.visible = bool(name)
        self.note.object = html
        self.detail.param.update(object=detail, visible=bool(detail))
        self.slot.visible = not name

    def _offer(self) -> None:
        """Put an empty drop area in place: one that holds a file cannot be emptied from here."""
        self.dropper = drop_area(MAX_MEGABYTES, self._take, self._what)
        self.slot[:] = [self.dropper]

    async def _take(self, *_: Any) -> None:
        """Read what was dropped beside the event loop; an answer that came too late is dropped."""
        name, content = self.dropper.filename, self.dropper.value
        if content is None:
            self._take_over(NO_UPLOAD)
            return
        self.note.object = "<p class='muted' role='status'>reading …</p>"
        upload = await asyncio.to_thread(self._read, name, content)
        if self.dropper.value is content:
            self._take_over(upload)

    def _clear(self, *_: Any) -> None:
        self._offer()
        self._take_over(NO_UPLOAD)

    def __panel__(self) -> pn.Column:
        told = pn.Row(self.note, self.clear, sizing_mode="stretch_width", margin=0)
        parts = (self._label, self.slot, told, self.detail)
        return pn.Column(*parts, sizing_mode="stretch_width", margin=0)


def read_dropped(name: str, data: bytes, read: Callable[[Path], Iterable[Any]]) -> Upload:
    """Read an uploaded file through a temporary one; `read` may raise `ValueError`."""
    short = short_name(name)
    if len(data) > MAX_MEGABYTES * 2**20:
        return Upload(short, problem=f"{too_large(len(data), MAX_MEGABYTES)}: split the file")
    if not data:
        return Upload(short, problem=f"{short} is empty")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / safe_name(short)
        path.write_bytes(data)
        try:
            return Upload(short, tuple(read(path)))
        except ValueError as error:
            return Upload(short, problem=str(error).replace(str(path), short))
