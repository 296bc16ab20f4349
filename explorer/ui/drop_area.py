"""A field to drop one file on, or to choose it with.

Panel's own drop area is FilePond, which goes on working for a moment after it was taken off the
page, and then fails over the file that it no longer holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui

from explorer.complaints import one_line

PATIENCE = 4
"""The browser sends files up to so many times the limit: the server tells best what is wrong."""
LOOK = {
    "borderStyle": "dashed",
    "minHeight": "44px",
    "fontSize": "12.5px",
    "fontWeight": 400,
    "color": "text.primary",
    "borderColor": "color-mix(in srgb, currentColor 35%, transparent)",
}


class FileField(pmui.FileInput):
    """Takes an empty file for what it is: the library tells the browser that it has it, no more."""

    def _update_file(self, filename: str, mime_type: str, value: bytes) -> None:
        if value is None:
            filename, mime_type, value = "the file", "", b""
        super()._update_file(filename, mime_type, value)


def drop_area(megabytes: int, take: Callable[..., Any], what: str) -> FileField:
    """Return an empty field for a file of at most so many MB.

    Parameters
    ----------
    megabytes
        Whoever reads the file checks this.
    take
        Called when a file has arrived: the field's `filename` and, as bytes, its `value`.
    what
        What the file holds, for the field's label.
    """
    area = FileField(
        label=f"Drop {what} here, or choose a file", variant="outlined", color="secondary",
        size="small", sx=LOOK, max_file_size=PATIENCE * megabytes * 2**20, chunk_size=2_000_000,
        sizing_mode="stretch_width", margin=0,
    )  # fmt: skip
    area.param.watch(take, "value")
    return area


def short_name(name: str) -> str:
    """Return the last part of a name that a browser has sent, on one line and not too long."""
    return one_line(name.replace("\\", "/").rsplit("/", 1)[-1])[:200]
