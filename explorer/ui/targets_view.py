"""Structures to look for: an upload, read in a child process; the field tells what was read."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import SpecError
from explorer.figures.words import escape
from explorer.structure_files import safe_name
from explorer.targets import read_targets
from explorer.ui.draft import NO_UPLOAD, Draft, Upload
from explorer.ui.drop_area import drop_area, short_name
from explorer.ui.theme import words

MAX_MEGABYTES = 16
LABEL = """
<span class='label'>Target structures</span>
<p class='muted'>Phases to find: CIF, zip of CIFs, extxyz, POSCAR, JSON or Parquet. Without a file,
the known phases of the system.</p>
"""
LOOK = """
.label { font-size: 12.5px; }
p { font-size: 12px; margin-top: 1px; }
"""


class TargetsView(Viewer):
    """The upload of a target list; `Draft.upload` is what it has read."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(**params)
        self.draft = draft
        self.note = words(sizing_mode="stretch_width", align="center")
        self.clear = pmui.Button(
            label="Remove", variant="text", size="small", margin=0, visible=False, align="center"
        )
        self.slot = pn.Column(sizing_mode="stretch_width", margin=(2, 0))
        self.clear.on_click(self._clear)
        draft.param.watch(self._tell, ["upload", "n_targets", "spec", "problem", "problem_field"])
        self._offer()
        self._tell()

    def _offer(self) -> None:
        """Put an empty drop area in place: one that holds a file cannot be emptied from here."""
        self.dropper = drop_area(MAX_MEGABYTES, self._take, "target structures")
        self.slot[:] = [self.dropper]

    async def _take(self, *_: Any) -> None:
        """Read what was dropped beside the event loop; an answer that came too late is dropped."""
        name, content = self.dropper.filename, self.dropper.value
        if content is None:
            self.draft.upload = NO_UPLOAD
            return
        self.note.object = "<p class='muted'>reading …</p>"
        upload = await asyncio.to_thread(read_upload, name, content)
        if self.dropper.value is content:
            self.draft.upload = upload

    def _clear(self, *_: Any) -> None:
        self._offer()
        self.draft.upload = NO_UPLOAD

    def _tell(self, *_: Any) -> None:
        draft, upload = self.draft, self.draft.upload
        self.clear.visible = bool(upload.name)
        text = f"<p class='muted'>{escape(upload_words(draft))}</p>"
        if draft.problem_field == "targets":
            text = f"<p class='problem' role='alert'>{escape(draft.problem)}</p>"
        self.note.object = text if upload.name else ""
        self.slot.visible = not upload.name

    def __panel__(self) -> pn.Column:
        told = pn.Row(self.note, self.clear, sizing_mode="stretch_width", margin=0)
        label = words(LABEL, LOOK, margin=(8, 0, 4, 0))
        return pn.Column(label, self.slot, told, sizing_mode="stretch_width", margin=0)


def read_upload(name: str, data: bytes) -> Upload:
    """Read an uploaded file through a temporary one; never raises."""
    short = short_name(name)
    if len(data) > MAX_MEGABYTES * 2**20:
        limit = f"expected at most {MAX_MEGABYTES} MiB, got {len(data) / 2**20:.0f}: split the file"
        return Upload(short, problem=f"targets: {limit}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / safe_name(short)
        path.write_bytes(data)
        try:
            return Upload(short, tuple(read_targets(path)))
        except SpecError as error:
            return Upload(short, problem=str(error).replace(str(path), short))


def upload_words(draft: Draft) -> str:
    """Say how many structures were read, and how many of them the campaign will look for."""
    upload = draft.upload
    read, kept = len(upload.structures), draft.n_targets
    told = f"{upload.name}: {read} structure{'' if read == 1 else 's'} read"
    if draft.spec is not None and kept != read:
        told += f", {kept} of them of {draft.spec.chemical_system}"
    return told
