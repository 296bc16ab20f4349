"""How a crystal was relaxed: its frames to scrub or play, over energy, force and stress."""

from __future__ import annotations

from typing import Any, NamedTuple

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewer

from explorer.candidate import Candidate, State, Trace
from explorer.figures.crystal import CrystalScene, crystal_scene
from explorer.figures.trajectory import Frames, trace_figure
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import STEPPERS
from explorer.ui.workbench import Workbench

INTERVAL = 600  # ms between frames that are played
NEVER = "It was not relaxed: {}."
NO_TRACE = "The steps of this relaxation were not kept: an earlier version of the program ran it."
LAST = -1


class Path(NamedTuple):
    """One frame of a relaxation, ready to be shown.

    Attributes
    ----------
    scene
        The frame.
    figure
        The curves, see `figure_json`.
    steps
        Numbers of the kept frames.
    shown
        Place of the frame in `steps`.
    """

    scene: CrystalScene
    figure: str
    steps: list[int]
    shown: int


class RelaxationView(Viewer):
    """Player and curves; `frame` is what is asked for, and the viewer draws it."""

    frame = param.Integer(default=LAST, doc="place among the kept frames; -1 is the last")

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._read: tuple[tuple[str, str], Trace | None] = (("", ""), None)
        self._frames: Frames | None = None
        self._scenes: dict[int, CrystalScene] = {}
        self._showing = False
        self.player = pmui.DiscretePlayer(
            label="Step", options=[0], value=0, variant="minimal", interval=INTERVAL,
            loop_policy="loop", size="small", sizing_mode="stretch_width", margin=(8, 0, 0, 0),
            sx=STEPPERS,
        )  # fmt: skip
        self.plot = PlotView(
            label="Energy, largest force and largest stress by relaxation step",
            sizing_mode="stretch_width", height=270, margin=0,
        )  # fmt: skip
        self.box = pn.Column(
            self.player, self.plot, visible=False, margin=0, sizing_mode="stretch_width"
        )
        self.player.param.watch(self._scrub, "value")
        self.plot.param.watch(self._jump, "clicked")
        bench.param.watch(self._start_over, ["selected", "campaign_id", "stage"])

    def _start_over(self, *_: Any) -> None:
        """Show the first frame as the crystal that was drawn, and the last as the relaxed one."""
        self.player.direction = 0
        self.frame = 0 if self.bench.stage == "initial" else LAST

    def _scrub(self, event: Any) -> None:
        if not self._showing:
            self.frame = self.player.values.index(event.new)

    def _jump(self, *_: Any) -> None:
        if self.plot.clicked_key:
            self.frame = int(self.plot.clicked_key)

    def read(self, candidate: Candidate) -> Path | str:
        """Read and draw a candidate's frame; or say why there is none. Safe in a thread."""
        key = (self.bench.campaign_id, candidate.id)
        if self._read[0] != key or self._read[1] is None:
            self._read, self._scenes = (key, self.bench.store.trace(*key)), {}
            self._frames = Frames.of(self._read[1]) if self._read[1] is not None else None
        trace, frames = self._read[1], self._frames
        if trace is None:
            return why_no_trace(candidate)
        last = len(frames) - 1
        shown = min(self.frame, last) if self.frame >= 0 else last
        if shown not in self._scenes:
            self._scenes[shown] = crystal_scene(frames.structure(shown), as_given=True)
        return self._path(trace, shown)

    def _path(self, trace: Trace, shown: int) -> Path:
        campaign = self.bench.campaign
        figure = trace_figure(trace, shown, campaign.spec.fmax, self.bench.dark)
        steps = [int(step) for step in trace.frames]
        return Path(self._scenes[shown], figure_json(figure), steps, shown)

    def show(self, path: Path | None) -> None:
        """Show the curves of a frame; nothing without one."""
        self.box.visible = path is not None
        if path is None:
            self.player.direction = 0
            return
        self._showing = True
        self.player.param.update(options=path.steps, value=path.steps[path.shown])
        self._showing = False
        self.plot.drawing = path.figure

    def __panel__(self) -> pn.Column:
        return self.box


def why_no_trace(candidate: Candidate) -> str:
    """Say why a candidate has no frames."""
    if candidate.state in {State.RELAXED, State.FAILED}:
        return NO_TRACE
    reasons = {
        State.WAITING: "it waits for its turn",
        State.DRAWN: "it waits for its turn",
        State.SKIPPED: candidate.reason.partition(": ")[2] or "its energy is too high",
        State.KNOWN: f"it equals the known phase {candidate.matched}",
        State.DUPLICATE: f"it equals crystal {candidate.matched}",
        State.REJECTED: candidate.reason or "it was rejected",
    }
    return NEVER.format(reasons[candidate.state])
