"""Two to four crystals side by side: candidates from the basket, or one and a known phase."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer
from pymatgen.core import Structure

from explorer.candidate import Candidate
from explorer.figures.crystal import crystal_scene
from explorer.figures.geometry import density_words, oxidation_words
from explorer.figures.known import known_of
from explorer.figures.words import (
    NOT_KNOWN,
    destabilised_label,
    energy_label,
    escape,
    expected_label,
    formula_label,
    geometry_words,
    likelihood_label,
    odds_label,
    rattled_words,
    reaction_label,
    spacegroup_label,
)
from explorer.marks import Mark
from explorer.phases import Phase
from explorer.store import StoreError
from explorer.track_record import track_record
from explorer.ui.scene import CrystalView
from explorer.ui.table_rows import novelty_words, reason_words
from explorer.ui.theme import TOOLTIP_BELOW, words
from explorer.ui.workbench import Workbench

FEWEST, MOST = 2, 4
NAMES = "clamp(76px, 18vw, 130px)"
"""Width of the first column."""
# In a low window crystals leave room for the table: over them the wheel zooms instead of scrolling.
SCENE_HEIGHT = "min(280px, 42vh, 45vw)"
# What lies between the component and its box has no height of its own to take a part of.
BOX = f".scene-box {{ height: {SCENE_HEIGHT}; min-height: 0; }}"
SMALL = "@media (max-width: 700px), (max-height: 500px)"
TITLE = {
    "& .MuiDialogTitle-root": {"padding": "8px 16px"},
    "& .MuiDialog-paper": {
        "backgroundImage": "none",  # the ground of the cards, not the paler one of what is raised
        SMALL: {"margin": "8px", "width": "calc(100% - 16px)", "maxHeight": "calc(100% - 16px)"},
    },
    "& .MuiDialogContent-root": {SMALL: {"padding": "0 8px 8px"}},
    "& .MuiIconButton-root": {"color": "text.secondary"},  # seen on the dark theme, too
}
LOOK = """
table { border-collapse: collapse; width: 100%; table-layout: fixed; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; padding: 5px 12px 5px 0; vertical-align: top;
  box-sizing: border-box; }
th[scope=row] { color: var(--muted); font-weight: 400; width: NAMES; }
td { padding: 5px 12px 5px 0; vertical-align: top; overflow-wrap: anywhere;
  white-space: pre-line; }
tr + tr > * { border-top: 1px solid
  color-mix(in srgb, var(--panel-on-surface-color) 10%, transparent); }
td.best { font-weight: 600; color: light-dark(#00785a, #2fd6a3); }
""".replace("NAMES", NAMES)


@dataclass(frozen=True)
class Compared:
    """One column: a crystal and what is known of it.

    Attributes
    ----------
    title
        Formula and id, plain text.
    structure
        None when it could not be built.
    facts
        Name of a row to its text; rows that are missing are dashes.
    energy
        eV/atom above the hull of the page; None when it has no place there.
    """

    title: str
    structure: Structure | None
    facts: dict[str, str] = field(default_factory=dict)
    energy: float | None = None


class CompareView(Viewer):
    """The dialog, and the button that stands at the table."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.button = pmui.Button(
            label="Compare", icon="compare", variant="text", size="small", margin=0, align="center",
            disabled=True, stylesheets=[TOOLTIP_BELOW],
            description=f"Compare: tick {FEWEST} to {MOST} candidates to see them side by side",
        )  # fmt: skip
        self.body = pn.Column(margin=0, sizing_mode="stretch_width")
        self.dialog = pmui.Dialog(
            self.body, title="Side by side", width_option="xl", close_on_click=True,
            show_close_button=True, sx=TITLE,
        )  # fmt: skip
        self.button.on_click(self._compare_ticked)
        bench.param.watch(self._offer, ["chosen", "campaign_id"])
        bench.param.watch(self._open, "compared")
        self.dialog.param.watch(self._close, "open")

    def _offer(self, *_: Any) -> None:
        self.button.disabled = not FEWEST <= len(self.bench.chosen) <= MOST

    def _compare_ticked(self, *_: Any) -> None:
        self.bench.compared = [f"candidate:{name}" for name in self.bench.chosen]

    async def _open(self, event: Any) -> None:
        if not event.new:
            return
        columns = await asyncio.to_thread(columns_of, self.bench, event.new)
        views = await asyncio.to_thread(self._scenes, columns)
        first = pn.Spacer(styles={"width": NAMES, "flex": "none"}, margin=0)
        self.body[:] = [
            pn.Row(first, *views, sizing_mode="stretch_width", margin=0),
            words(comparison_html(columns), LOOK),
        ]
        self.dialog.open = True

    def _close(self, event: Any) -> None:
        if not event.new:
            self.bench.compared = []
            self.body[:] = []

    def _scenes(self, columns: Sequence[Compared]) -> list[CrystalView]:
        views = []
        for column in columns:
            drawn = crystal_scene(column.structure) if column.structure is not None else None
            views.append(
                CrystalView(
                    scene=drawn.scene if drawn else None,
                    placeholder=drawn.message if drawn else "No crystal could be built.",
                    subject=column.title, dark=self.bench.dark, styles={"height": SCENE_HEIGHT},
                    stylesheets=[BOX], sizing_mode="stretch_width", margin=0,
                )
            )  # fmt: skip
        return views

    def __panel__(self) -> pmui.Dialog:
        return self.dialog


def columns_of(bench: Workbench, keys: Sequence[str]) -> list[Compared]:
    """Read what is to be compared; what cannot be read is left out."""
    phases = known_of(bench.campaign.spec if bench.campaign else None).phases
    columns = []
    for key in keys[:MOST]:
        kind, _, name = key.partition(":")
        if kind == "phase" and name in phases:
            columns.append(compared_phase(phases[name]))
        elif kind == "candidate":
            try:
                candidate = bench.store.candidate(bench.campaign_id, name)
            except StoreError:
                continue
            hull = bench.campaign.spec.hull if bench.campaign else ""
            columns.append(compared_candidate(candidate, bench.marks.get(name, Mark()), hull))
    return columns


def compared_candidate(candidate: Candidate, mark: Mark, hull: str = "") -> Compared:
    """Return a candidate's column; ``hull`` is what its campaign asked for."""
    structure = candidate.structure
    facts = {
        "Above the hull": energy_label(candidate.energy_above_hull),
        "By experience": expected_label(track_record(candidate, hull)),
        "Energy": energy_label(candidate.energy_per_atom),
        "Formation energy": energy_label(candidate.formation_energy),
        "Competes with": formula_label(candidate.decomposition or ""),
        "Reaction": reaction_label(candidate),
        "Destabilises": destabilised_label(candidate),
        "Space group": spacegroup_label(candidate.spacegroup_relaxed),
        "As drawn": spacegroup_label(candidate.spacegroup_generated),
        "Asked for": spacegroup_label(candidate.spacegroup_asked),
        "Drawn geometry": geometry_words(candidate.template),
        "Foreseen": odds_label(candidate.stability),
        "log p": likelihood_label(candidate.log_likelihood, candidate.log_parts),
        "Novelty": novelty_words(candidate),
        "State": ": ".join(filter(None, (candidate.state.value, reason_words(candidate)))),
        "Largest force": _largest_force(candidate),
        "Rattled": rattled_words(candidate.lowered_by_rattling),
        "Tags": ", ".join(mark.tags),
        "Note": mark.note,
        **_of_structure(structure),
    }
    star = "★ " if mark.starred else ""
    title = f"{star}{formula_label(candidate.formula)} · {candidate.id}"
    return Compared(title, structure, facts, candidate.energy_above_hull)


def compared_phase(phase: Phase) -> Compared:
    """Return a known phase's column; its published energy is of another scale than the page's."""
    published = energy_label(phase.e_above_hull_dft)
    facts = {
        "Above the hull": f"{published} (published, DFT)",
        "Space group": spacegroup_label(phase.spacegroup),
        "State": f"known: {phase.source}",
        **_of_structure(phase.structure),
    }
    return Compared(f"{formula_label(phase.formula)} · {phase.id}", phase.structure, facts)


def _largest_force(candidate: Candidate) -> str:
    if candidate.forces is None or not len(candidate.forces):
        return ""
    return f"{np.linalg.norm(candidate.forces, axis=1).max():.3f} eV/Å"


def _of_structure(structure: Structure | None) -> dict[str, str]:
    if structure is None:
        return {}
    return {
        "Atoms": f"{len(structure)} in the cell given",
        "Density": density_words(structure),
        "Oxidation guess": oxidation_words(structure.composition.reduced_formula),
    }


def comparison_html(columns: Sequence[Compared]) -> str:
    """Return the table: a row for every fact that any column has, the lowest energy marked."""
    names = list(dict.fromkeys(name for column in columns for name in column.facts))
    names = [name for name in names if any(column.facts.get(name) for column in columns)]
    energies = [column.energy for column in columns if column.energy is not None]
    lowest = min(energies, default=None)
    head = "".join(f"<th scope='col'>{escape(column.title)}</th>" for column in columns)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{_cells(name, columns, lowest)}</tr>"
        for name in names
    )
    return (
        f"<table><thead><tr><th scope='row'></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cells(name: str, columns: Sequence[Compared], lowest: float | None) -> str:
    cells = []
    for column in columns:
        best = name == "Above the hull" and lowest is not None and column.energy == lowest
        text = escape(column.facts.get(name) or NOT_KNOWN)
        cells.append(f"<td{' class=best' if best else ''}>{text}</td>")
    return "".join(cells)
