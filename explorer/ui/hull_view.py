"""The hull, live: a click on a point selects it everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import CampaignSpec
from explorer.figures.facets import facets_of, products_of
from explorer.figures.hull import hull_figure
from explorer.figures.hull_picture import (
    after_campaign,
    before_campaign,
    with_candidates,
    with_live_hull,
)
from explorer.figures.known import NOTHING, Known, known_of
from explorer.figures.picture import ON_HULL, HullPicture
from explorer.figures.words import escape
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import HEADING, HIDDEN_LABEL, TAB_LOOK, WRAP, card, heading, words
from explorer.ui.watched import Gathered
from explorer.ui.workbench import Workbench, is_placed

LIMIT = "Largest energy above the hull that is shown, in eV per atom"
BEFORE, BOTH, AFTER = "Before", "Both", "After"
TIMES = "The hull of the known phases, both hulls, or the one that candidates share with them"
FLAT, UPRIGHT = "2-D", "3-D"
VIEWS = "The hull from above, or as a surface whose height is the formation energy"
TITLES = {
    0: "Distance from the hull",
    1: "Energy ladder",
    2: "Binary hull",
    3: "Ternary hull",
    4: "Quaternary hull",
}
EVERY_FACET = "All facets"
FACETS = "Known phases that candidates compete with: choose some to see the candidates over them"
PICTURED = 4  # elements; more have a strip of distances, and a list of facets
WARNING = """
.warning { --amber: light-dark(#9a6700, #f2c14e); margin: 2px 0 6px; padding: 4px 10px;
  border-left: 3px solid var(--amber);
  background: color-mix(in srgb, var(--amber) 10%, transparent); }
"""
NOBODY = "No candidate is shown here: each comes once it is relaxed."
CROWD = 4  # candidates on the hull, from which on so many of them say more of the hull


class Asked(NamedTuple):
    """What a page wants to see of the candidates on the hull.

    Attributes
    ----------
    campaign_id
        While this and the elements stay, zoom and camera do.
    time
        Whose hull: `BEFORE`, `BOTH` or `AFTER`.
    surface
        Whether three elements have a surface.
    facet
        Products, with blanks, that the candidates compete with; "" for any.
    selected
        Key of what is selected.
    threshold
        eV/atom.
    dark
        For a dark page.
    """

    campaign_id: str
    time: str
    surface: bool
    facet: str
    selected: str
    threshold: float
    dark: bool


class Drawn(NamedTuple):
    """A hull as it is shown, and what it was drawn from.

    Attributes
    ----------
    drawing
        See `figure_json`.
    known, picture
        The system's known phases alone, and with the candidates.
    facets
        Where there are too many elements to draw them: their words, with what `Asked` calls them.
    limit, crowd
        See `limit_words` and `crowd_words`.
    """

    drawing: str = ""
    known: Known = NOTHING
    picture: HullPicture = HullPicture(())
    facets: Mapping[str, str] = MappingProxyType({})
    limit: str = ""
    crowd: str = ""


class HullView(Viewer):
    """Redraws when candidates, selection, threshold or theme change; zoom and camera stay."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.known, self.picture = NOTHING, HullPicture(())
        self._drawing = asyncio.Lock()
        self.plot = PlotView(sizing_mode="stretch_both", min_height=390, margin=0)
        self.title = words("<h2>Convex hull</h2>", align="center", min_width=HEADING)
        self.slider = pmui.FloatSlider.from_param(
            bench.param.threshold, label=LIMIT, start=0.02, end=1.0, step=0.02, show_value=False,
            description="", width=120, size="small", sx=HIDDEN_LABEL,
            margin=(0, 10), align="center", throttled=True,
        )  # fmt: skip
        self.limit = words(sizing_mode=None, align="center")
        self.time = pmui.RadioButtonGroup(
            label="", options=[BEFORE, BOTH, AFTER], value=BOTH, size="small", margin=0,
            align="center", sx=TAB_LOOK, description=TIMES,
        )  # fmt: skip
        self.view = pmui.RadioButtonGroup(
            label="", options=[FLAT, UPRIGHT], value=FLAT, size="small", margin=0, visible=False,
            align="center", sx=TAB_LOOK, description=VIEWS,
        )  # fmt: skip
        self.facet = pmui.Select(
            label="Competing phases", options={EVERY_FACET: ""}, value="", searchable=True,
            size="small", width=250, margin=(10, 0, 4, 0), visible=False, description=FACETS,
        )  # fmt: skip
        for choice in (self.time, self.view, self.facet):
            choice.param.watch(self._redraw, "value")
        self.level = words(extra=WARNING)
        self.plot.param.watch(self._click, "clicked")
        bench.param.watch(lambda _: self.facet.param.update(value=""), "campaign_id")
        bench.param.watch(self._redraw, ["revision", "campaign_id", "dark"])
        bench.param.watch(self._redraw, ["selected", "threshold", "campaign"])

    def _click(self, *_: Any) -> None:
        if self.plot.clicked_key:
            self.bench.selected = self.plot.clicked_key

    async def _redraw(self, *events: Any) -> None:
        if {event.name for event in events} == {"campaign"} and self._same_system(events[0]):
            return
        async with self._drawing:
            bench, asked = self.bench, self._asked()
            if bench.campaign is None:  # still being read
                drawn = Drawn(limit=limit_words(HullPicture(()), bench.threshold))
            else:
                gathered = bench.gathered
                draw = partial(_draw, gathered, bench.campaign.spec, asked)
                drawn = await gathered.drawn(asked, draw)
            if bench.campaign_id != asked.campaign_id:  # a redraw of the new one comes next
                return
            self.known, self.picture = drawn.known, drawn.picture
            with pn.io.hold():
                self.plot.drawing = drawn.drawing
                self._describe(drawn)

    def _asked(self) -> Asked:
        bench = self.bench
        return Asked(
            bench.campaign_id, self.time.value, self.view.value == UPRIGHT, self.facet.value,
            bench.selected, bench.threshold, bench.dark,
        )  # fmt: skip

    @staticmethod
    def _same_system(event: Any) -> bool:
        old, new = event.old, event.new
        return old is not None and new is not None and old.spec == new.spec

    def _offer_facets(self, facets: Mapping[str, str]) -> None:
        """List the facets where there are too many elements to draw them."""
        options = {EVERY_FACET: "", **facets}
        if options != self.facet.options:
            self.facet.options = options
        self.facet.visible = bool(facets)

    def _describe(self, drawn: Drawn) -> None:
        picture = self.picture
        self.view.visible = len(picture.elements) == 3
        self.time.visible = self.known.hull is not None
        self._offer_facets(drawn.facets)
        self.limit.object = f"<span class='muted'>{drawn.limit}</span>"
        system = "–".join(picture.elements)
        title = (
            TITLES.get(len(picture.elements), TITLES[0]) if self.bench.campaign else "Convex hull"
        )
        self.plot.label = f"{title} {system}"
        self.title.object = f"<h2>{title}</h2><span class='muted'>{escape(system)}</span>"
        if picture.message:
            self.level.object = f"<p class='problem'>{escape(picture.message)}</p>"
        else:
            level = f"Energies: {picture.level}. " if picture.level else ""
            placed = self.time.value == BEFORE or any(dot.is_candidate for dot in picture.dots)
            lacking = "" if placed or self.bench.campaign is None else f"{NOBODY} "
            said = escape(lacking + level + self.known.competition)
            crowd = escape(drawn.crowd) if self.time.value == BOTH else ""
            warning = f"<p class='warning'>{crowd}</p>" if crowd else ""
            self.level.object = f"{warning}<p class='muted'>{said}</p>"

    def __panel__(self) -> pn.Column:
        line = heading("", self.time)
        line[0] = self.title
        below = pn.Row(
            self.view, self.facet, pn.Spacer(sizing_mode="stretch_width"),
            pn.Row(self.limit, self.slider, margin=0, align="center"),
            margin=0, sizing_mode="stretch_width", stylesheets=[WRAP],
        )  # fmt: skip
        return card(line, self.plot, below, self.level, name="hull")


def _draw(gathered: Gathered, spec: CampaignSpec, asked: Asked) -> Drawn:
    """Draw the hull; safe in a thread."""
    known = known_of(spec)
    picture = gathered.once(
        ("hull", asked.time, asked.facet), partial(_picture, gathered, known, asked)
    )
    figure = hull_figure(
        picture,
        selected=_selected_key(gathered, picture, asked.selected),
        threshold=asked.threshold,
        dark=asked.dark,
        revision=f"{asked.campaign_id} {len(picture.elements)} {asked.surface}",
        surface=asked.surface,
    )
    pictured = 0 < len(picture.elements) <= PICTURED
    return Drawn(
        figure_json(figure),
        known,
        picture,
        {} if pictured else gathered.once("facets", partial(_facets, gathered)),
        limit_words(picture, asked.threshold),
        crowd_words(picture, known.hull is not None),
    )


def _facets(gathered: Gathered) -> dict[str, str]:
    placed = filter(is_placed, gathered.by_id.values())
    return {facet.words: " ".join(facet.products) for facet in facets_of(placed)}


def _picture(gathered: Gathered, known: Known, asked: Asked) -> HullPicture:
    """Place the candidates over the facet that was chosen, all of them when none was."""
    candidates = [
        candidate
        for candidate in gathered.by_id.values()
        if not asked.facet or " ".join(products_of(candidate)) == asked.facet
    ]
    picture = with_candidates(known.picture, candidates)
    if known.hull is None:
        return picture
    if asked.time == BEFORE:
        return before_campaign(picture)
    if asked.time == AFTER:
        return after_campaign(picture, known.hull, candidates)
    return with_live_hull(picture, known.hull, candidates)


def _selected_key(gathered: Gathered, picture: HullPicture, selected: str) -> str:
    """A candidate that equals a known phase is shown where that phase lies."""
    kind, _, name = selected.partition(":")
    candidate = gathered.by_id.get(name) if kind == "candidate" else None
    if candidate is not None and picture.find(selected) is None:
        return f"phase:{candidate.matched}" if candidate.matched else selected
    return selected


def limit_words(picture: HullPicture, threshold: float) -> str:
    """Say up to where candidates are shown, and how many lie above."""
    above = sum(dot.is_candidate and dot.energy_above_hull > threshold for dot in picture.dots)
    hidden = f", {above} {'candidate' if above == 1 else 'candidates'} above" if above else ""
    return f"up to {threshold:.2f} eV/atom{hidden}"


def crowd_words(picture: HullPicture, after: bool = True) -> str:
    """Say that a hull on which a third of the candidates lie is a bare one; else "".

    ``after`` tells whether the page can show the hull that candidates share.
    """
    drawn = [dot for dot in picture.dots if dot.is_candidate]
    found = sum(dot.energy_above_hull <= ON_HULL for dot in drawn)
    if found < CROWD or 3 * found < len(drawn):
        return ""
    told = (
        f"{found} of {len(drawn)} candidates lie on or below the hull of the known phases. So many "
        "are a sign that competing phases are missing here, not of as many new ones"
    )
    return (
        f"{told}; “{AFTER}” lets the candidates compete with one another." if after else f"{told}."
    )
