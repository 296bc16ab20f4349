"""How many of the known phases the campaign has found again."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import panel as pn
from holoviews.streams import Pipe
from panel.viewable import Viewer

from explorer.figures.retrieval import NOTHING, curve_of, retrieval_figure
from explorer.retrieval import Curve
from explorer.ui.known import known_of
from explorer.ui.theme import card, heading, words
from explorer.ui.workbench import Workbench


class RetrievalView(Viewer):
    """The retrieval curve; its data change, the plot stays."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.pipe = Pipe(data=NOTHING)
        plot = hv.DynamicMap(retrieval_figure, streams={"curve": self.pipe.param.data})
        self.pane = pn.pane.HoloViews(plot, sizing_mode="stretch_both", min_height=240, margin=0)
        self.note = words()
        bench.param.watch(self._update, ["revision", "campaign"])
        self._tell(NOTHING)

    def _update(self, *events: Any) -> None:
        if {event.name for event in events} == {"campaign"} and not _other_question(events[0]):
            return
        spec = self.bench.campaign.spec if self.bench.campaign else None
        curve = curve_of(self.bench.in_order(), known_of(spec).targets)
        self.pipe.send(curve)
        self._tell(curve)

    def _tell(self, curve: Curve) -> None:
        self.pane.visible = bool(curve.total)
        found = int(curve.found_by_crystals[-1])
        text = (
            f"{found} of {curve.total} known phases that hold all the elements and lie within "
            "0.02 eV/atom of the published hull"
            if curve.total
            else "No known phase that holds all the elements lies near the published hull, so "
            "there is nothing to find again here."
        )
        self.note.object = f"<p class='muted'>{text}</p>"

    def __panel__(self) -> pn.Column:
        return card(heading("Known phases found again"), self.pane, self.note, name="retrieval")


def _other_question(event: Any) -> bool:
    """Whether a campaign event brought another question, not only new counts."""
    old, new = event.old, event.new
    return old is None or new is None or old.spec != new.spec
