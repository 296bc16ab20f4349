"""The retrieval curve of a page, which new numbers move."""

from __future__ import annotations

from collections.abc import Mapping

import holoviews as hv
import panel as pn
from bokeh.models import BasicTicker

from explorer.figures.retrieval import (
    AXES,
    BASELINES,
    NO_LINE,
    NOTHING,
    points_of,
    ranges_of,
    retrieval_figure,
)
from explorer.retrieval import Curve


class LiveRetrieval:
    """What HoloViews has drawn once; to let it draw again takes thirty times as long as to move it.

    Attributes
    ----------
    figure : bokeh.plotting.figure
        To be shown in one document.
    """

    def __init__(self) -> None:
        nothing = dict.fromkeys(BASELINES, NO_LINE)
        self.figure = hv.render(retrieval_figure(NOTHING, nothing))
        for axis in (*self.figure.xaxis, *self.figure.yaxis):
            axis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)  # nothing is half found
        renderers = zip(points_of(NOTHING, nothing), self.figure.renderers, strict=True)
        self._sources = {label: renderer.data_source for label, renderer in renderers}

    def show(self, curve: Curve, baselines: Mapping[str, Curve]) -> None:
        """Move the lines and the axes; a baseline that is not known has no line."""
        points = points_of(curve, dict.fromkeys(BASELINES, NO_LINE) | dict(baselines))
        names = [dimension.name for dimension in AXES]
        x_range, y_range = ranges_of(curve)
        with pn.io.hold():  # also where nobody holds the document's lock
            for label, source in self._sources.items():
                source.data = dict(zip(names, points[label], strict=True))
            self.figure.x_range.update(start=x_range[0], end=x_range[1])
            self.figure.y_range.update(start=y_range[0], end=y_range[1])
