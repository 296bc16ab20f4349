"""A field to drop one file on, or to choose it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

DROP = """
:host { --line: color-mix(in srgb, var(--panel-on-surface-color) 35%, transparent); }
.bk-input.filepond--root { margin: 0; font: inherit; font-size: 12.5px; padding: 0; border: 0;
  background: transparent; outline: 1px dashed var(--line); outline-offset: -1px;
  border-radius: 6px; }
.filepond--panel-root { background: transparent !important; border: 0 !important; }
.bk-input.filepond--root .filepond--drop-label { min-height: 44px; background: transparent;
  color: var(--panel-on-surface-color); }
.filepond--drop-label label { font-size: 12.5px !important; padding: 4px; }
.filepond--credits { display: none; }
"""


def drop_area(megabytes: int, take: Callable[..., Any]) -> pn.widgets.FileDropper:
    """Return an empty field for a file of at most so many MB.

    Parameters
    ----------
    megabytes
        The browser refuses larger files; whoever reads one checks again.
    take
        Called when a file has arrived in the field's `value`.
    """
    dropper = pn.widgets.FileDropper(
        multiple=False, max_file_size=f"{megabytes}MB", chunk_size=2_000_000, layout="compact",
        previews=[], sizing_mode="stretch_width", height=44, margin=0, stylesheets=[DROP],
    )  # fmt: skip
    dropper.param.watch(take, "value")
    return dropper
