"""What was measured of this version, as the README tells it: on the first page, behind a button."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.figures import embeddings, temperatures
from explorer.figures.embeddings import embedding_figure
from explorer.figures.temperatures import energy_figure, temperature_figure
from explorer.ui.campaigns_view import WIDE
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import card, heading
from explorer.ui.workbench import Workbench

DATA = Path(__file__).parent.parent / "data"
RESULTS = DATA / "results.md"
FIGURES = (
    (
        "measured-temperatures.json",
        temperature_figure,
        "What is right with drawn crystals, by sampling temperature",
        temperatures.HEIGHT,
    ),
    (
        "measured-energies.json",
        energy_figure,
        "Energies above the hull, by sampling temperature and beside random crystals",
        temperatures.HEIGHT,
    ),
    (
        "measured-embeddings.json",
        embedding_figure,
        "Maps of what the network learned of elements and space groups",
        embeddings.HEIGHT,
    ),
)
"""What a command wrote, what draws it, what it shows, and its height in pixels."""
LOOK = """
:host { color: var(--panel-on-surface-color); font-size: 13px; line-height: 1.5; }
h3 { font-size: 14px; font-weight: 600; margin: 18px 0 6px; }
table { border-collapse: collapse; width: 100%; margin: 10px 0 14px !important; font-size: 13px;
  border: none !important; font-variant-numeric: tabular-nums; }
th, td { text-align: left !important; vertical-align: top; padding: 6px 14px 6px 0 !important;
  border: none; background: none; color: inherit;
  border-bottom: 1px solid color-mix(in srgb, var(--panel-on-surface-color) 16%, transparent); }
@media (max-width: 1000px) { table { display: block; overflow-x: auto; } }
tr { background: none !important; }
th { font-weight: 600; }
code { font-size: 12px; overflow-wrap: anywhere; background: none; color: inherit; }
"""


class ResultsView(Viewer):
    """The measured results, folded until somebody asks."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        whole = RESULTS.read_text(encoding="utf-8")
        for together in (" %", " / "):  # a number is not parted from its sign, nor a pair of them
            whole = whole.replace(together, together.replace(" ", "\N{NO-BREAK SPACE}"))
        text = pn.pane.Markdown(whole, stylesheets=[LOOK], sizing_mode="stretch_width", margin=0)
        self.plots: list[PlotView] = []
        self.body = pn.Column(text, visible=False, sizing_mode="stretch_width", margin=0)
        self.button = pmui.Button(
            label="Show", icon="expand_more", variant="text", size="small", margin=0, align="center"
        )
        self.button.on_click(self._turn)
        bench.param.watch(self._draw, "dark")

    def _turn(self, _: Any) -> None:
        self.body.visible = not self.body.visible
        shown = ("Hide", "expand_less") if self.body.visible else ("Show", "expand_more")
        self.button.label, self.button.icon = shown
        self._draw()

    def _draw(self, *_: Any) -> None:
        """Draw the figures in the page's theme, once somebody looks."""
        if not self.body.visible:
            return
        if not self.plots:
            self.plots = [
                PlotView(
                    label=label, sizing_mode="stretch_width", height=height, margin=(12, 0, 0, 0)
                )
                for _, _, label, height in FIGURES
            ]
            self.body.extend(self.plots)
        for plot, (file, draw, _, _) in zip(self.plots, FIGURES, strict=True):
            told = json.loads((DATA / file).read_text(encoding="utf-8"))
            plot.drawing = figure_json(draw(told, self.bench.dark))

    def __panel__(self) -> pn.Column:
        title = heading("How good is it? Measured results, beside other generators", self.button)
        return card(title, self.body, name="measured", extra=WIDE)
