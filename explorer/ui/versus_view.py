"""Two to four campaigns on the same axes, under the same budget; the page's address names them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import Campaign
from explorer.candidate import Candidate
from explorer.figures.known import known_of, targets_of
from explorer.figures.seeds import seed_words
from explorer.figures.style import palette
from explorer.figures.versus import (
    FEWEST,
    MOST,
    Budget,
    Contender,
    Difference,
    differences,
    under,
)
from explorer.figures.versus_figures import (
    LARGEST_PICTURE,
    energies_versus,
    hull_versus,
    retrieval_versus,
)
from explorer.figures.words import counted, escape
from explorer.store import Store, StoreError
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import HIDDEN_LABEL, TAB_LOOK, card, heading, words
from explorer.ui.versus_table import TABLE_LOOK, versus_html
from explorer.ui.watched import BATCH
from explorer.ui.workbench import Workbench

TITLE = "Campaigns compared"
HELP = (
    "What counts: equally many crystals of each, up to the shortest campaign; equally many "
    "relaxations; or all of each"
)
LIMIT = "Largest energy above the hull that is shown, in eV per atom"
GRID = """
:host { display: grid !important; grid-auto-rows: max-content; gap: 12px;
  padding: 0 12px 12px; box-sizing: border-box;
  grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); align-content: start;
  grid-template-areas: "numbers numbers" "found found" "hull energies"; }
.numbers { grid-area: numbers; align-self: start !important; } .found { grid-area: found; }
.hull { grid-area: hull; } .energies { grid-area: energies; }
.found, .hull, .energies { align-self: stretch !important; height: auto !important; }
@media (max-width: 1100px) {
  :host { grid-template-columns: minmax(0, 1fr);
    grid-template-areas: "numbers" "found" "hull" "energies"; }
}
@media (min-width: 1700px) {
  :host { grid-template-areas: "numbers numbers" "found hull" "energies hull"; }
}
"""
# Where the campaigns share no hull, its card is a line of words.
NO_HULL = """
:host { grid-template-areas: "numbers numbers" "found found" "energies energies" "hull hull"; }
@media (max-width: 1100px) {
  :host { grid-template-areas: "numbers" "found" "energies" "hull"; }
}
@media (min-width: 1700px) {
  :host { grid-template-areas: "numbers numbers" "found energies" "hull hull"; }
}
"""
NO_TARGETS = "None of these campaigns looks for anything: there is no known phase to find again."
HEIGHTS = {"found": 280, "energies": 300, "hull": 380}
"""Of the plots, pixels."""
LABELS = {
    "found": "Targets found against crystals drawn, and against relaxations",
    "energies": "Crystals within each energy above the hull",
    "hull": "Known hull with the candidates of each campaign",
}
OTHER_SYSTEMS = "These campaigns search different elements, so they share no hull."
OTHER_SCALES = (
    "These campaigns differ in {}: their energies do not belong on one hull. Each has its own on "
    "its own page."
)
NO_PICTURE = f"A hull of more than {LARGEST_PICTURE} elements, or of any elements, has no picture."


class Drawn(NamedTuple):
    """What the cards show; a figure that cannot be drawn is "" and has a note instead."""

    problem: str = ""
    table: str = ""
    warning: str = ""
    budget: str = ""
    found: str = ""
    found_note: str = ""
    energies: str = ""
    hull: str = ""
    hull_note: str = ""


class CandidateReader:
    """Candidates of a few campaigns, each read once and then kept up to date."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, tuple[int, dict[str, Candidate]]] = {}

    def of(self, campaign: Campaign) -> tuple[Candidate, ...]:
        """Return a campaign's candidates in the order of drawing, without structures."""
        since, seen = self._seen.get(campaign.id, (0, {}))
        while since < campaign.sequence:
            fresh, since = self._store.candidates(campaign.id, since, structures=False, limit=BATCH)
            seen |= {candidate.id: candidate for candidate in fresh}
            if not fresh:
                break
        self._seen[campaign.id] = (since, seen)
        return tuple(sorted(seen.values(), key=lambda candidate: candidate.index))

    def forget_others(self, ids: Sequence[str]) -> None:
        """Let go of the campaigns that are not asked for any more."""
        self._seen = {name: kept for name, kept in self._seen.items() if name in ids}


class VersusView(Viewer):
    """Funnel numbers, targets found, energies and hull points of `Workbench.versus`.

    Attributes
    ----------
    begun : bool
        Whether the browser takes changes: before that nothing is drawn, since it would be lost.
    """

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.begun = True
        self._reader = CandidateReader(bench.store)
        self._drawing = asyncio.Lock()
        self._shown: tuple[Any, ...] = ()
        self.budget = pmui.RadioButtonGroup(
            label="", options=[str(kind) for kind in Budget], value=str(Budget.CRYSTALS),
            size="small", margin=0, align="center", sx=TAB_LOOK, description=HELP,
        )  # fmt: skip
        self.close = pmui.Button(
            label="All campaigns", icon="arrow_back", variant="text", size="small", align="center",
            margin=(0, 0, 0, 8), on_click=lambda _: bench.param.update(versus=""),
        )  # fmt: skip
        self.slider = pmui.FloatSlider.from_param(
            bench.param.threshold, label=LIMIT, start=0.02, end=1.0, step=0.02, show_value=False,
            description="", width=120, size="small", sx=HIDDEN_LABEL, margin=(0, 0, 0, 10),
            align="center", throttled=True,
        )  # fmt: skip
        self.limit = words(sizing_mode=None, align="center")
        self.warning = pmui.Alert(
            severity="warning", visible=False, margin=(6, 0, 8, 0), sizing_mode="stretch_width"
        )
        self.spent, self.table = words(), words(extra=TABLE_LOOK)
        self.plots = {
            name: PlotView(
                label=LABELS[name], sizing_mode="stretch_both", min_height=height, margin=0
            )
            for name, height in HEIGHTS.items()
        }
        # A component of its own stays in the flow when it is hidden; a column does not.
        self.stages = {
            name: pn.Column(plot, sizing_mode="stretch_both", margin=0, min_height=HEIGHTS[name])
            for name, plot in self.plots.items()
        }
        self.notes = {name: words() for name in ("found", "hull")}
        self.cards = self._cards()
        numbers = card(
            heading(TITLE, self.budget, self.close, level=1), self.spent, self.warning, self.table,
            name="numbers",
        )  # fmt: skip
        self.grid = pn.Column(
            numbers, *self.cards, stylesheets=[GRID], margin=0, sizing_mode="stretch_width"
        )
        self.plots["hull"].param.watch(self._open, "clicked")
        self.budget.param.watch(self.refresh, "value")
        bench.param.watch(self.refresh, ["versus", "threshold", "dark"])

    def _cards(self) -> tuple[pn.Column, ...]:
        """Return the cards of the figures; how far up they show is chosen where one always is."""
        tools = pn.Row(self.limit, self.slider, margin=0, align="center")
        stages, notes = self.stages, self.notes
        return (
            card(heading("Targets found"), stages["found"], notes["found"], name="found"),
            card(heading("Energy above the hull", tools), stages["energies"], name="energies"),
            card(heading("Hull"), stages["hull"], notes["hull"], name="hull"),
        )

    @property
    def ids(self) -> list[str]:
        """The campaigns that the page's address names, each once."""
        return list(dict.fromkeys(filter(None, self.bench.versus.split(","))))

    def _open(self, *_: Any) -> None:
        """Look at the crystal that was clicked, in its own campaign; known phases are passed by."""
        campaign_id, _, candidate_id = self.plots["hull"].clicked_key.partition("/")
        if candidate_id:
            self.bench.campaign_id = campaign_id
            self.bench.select_candidate(candidate_id)

    async def refresh(self, *_: Any) -> None:
        """Read what is new and redraw beside the event loop."""
        if not (self.begun and self.ids):
            return
        async with self._drawing:
            ids, budget = self.ids, Budget(self.budget.value)
            drawn = await asyncio.to_thread(self._read, ids, budget)
            if drawn is not None and ids == self.ids:
                self._present(drawn)

    def _read(self, ids: Sequence[str], budget: Budget) -> Drawn | None:
        """Read the campaigns and draw them; None when nothing has changed since the last time."""
        if not FEWEST <= len(ids) <= MOST:
            return Drawn(f"Expected {FEWEST} to {MOST} campaigns to compare, got {len(ids)}.")
        self._reader.forget_others(ids)
        try:
            campaigns = [self.bench.store.campaign(name) for name in ids]
            state = [(c.id, c.sequence, c.state, c.spec.name, c.deleted) for c in campaigns]
            shown = (state, budget, self.bench.dark, self.bench.threshold)
            if shown == self._shown:
                return None
            self._shown = shown
            return self._draw([self._contender(campaign) for campaign in campaigns], budget)
        except StoreError as error:
            return Drawn(str(error))

    def _draw(self, whole: Sequence[Contender], budget: Budget) -> Drawn:
        dark, limit = self.bench.dark, self.bench.threshold
        cut, unlike = under(whole, budget), differences(whole)
        sought = any(contender.targets.names for contender in whole)
        hull, hull_note = self._hull(cut, scales_of(unlike), dark)
        colours = palette(dark).series
        return Drawn(
            table=versus_html(cut, colours, unlike),
            warning=warning_of(unlike),
            budget=budget_words(cut, budget),
            found=figure_json(retrieval_versus(cut, dark)) if sought else "",
            found_note=seed_words(cut) if sought else NO_TARGETS,
            energies=figure_json(energies_versus(cut, limit, dark)),
            hull=hull,
            hull_note=hull_note,
        )

    def _contender(self, campaign: Campaign) -> Contender:
        given = self.bench.store.targets(campaign.id) if campaign.spec.targets else ()
        targets = targets_of(campaign.spec, given)
        return Contender(campaign, self._reader.of(campaign), targets)

    def _hull(self, cut: Sequence[Contender], scales: str, dark: bool) -> tuple[str, str]:
        """Draw the hull that all campaigns share, or say why there is none."""
        if len({contender.campaign.spec.chemical_system for contender in cut}) > 1:
            return "", OTHER_SYSTEMS
        if scales:
            return "", OTHER_SCALES.format(scales)
        picture = known_of(cut[0].campaign.spec).picture
        if not 0 < len(picture.elements) <= LARGEST_PICTURE:
            return "", NO_PICTURE
        if picture.message:
            return "", picture.message
        return figure_json(hull_versus(cut, picture, self.bench.threshold, dark)), ""

    def _present(self, drawn: Drawn) -> None:
        with pn.io.hold():
            told = drawn.problem[:1].upper() + drawn.problem[1:]
            problem = f"<p class='problem' role='alert'>{escape(told)}</p>"
            self.table.object = problem if drawn.problem else drawn.table
            self.spent.object = f"<p class='muted'>{escape(drawn.budget)}</p>"
            self.warning.param.update(object=escape(drawn.warning), visible=bool(drawn.warning))
            for name, note in (("found", drawn.found_note), ("hull", drawn.hull_note)):
                self.notes[name].object = f"<p class='muted'>{escape(note)}</p>" if note else ""
            figures = {"found": drawn.found, "energies": drawn.energies, "hull": drawn.hull}
            for name, figure in figures.items():
                self.plots[name].drawing = figure
                self.stages[name].visible = bool(figure)
            for part in (self.budget, self.spent, *self.cards):
                part.visible = not drawn.problem
            self.grid.stylesheets = [GRID] if drawn.hull else [GRID, NO_HULL]
            limit = f"up to {self.bench.threshold:.2f} eV/atom"
            self.limit.object = f"<span class='muted'>{limit}</span>"

    def __panel__(self) -> pn.Column:
        return self.grid


def scales_of(unlike: Sequence[Difference]) -> str:
    """Name what puts energies on different scales; "" for nothing."""
    return ", ".join(dict.fromkeys(item.what for item in unlike if item.scale)).lower()


def warning_of(unlike: Sequence[Difference]) -> str:
    """Say that energies cannot be compared; "" when they can."""
    scales = scales_of(unlike)
    if not scales:
        return ""
    return (
        f"These campaigns differ in {scales}: their energies above the hull are measured from "
        "different hulls or by different potentials. Compare how each does within itself, not "
        "one's energies with the other's."
    )


def budget_words(cut: Sequence[Contender], budget: Budget) -> str:
    """Say how much of each campaign counts."""
    drawn = [len(contender.candidates) for contender in cut]
    if budget != Budget.ALL and not min(drawn):
        return f"One of them has nothing decided yet; {Budget.ALL} shows what there is."
    if budget == Budget.CRYSTALS:
        return f"The first {counted(drawn[0], 'crystal')} of each campaign."
    if budget == Budget.RELAXATIONS:
        spent = int(cut[0].curve.relaxations[-1])
        told = ", ".join(map(str, drawn))
        return (
            f"The first {counted(spent, 'relaxation')} of each campaign, spent on {told} crystals."
        )
    return "All that was drawn so far; the campaigns differ in what they have spent."
