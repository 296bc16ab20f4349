"""The retrieval curve of a page, which new numbers move."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import holoviews as hv
import panel as pn
from bokeh.core.serialization import AnyRep, Deserializer, Serializer
from bokeh.models import BasicTicker

from explorer.figures.retrieval import (
    AXES,
    BASELINES,
    NO_LINE,
    NOTHING,
    curve_words,
    points_of,
    ranges_of,
    retrieval_figure,
)
from explorer.retrieval import Curve

NO_LINES = dict.fromkeys(BASELINES, NO_LINE)


@cache
def blank_figure() -> AnyRep:
    """Return the figure of nothing as Bokeh writes it; a copy takes a quarter of the time."""
    figure = hv.render(retrieval_figure(NOTHING, NO_LINES))
    for axis, grid in zip((*figure.xaxis, *figure.yaxis), figure.grid, strict=True):
        ticker = BasicTicker(min_interval=1, num_minor_ticks=0)  # nothing is half found
        axis.ticker = grid.ticker = ticker
    return Serializer(deferred=False).encode(figure)


class LiveRetrieval:
    """What HoloViews has drawn once; to let it draw again takes thirty times as long as to move it.

    Attributes
    ----------
    figure : bokeh.plotting.figure
        To be shown in one document.
    """

    def __init__(self) -> None:
        self.figure = Deserializer().decode(blank_figure())
        renderers = zip(points_of(NOTHING, NO_LINES), self.figure.renderers, strict=True)
        self._sources = {label: renderer.data_source for label, renderer in renderers}

    def show(self, curve: Curve, baselines: Mapping[str, Curve]) -> None:
        """Move the lines and the axes; a baseline that is not known has no line."""
        points = points_of(curve, NO_LINES | dict(baselines))
        names = [dimension.name for dimension in AXES]
        x_range, y_range = ranges_of(curve)
        with pn.io.hold():  # also where nobody holds the document's lock
            for label, source in self._sources.items():
                source.data = dict(zip(names, points[label], strict=True))
            # Bokeh draws on a canvas, of which nothing can be read aloud.
            self.figure.html_attributes = {
                "role": "img", "aria-label": curve_words(curve, baselines)
            }  # fmt: skip
            self.figure.x_range.update(start=x_range[0], end=x_range[1])
            self.figure.y_range.update(start=y_range[0], end=y_range[1])
