"""A Plotly figure that the page owns alone: no theme of a library changes its layout afterwards.

Only clicks travel to the server; hovering, zooming and turning stay in the browser.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import param
import plotly.graph_objects as go
from panel.custom import JSComponent
from plotly.io.json import to_json_plotly

from explorer.ui.scripts import plotly_urls

STATIC = Path(__file__).parent / "static"

STYLES = """
:host { display: block; }
.plot { width: 100%; height: 100%; }
.modebar-btn:focus-visible { outline: 2px solid var(--panel-primary-color); }
"""


class PlotView(JSComponent):
    """A figure whose points carry a key in ``customdata``; the last one clicked is `clicked`."""

    drawing = param.String(default="", doc="data and layout as JSON, see `figure_json`")
    label = param.String(default="Figure", doc="what it shows, for screen readers")
    clicked = param.List(default=[], doc="[key of the point, number of the click]")
    scripts = param.List(default=[], item_type=str, doc="URLs in loading order")

    _esm: ClassVar[Path] = STATIC / "plot.js"
    _stylesheets: ClassVar[list[str]] = [STYLES]

    def __init__(self, **params: Any) -> None:
        params.setdefault("scripts", plotly_urls())
        super().__init__(**params)

    @property
    def figure(self) -> dict[str, Any]:
        """Data and layout of what is drawn; {} when nothing is."""
        return json.loads(self.drawing) if self.drawing else {}

    @property
    def clicked_key(self) -> str:
        """Key of the point that was clicked last, "" before any click."""
        return str(self.clicked[0]) if self.clicked else ""


def figure_json(figure: go.Figure) -> str:
    """Return data and layout of a figure as JSON, without a template.

    As a text it goes to any number of pages as it is: Bokeh looks into each value of a dictionary,
    for each page.
    """
    content = figure.to_dict()
    content["layout"].pop("template", None)
    return to_json_plotly(content)
