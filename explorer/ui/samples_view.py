"""Another generator's crystals: an upload, judged in place of crystals that are drawn here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from explorer.baseline_imported import packed_samples
from explorer.campaign import SpecError
from explorer.figures.words import escape
from explorer.isolation import IsolationError, Sandbox
from explorer.samples import Sample
from explorer.strangers import reading_seconds
from explorer.ui.draft import Draft, Upload
from explorer.ui.upload_view import UploadView, read_dropped

LABEL = """
<span class='label'>Crystals to judge</span>
<p class='muted'>What another generator wrote: MatterGen’s zip or extxyz, CrystalFormer’s CSV,
CrystaLLM’s archive of CIFs, or CIF, POSCAR, JSON, Parquet. Judged are those with the elements,
formula and size asked for above, in their order; all, where no element is chosen.</p>
"""
REASONS = 3
"""Different reasons that are told in full."""
LONGEST = 160
"""Characters of a reason."""

_reader = Sandbox()
"""Apart from the child that a server shares: thousands of CIFs take a minute."""


class SamplesView(UploadView):
    """The upload of crystals to judge, for the generator "file"; `Draft.samples` holds them."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(LABEL, "crystals", read_crystals, draft.take_samples, **params)
        self.draft = draft
        told = ["samples", "n_samples", "generator", "spec", "problem", "problem_field"]
        draft.param.watch(self._tell, told)
        self._tell()

    def _tell(self, *_: Any) -> None:
        draft, name = self.draft, self.draft.samples.name
        wrong = draft.problem_field == "samples"
        look = "class='problem' role='alert'" if wrong and name else "class='muted' role='status'"
        text = draft.problem if wrong else read_words(draft)
        detail = unread_html(draft.samples) if name else ""
        self.show(name, f"<p {look}>{escape(text)}</p>" if name or wrong else "", detail)


def read_crystals(name: str, data: bytes) -> Upload:
    """Read an uploaded file of crystals; never raises."""
    return read_dropped(name, data, _in_a_child)


def _in_a_child(path: Path) -> list[Sample]:
    try:
        with _reader:
            return _reader.run(packed_samples, path, seconds=reading_seconds(path))
    except IsolationError as error:
        raise SpecError(f"cannot read {path}: reading it {error}", "samples") from error


def read_words(draft: Draft) -> str:
    """Say how many crystals there are, and how many of them the campaign can judge."""
    read, kept, spec = len(draft.samples.structures), draft.n_samples, draft.spec
    told = f"{draft.samples.name}: {read} crystal{'' if read == 1 else 's'}"
    if spec is not None and kept != read:
        told += f", {kept} of them of {spec.composition} with at most {spec.max_atoms} atoms"
    return told


def unread_html(samples: Upload) -> str:
    """Say how many crystals cannot be read, and the first reasons; "" when all can."""
    reasons = [one.reason for one in samples.structures if one.reason]
    if not reasons:
        return ""
    different = list(dict.fromkeys(map(_short, reasons)))
    more = len(different) - REASONS
    shown = different[:REASONS] + ([f"and {more} more"] if more > 0 else [])
    lines = "".join(f"<li>{escape(text)}</li>" for text in shown)
    return f"<p>{len(reasons)} of them cannot be read:</p><ul>{lines}</ul>"


def _short(reason: str) -> str:
    for known in ("unreadable: ", "cannot read the CIF "):
        reason = reason.removeprefix(known)
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} …"
