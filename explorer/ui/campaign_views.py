"""A campaign whole: hull, crystal, table, retrieval curve and distributions, linked by a click."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import panel as pn
from panel.viewable import Viewer

from explorer.figures.known import known_of
from explorer.ui.compare_view import CompareView
from explorer.ui.distributions_view import DistributionsView
from explorer.ui.export_view import ExportView
from explorer.ui.hull_view import HullView
from explorer.ui.retrieval_view import RetrievalView
from explorer.ui.table_rows import first_sheet, listed
from explorer.ui.table_view import TableView
from explorer.ui.viewer import ViewerView
from explorer.ui.watched import FRESH
from explorer.ui.workbench import News, Workbench

GRID = """
:host { display: grid !important; grid-auto-rows: max-content; align-content: start; gap: 12px;
  padding: 0 12px 12px; box-sizing: border-box;
  grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr);
  grid-template-areas: "hull viewer" "table table" "retrieval distributions"; }
.hull { grid-area: hull; } .viewer { grid-area: viewer; }
.hull, .viewer, .retrieval, .table, .distributions { align-self: stretch !important;
  height: auto !important; }
.table { grid-area: table; } .retrieval { grid-area: retrieval; }
.distributions { grid-area: distributions; }
@media (max-width: ONE_COLUMN) {
  :host { grid-template-columns: minmax(0, 1fr);
    grid-template-areas: "hull" "viewer" "table" "retrieval" "distributions"; }
}
@media (min-width: THREE_COLUMNS) {
  :host { grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr) minmax(0, 0.9fr);
    grid-template-areas: "hull viewer retrieval" "table table distributions"; }
}
"""
FORM = 420
"""CSS pixels that the form takes of a page's width."""
PATIENCE = 20.0
"""Seconds after which cards count as drawn: a browser may leave a page undrawn that nobody sees."""


class CampaignViews(Viewer):
    """The campaign that a workbench looks at, in the page and in a notebook.

    Parameters
    ----------
    beside
        CSS pixels of the window that something else takes beside them.

    Attributes
    ----------
    compare : CompareView
        The dialog of candidates side by side; it stands beside the views, wherever they are put.
    """

    def __init__(self, bench: Workbench, beside: int = FORM, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._grid = grid_look(beside)
        self._late_until = -math.inf
        self.compare = CompareView(bench)
        self._table = TableView(bench, (self.compare.button, ExportView(bench)))
        self._views = (
            HullView(bench),
            ViewerView(bench),
            self._table,
            RetrievalView(bench),
            DistributionsView(bench),
        )

    def await_browser(self, then: Callable[[], Awaitable[None]]) -> None:
        """Call something once the browser, which has the page already, has drawn the cards."""
        self._late_until = time.monotonic() + PATIENCE

        async def drawn(_: Any) -> None:
            await then()

        self._table.keys.param.watch(drawn, "drawn")

    @property
    def awaited(self) -> bool:
        """Whether the browser has yet to draw them, see `await_browser`."""
        return time.monotonic() < self._late_until and not self._table.keys.drawn

    def __panel__(self) -> pn.Column:
        return pn.Column(
            *self._views, stylesheets=[self._grid], margin=0, sizing_mode="stretch_width"
        )


def grid_look(beside: int) -> str:
    """Return how the cards stand in a window of which `beside` CSS pixels are taken."""
    sizes = {"ONE_COLUMN": 680 + beside, "THREE_COLUMNS": 1180 + beside}
    look = GRID
    for name, size in sizes.items():
        look = look.replace(name, f"{size}px")
    return look


async def news_of(bench: Workbench) -> News:
    """Read beside the event loop what is new, and get ready what all pages need of it."""
    return await asyncio.to_thread(_news_of, bench)


def _news_of(bench: Workbench) -> News:
    news = bench.look(FRESH)
    if news.snapshot is not None:
        known_of(news.snapshot.campaign.spec)
        first_sheet(listed(news.snapshot.gathered, news.snapshot.summary))
    return news
