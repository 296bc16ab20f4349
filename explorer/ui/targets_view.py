"""Structures to look for: an upload, of which those of the system count."""

from __future__ import annotations

from typing import Any

from explorer.figures.words import escape
from explorer.targets import read_targets
from explorer.ui.draft import Draft, Upload
from explorer.ui.upload_view import UploadView, read_dropped

LABEL = """
<span class='label'>Target structures</span>
<p class='muted'>Phases to find: CIF, zip of CIFs, extxyz, POSCAR, JSON or Parquet. Without a file,
the known phases of the system.</p>
"""


class TargetsView(UploadView):
    """The upload of a target list; `Draft.upload` is what it has read."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(LABEL, "target structures", read_upload, self._keep, **params)
        self.draft = draft
        draft.param.watch(self._tell, ["upload", "n_targets", "spec", "problem", "problem_field"])
        self._tell()

    def _keep(self, upload: Upload) -> None:
        self.draft.upload = upload

    def _tell(self, *_: Any) -> None:
        draft, name = self.draft, self.draft.upload.name
        text = f"<p class='muted'>{escape(upload_words(draft))}</p>"
        if draft.problem_field == "targets":
            text = f"<p class='problem' role='alert'>{escape(draft.problem)}</p>"
        self.show(name, text if name else "")


def read_upload(name: str, data: bytes) -> Upload:
    """Read an uploaded file of targets; never raises."""
    return read_dropped(name, data, read_targets)


def upload_words(draft: Draft) -> str:
    """Say how many structures were read, and how many of them the campaign will look for."""
    upload = draft.upload
    read, kept = len(upload.structures), draft.n_targets
    told = f"{upload.name}: {read} structure{'' if read == 1 else 's'} read"
    if draft.spec is not None and kept != read:
        told += f", {kept} of them of {draft.spec.chemical_system}"
    return told
