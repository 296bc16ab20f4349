"""The run at a glance: which campaign, what has become of its crystals, how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import Campaign, CampaignState
from explorer.figures.words import counted, escape, formula_label, spacegroup_symbol
from explorer.schema import StoreError
from explorer.ui.theme import WRAP, card, words
from explorer.ui.workbench import Workbench, may

NEW = "All campaigns, or a new search"
SEGMENTS = (
    ("relaxed", "relaxed"),
    ("failed", "failed"),
    ("skipped", "not relaxed"),
    ("known", "known"),
    ("duplicate", "duplicate"),
    ("rejected", "rejected"),
    ("waiting", "waiting"),
)
STATES = {
    CampaignState.QUEUED: "Queued",
    CampaignState.RUNNING: "Running",
    CampaignState.PAUSED: "Paused",
    CampaignState.STOPPED: "Stopped",
    CampaignState.FINISHED: "Finished",
    CampaignState.FAILED: "Failed",
}
BAR = """
.line { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 18px; margin-top: 8px; }
.line b { font-variant-numeric: tabular-nums; font-weight: 600; }
.line .left { margin-left: auto; color: var(--muted); }
.track { display: flex; height: 8px; border-radius: 4px; overflow: hidden; margin-top: 10px;
  background: color-mix(in srgb, var(--panel-on-surface-color) 12%, transparent); }
.track i { transition: width 0.4s; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: 6px; }
.relaxed { background: #00926b; } .failed { background: #cc4b37; } .known { background: #2b7fc1; }
.skipped { background: #8a63b5; }
.duplicate { background: #8b98a8; } .rejected { background: #b9852e; }
.waiting { background: repeating-linear-gradient(135deg, #9fb3c8 0 4px, #c3d0dd 4px 8px); }
"""
CHIP = """
.chip { display: inline-flex; align-items: center; padding: 3px 10px; border-radius: 12px;
  font-size: 12px; font-weight: 600; color: #fff; background: #5b6675; white-space: nowrap; }
.running { background: #1558a6; } .finished { background: #00785a; }
.failed { background: #b3261e; }
.paused { background: #8a5a00; }
/* The chooser beside it shows the name; a screen reader finds the page's heading. */
h1 { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
"""


class RunBar(Viewer):
    """Campaign chooser, Pause / Resume / Stop, and the progress bar.

    Parameters
    ----------
    bench : Workbench
    wake : callable
        Coroutine function that starts a runner when none is alive.
    reuse : callable
        Coroutine function of a campaign whose settings are to fill the form.
    """

    def __init__(
        self,
        bench: Workbench,
        wake: Callable[[], Any],
        reuse: Callable[[Campaign], Any],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.bench, self._wake, self._reuse = bench, wake, reuse
        self.chooser = pmui.Select(
            label="Campaign", size="small", searchable=True, options={NEW: ""}, value="",
            max_width=340, sizing_mode="stretch_width", margin=(4, 12, 0, 0),
            styles={"flex": "0 1 340px", "min-width": "0"},
        )  # fmt: skip
        self.chip = words(extra=CHIP, sizing_mode=None, align="center", margin=(0, 12, 0, 0))
        self.buttons = {
            name: pmui.Button(
                label=label, icon=icon, variant="outlined", size="small", disabled=True,
                margin=(4, 0, 0, 8), align="center",
            )
            for name, label, icon in (
                ("pause", "Pause", "pause"),
                ("resume", "Resume", "play_arrow"),
                ("stop", "Stop", "stop"),
            )
        }  # fmt: skip
        self.copy = pmui.Button(
            label="Use these settings", icon="edit_note", variant="text", size="small",
            margin=(4, 0, 0, 8), align="center", disabled=True,
        )  # fmt: skip
        self.progress = words(extra=BAR)
        self.banner = pmui.Alert(
            severity="warning", visible=False, margin=(10, 0, 0, 0), sizing_mode="stretch_width"
        )
        self._wire()

    def _wire(self) -> None:
        for name, button in self.buttons.items():
            button.on_click(partial(self._command, name))  # a lambda would not be awaited
        self.copy.on_click(self._copy)
        self.chooser.param.watch(self._choose, "value")
        self.bench.param.watch(self._show, ["campaign", "runner_alive", "error"])
        self.bench.param.watch(self._point, "campaign_id")
        self._show()

    def _choose(self, event: Any) -> None:
        if event.new not in {None, event.old, self.bench.campaign_id}:
            self.bench.campaign_id = event.new

    async def _command(self, command: str, _: Any) -> None:
        bench = self.bench
        try:
            await asyncio.to_thread(bench.store.command, bench.campaign_id, command)
        except StoreError as error:
            self.banner.param.update(severity="warning", object=escape(error), visible=True)
            return
        if command == "resume":
            await self._wake()
        bench.take(await asyncio.to_thread(bench.look))

    async def _copy(self, *_: Any) -> None:
        try:
            await self._reuse(self.bench.campaign)
        except StoreError as error:
            self.banner.param.update(severity="warning", object=escape(error), visible=True)

    def offer(self, campaigns: list[Campaign]) -> None:
        """List the campaigns, newest first.

        The one that the page looks at is among them, though it may be deleted or another user's: a
        chooser without it would turn the page to none.
        """
        shown = self.bench.campaign
        if shown is not None and all(campaign.id != shown.id for campaign in campaigns):
            campaigns = [shown, *campaigns]
        options = {NEW: ""} | {campaign_label(campaign): campaign.id for campaign in campaigns}
        if options != self.chooser.options:
            self.chooser.options = options
            self.chooser.param.trigger("value")  # the browser knows it by a label that may be old
        self._point()

    def _point(self, *_: Any) -> None:
        """Let the chooser show the campaign that the page looks at, once it is listed."""
        current = self.bench.campaign_id
        if self.chooser.value != current and current in self.chooser.options.values():
            self.chooser.value = current

    def _show(self, *_: Any) -> None:
        campaign = self.bench.campaign
        allowed = may(campaign if self.bench.is_mine else None)
        self.buttons["pause"].visible = campaign is not None and not allowed["resume"]
        self.buttons["resume"].visible = allowed["resume"]
        for name, button in self.buttons.items():
            button.disabled = not allowed[name]
        for button in (self.copy, self.buttons["stop"]):
            button.visible = campaign is not None
        self.copy.disabled = campaign is None
        self._tell()
        self.progress.visible = campaign is not None
        if campaign is None:
            self.chip.object = self.progress.object = ""
            return
        word = "Deleted" if campaign.deleted else STATES[campaign.state]
        if campaign.active and campaign.wanted != "run":
            word = "Pausing" if campaign.wanted == "pause" else "Stopping"
        title = f"<h1>Campaign {escape(campaign_label(campaign))}</h1>"
        look = "deleted" if campaign.deleted else campaign.state.value
        self.chip.object = f"{title}<span class='chip {look}'>{word}</span>"
        self.progress.object = progress_html(campaign)

    def _tell(self) -> None:
        """Say what stands in the way, if anything does."""
        bench, campaign = self.bench, self.bench.campaign
        severity, text = "warning", ""
        if bench.error:
            severity, text = "error", bench.error[:1].upper() + bench.error[1:]
        elif campaign is not None and campaign.deleted:
            mend = ": the list of campaigns, under Deleted ones, restores it."
            whose = f" by {campaign.person}, who can restore it." if campaign.person else "."
            text = f"This campaign was deleted{mend if bench.is_mine else whose}"
        elif campaign is not None and campaign.state == CampaignState.FAILED:
            severity, text = "error", f"This campaign failed: {campaign.message}"
        elif campaign is not None and campaign.active and not bench.runner_alive:
            text = "No runner is alive; one is being started. Nothing that was found is lost."
        self.banner.param.update(severity=severity, object=escape(text), visible=bool(text))

    def __panel__(self) -> pn.Column:
        line = pn.Row(
            self.chooser, self.chip, pn.Spacer(sizing_mode="stretch_width"), self.copy,
            *self.buttons.values(), sizing_mode="stretch_width", margin=0, stylesheets=[WRAP],
        )  # fmt: skip
        return card(line, self.progress, self.banner, name="run-bar", margin=12)


def progress_html(campaign: Campaign) -> str:
    """Return the bar of fates, its numbers and the time left."""
    counts, wanted = campaign.counts, max(campaign.spec.n, 1)
    parts = "".join(
        f"<i class='{key}' style='width:{100 * counts[key] / wanted:.3f}%'></i>"
        for key, _ in SEGMENTS
        if counts[key]
    )
    done = counts["drawn"] - counts["waiting"]
    bar = (
        f"<div class='track' role='progressbar' aria-valuemin='0' aria-valuemax='{wanted}' "
        f"aria-valuenow='{done}' aria-label='crystals with a verdict'>{parts}</div>"
    )
    kept = sum(counts[state] for state in ("waiting", "relaxed", "failed", "skipped"))
    numbers = [
        f"<span><b>{counts['drawn']:,}</b> of {wanted:,} drawn</span>",
        f"<span><b>{kept:,}</b> kept</span>",
    ]
    numbers += [
        f"<span><span class='dot {key}'></span><b>{counts[key]:,}</b> {label}</span>"
        for key, label in SEGMENTS
        if counts[key] or key in {"relaxed", "failed"}
    ]
    left = f"<span class='left'>{escape(time_words(campaign))}</span>"
    return f"{bar}<div class='line'>{''.join(numbers)}{left}</div>"


def time_words(campaign: Campaign) -> str:
    """Say how long it will take, or what the runner is busy with."""
    if campaign.state == CampaignState.FINISHED:
        spent = campaign.seconds_sampling + campaign.seconds_relaxing
        return f"{duration(spent)} of work"
    if not campaign.active:
        return campaign.message if campaign.state != CampaignState.FAILED else ""
    if campaign.message or campaign.seconds_left is None:
        return campaign.message or "estimating the time"
    return f"about {duration(campaign.seconds_left)} left"


def duration(seconds: float) -> str:
    """Write a time span for people: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def campaign_label(campaign: Campaign) -> str:
    """Name a campaign in the chooser; the start of its id keeps names apart."""
    spec = campaign.spec
    what = spec.name or formula_label(spec.composition)
    if spec.spacegroups and not (spec.name or spec.elements):  # all that was asked
        what += f" in {', '.join(map(spacegroup_symbol, spec.spacegroups[:2]))}"
        what += " …" if len(spec.spacegroups) > 2 else ""
    when = time.strftime("%d %b %H:%M", time.localtime(campaign.created))
    return f"{what} · {counted(spec.n, 'crystal')} · {when} · {campaign.id[:4]}"
