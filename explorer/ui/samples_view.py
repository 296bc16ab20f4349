"""Another generator's crystals: an upload, judged in place of crystals that are drawn here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui

from explorer.baseline_imported import generators_and_samples
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
CHOOSE = "choose one"
REASONS = 3
"""Different reasons that are told in full."""
LONGEST = 160
"""Characters of a reason."""

_reader = Sandbox()
"""Apart from the child that a server shares: thousands of CIFs take a minute."""


class SamplesView(UploadView):
    """The upload of crystals to judge, for the generator "file"; `Draft.samples` holds them."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(LABEL, "crystals", self._read_first, self._keep, **params)
        self.draft = draft
        self._dropped: tuple[str, bytes] = ("", b"")
        self.generator = pmui.Select(
            label="Generator in the file", options={CHOOSE: ""}, value="", size="small",
            sizing_mode="stretch_width", margin=(6, 0, 4, 0), visible=False,
        )  # fmt: skip
        self.generator.param.watch(self._choose, "value")
        told = ["samples", "n_samples", "generator", "spec", "problem", "problem_field"]
        draft.param.watch(self._tell, told)
        self._tell()

    def _read_first(self, name: str, data: bytes) -> Upload:
        """Read a file, and keep its bytes while somebody has yet to choose among its generators."""
        upload = read_crystals(name, data)
        self._dropped = (name, data) if upload.generators else ("", b"")
        return upload

    def _keep(self, upload: Upload) -> None:
        if not upload.generators:
            self._dropped = ("", b"")
        names = {CHOOSE: ""} | {name: name for name in upload.generators}
        self.generator.param.update(
            options=names, value=upload.generator, visible=bool(upload.generators)
        )
        self.draft.take_samples(upload)

    async def _choose(self, event: Any) -> None:
        """Read one generator's crystals; an answer that came too late is dropped."""
        dropped = self._dropped
        if not dropped[0] or event.new == self.draft.samples.generator:
            return
        self.note.object = "<p class='muted' role='status'>reading …</p>"
        upload = await asyncio.to_thread(read_crystals, *dropped, event.new)
        if self._dropped is dropped and self.generator.value == event.new:
            self._keep(upload)

    def _tell(self, *_: Any) -> None:
        draft, name = self.draft, self.draft.samples.name
        wrong = draft.problem_field == "samples"
        look = "class='problem' role='alert'" if wrong and name else "class='muted' role='status'"
        text = draft.problem if wrong else read_words(draft)
        detail = unread_html(draft.samples) if name else ""
        self.show(name, f"<p {look}>{escape(text)}</p>" if name or wrong else "", detail)

    def __panel__(self) -> pn.Column:
        box = super().__panel__()
        box.append(self.generator)
        return box


def read_crystals(name: str, data: bytes, generator: str = "") -> Upload:
    """Read an uploaded file of crystals, of this generator where it names several; never raises."""
    several: tuple[str, ...] = ()

    def read(path: Path) -> list[Sample]:
        nonlocal several
        several, samples = _in_a_child(path, generator)
        if several and generator not in several:
            raise SpecError(f"{path} holds crystals of {len(several)} generators: choose one below")
        return samples

    upload = read_dropped(name, data, read)
    return replace(upload, generators=several, generator=generator if several else "")


def _in_a_child(path: Path, generator: str) -> tuple[tuple[str, ...], list[Sample]]:
    try:
        with _reader:
            seconds = reading_seconds(path)
            return _reader.run(generators_and_samples, path, generator, seconds=seconds)
    except IsolationError as error:
        raise SpecError(f"cannot read {path}: reading it {error}", "samples") from error


def read_words(draft: Draft) -> str:
    """Say how many crystals there are, and how many of them the campaign can judge."""
    read, kept, spec = len(draft.samples.structures), draft.n_samples, draft.spec
    told = f"{draft.samples.name}: {read} crystal{'' if read == 1 else 's'}"
    told += f" of {draft.samples.generator}" if draft.samples.generator else ""
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
