"""How many of its targets the campaign has found, and which."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import panel as pn
from panel.viewable import Viewer

from explorer.baseline_curves import Question, baselines
from explorer.candidate import Candidate
from explorer.figures.known import targets_of
from explorer.figures.retrieval import (
    ALL_LINE,
    ALONE,
    BASELINES,
    CEILING,
    DRAWN,
    DRAWN_LINE,
    SPENT,
    SPENT_LINE,
    curve_of,
    finders,
)
from explorer.figures.words import escape, formula_label
from explorer.retrieval import Curve
from explorer.targets import TargetList
from explorer.ui.live_retrieval import LiveRetrieval
from explorer.ui.theme import LINE, card, heading, words
from explorer.ui.watched import Gathered
from explorer.ui.workbench import Workbench

WORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="baselines")
"""Baselines take seconds: one at a time, apart from the threads that read the store."""
SHOWN = 200  # targets listed; the curve counts all
EMPTY = """
<div class='empty'><p><b>Nothing to look for yet</b></p><p>{why}</p><p>Give your own list:
<i>Target structures</i> in the form, under Search, before the next run.</p></div>
"""
UNKNOWN = (
    "No known phase whose structure is here holds all these elements within 0.1 eV/atom of the "
    "published hull."
)
ANY_ELEMENTS = "Where any elements may appear no known phases are looked for."
LINES = (
    (DRAWN_LINE, "2.5px solid", DRAWN),
    (SPENT_LINE, "2.5px dashed", SPENT),
    (ALL_LINE, "2.5px dotted", CEILING),
)
UNSEEN = " style='visibility: hidden'"
AWAITED = " class='awaited' title='is being drawn'"
KEY_LOOK = """
div { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 14px; font-size: 12px;
  color: var(--muted); }
i { display: inline-block; width: 18px; margin-right: 6px; vertical-align: middle; }
.awaited { opacity: 0.5; }
"""
LIST = """
.empty { max-width: 40ch; margin: 12px auto; text-align: center; color: var(--muted); }
.empty b { color: var(--panel-on-surface-color); }
.empty p { margin: 0 0 6px; }
ul { list-style: none; margin: 8px 0 0; padding: 0; max-height: 132px; overflow-y: auto; }
li { display: grid; grid-template-columns: 18px minmax(0, 1fr) auto; gap: 6px; padding: 4px 0;
  border-top: 1px solid LINE; font-size: 12.5px; }
li span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
li.found i { color: light-dark(#00785a, #2fd6a3); font-style: normal; font-weight: 700; }
li i, li em { font-style: normal; color: var(--muted); }
""".replace("LINE", LINE)


class RetrievalView(Viewer):
    """The retrieval curve and the list of targets."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.live = LiveRetrieval()
        self.pane = pn.pane.Bokeh(
            self.live.figure, sizing_mode="stretch_both", min_height=240, margin=0
        )
        self.key = words(key_html(()), KEY_LOOK)
        self.stage = pn.Column(self.pane, sizing_mode="stretch_both", min_height=240, margin=0)
        self.note = words(extra=LIST, margin=(8, 0, 0, 0))
        self._beside: Mapping[str, Curve] = ALONE
        bench.param.watch(self._update, ["summary", "campaign"])
        bench.param.watch(self._compare, "campaign")
        self._tell(TargetList(), {})

    def _update(self, *events: Any) -> None:
        if {event.name for event in events} == {"campaign"} and not _other_question(events[0]):
            return
        gathered = self.bench.summed_up
        spec = self.bench.campaign.spec if self.bench.campaign else None
        targets = targets_of(spec, self.bench.targets)
        curve, found = gathered.once(
            ("targets", targets.names), partial(_found, gathered, targets.names)
        )
        self.live.show(curve, self._beside)
        self._tell(targets, found)

    async def _compare(self, event: Any) -> None:
        """Draw what known prototypes alone would have found, once that is computed."""
        if not _other_question(event):
            return
        campaign = event.new
        if campaign is None:
            self._show_beside(ALONE)
            return
        targets = targets_of(campaign.spec, self.bench.targets)
        question = Question(campaign.id, campaign.spec, targets.structures)
        self._show_beside(ALONE, awaited=question.methods)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(WORKER, baselines, question)
        if self.bench.campaign_id == campaign.id:
            self._show_beside(found)

    def _show_beside(self, found: Mapping[str, Curve], awaited: Collection[str] = ()) -> None:
        self._beside = found
        self.key.object = key_html(found, awaited)
        self._update()

    def _tell(self, targets: TargetList, found: Mapping[str, Candidate]) -> None:
        self.stage.visible = self.key.visible = bool(targets.names)
        if self.bench.campaign is None:
            self.note.object = ""
        else:
            self.note.object = (
                target_list_html(targets, found)
                if targets.names
                else EMPTY.format(why=self._why(targets))
            )

    def _why(self, targets: TargetList) -> str:
        """Say why there is nothing to look for."""
        bounded = bool(self.bench.campaign.spec.elements)
        return escape(f"{UNKNOWN} {targets.remark}" if bounded else ANY_ELEMENTS)

    def __panel__(self) -> pn.Column:
        return card(heading("Targets found"), self.key, self.stage, self.note, name="retrieval")


def _found(gathered: Gathered, targets: Collection[str]) -> tuple[Curve, Mapping[str, Candidate]]:
    """Return how many targets were found when, and by whom."""
    return curve_of(gathered.in_order, targets), finders(gathered.in_order, targets)


def key_html(beside: Collection[str], awaited: Collection[str] = ()) -> str:
    """Return what each line of the figure means; of baselines those that are drawn or awaited.

    The others keep their place unseen: a figure that moves for one more line of words covers what
    stands below it.
    """
    lines = [(*line, "") for line in LINES]
    for method, (label, colour, dash) in BASELINES.items():
        look = "" if method in beside else AWAITED if method in awaited else UNSEEN
        lines.append((label, f"1.5px {dash}", colour, look))
    told = "".join(
        f"<span{look}><i style='border-top: {line} {colour}'></i>{label}</span>"
        for label, line, colour, look in lines
    )
    return f"<div>{told}</div>"


def target_list_html(targets: TargetList, found: Mapping[str, Candidate]) -> str:
    """Return how many targets were found, and a line for each, the found ones first."""
    said = f"{len(found)} of {len(targets.names)} {targets.words}"
    said += f". {targets.remark}" if targets.remark else ""
    head = f"<p class='muted'>{escape(said)}</p>"
    ordered = sorted(targets.structures, key=lambda target: target.name not in found)
    lines = "".join(_line(*target, found.get(target.name)) for target in ordered[:SHOWN])
    more = len(ordered) - SHOWN
    rest = f"<li><i></i><span>and {more} more</span></li>" if more > 0 else ""
    return f"{head}<ul>{lines}{rest}</ul>"


def _line(name: str, structure: Any, finder: Candidate | None) -> str:
    formula = formula_label(escape(structure.composition.reduced_formula))
    told = f"candidate {finder.id}" if finder else "not yet"
    return (
        f"<li class='{'found' if finder else ''}'><i>{'✓' if finder else '○'}</i>"
        f"<span title='{escape(name)}'>{formula} · {escape(name)}</span><em>{told}</em></li>"
    )


def _other_question(event: Any) -> bool:
    """Whether a campaign event brought another question, not only new counts."""
    old, new = event.old, event.new
    return old is None or new is None or old.spec != new.spec
