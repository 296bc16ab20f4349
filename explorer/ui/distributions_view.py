"""Distributions of a campaign's crystals, updated as they come."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn
from panel.viewable import Viewer

from explorer.figures.distributions import (
    Distributions,
    distributions_figure,
    distributions_of,
)
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import card, heading, words
from explorer.ui.workbench import Workbench


class DistributionsView(Viewer):
    """Energy above the hull, density, space groups and elements, redrawn beside the event loop."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._drawing = asyncio.Lock()
        self.plot = PlotView(
            label="Energies above the hull, densities, space groups and elements of the crystals",
            sizing_mode="stretch_both", min_height=330, margin=0,
        )  # fmt: skip
        self.note = words()
        bench.param.watch(self._redraw, ["summary", "campaign_id", "threshold", "dark"])

    async def _redraw(self, *_: Any) -> None:
        async with self._drawing:
            figure, note = await asyncio.to_thread(self._draw)
            with pn.io.hold():
                self.plot.figure = figure
                self.note.object = f"<p class='muted'>{note}</p>"

    def _draw(self) -> tuple[dict[str, Any], str]:
        shown = distributions_of(list(self.bench.candidates.values()), self.bench.threshold)
        figure = distributions_figure(shown, dark=self.bench.dark)
        return figure_json(figure), told(shown, self.bench.threshold)

    def __panel__(self) -> pn.Column:
        return card(heading("Distributions"), self.plot, self.note, name="distributions")


def told(shown: Distributions, limit: float) -> str:
    """Say how many crystals stand behind the histograms."""
    relaxed, decoded = len(shown.energies), len(shown.densities)
    if not decoded:
        return "No crystal yet: the bars grow as crystals are drawn and relaxed."
    text = (
        f"{relaxed} relaxed {'crystal' if relaxed == 1 else 'crystals'} up to {limit:.2f} eV/atom"
    )
    if shown.above:
        text += f" ({shown.above} beyond)"
    return f"{text}, {decoded} decoded {'one' if decoded == 1 else 'ones'}."
