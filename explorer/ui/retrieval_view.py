"""How many of its targets the campaign has found, and which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import panel as pn
from panel.viewable import Viewer

from explorer.candidate import Candidate
from explorer.figures.known import targets_of
from explorer.figures.retrieval import (
    CEILING,
    DRAWN,
    NOTHING,
    SPENT,
    curve_of,
    finders,
    retrieval_figure,
)
from explorer.figures.words import escape, formula_label
from explorer.targets import TargetList
from explorer.ui.theme import LINE, card, heading, words
from explorer.ui.workbench import Workbench

SHOWN = 200  # targets listed; the curve counts all
EMPTY = """
<div class='empty'><p><b>Nothing to look for yet</b></p>
<p>No known phase holds all these elements within 0.1 eV/atom of the published hull. Give your own
list: <i>Target structures</i> in the form, under Search, before the next run.</p></div>
"""
KEY = "".join(
    f"<span><i style='border-top: 2.5px {dash} {colour}'></i>{label}</span>"
    for label, dash, colour in (
        ("by crystals drawn", "solid", DRAWN),
        ("by relaxations", "dashed", SPENT),
        ("all targets", "dotted", CEILING),
    )
)
KEY_LOOK = """
div { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 14px; font-size: 12px;
  color: var(--muted); }
i { display: inline-block; width: 18px; margin-right: 6px; vertical-align: middle; }
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
        self.pane = pn.pane.HoloViews(
            retrieval_figure(NOTHING), sizing_mode="stretch_both", min_height=240, margin=0
        )
        self.key = words(f"<div>{KEY}</div>", KEY_LOOK)
        self.stage = pn.Column(self.pane, sizing_mode="stretch_both", min_height=240, margin=0)
        self.note = words(extra=LIST)
        bench.param.watch(self._update, ["revision", "campaign"])
        self._tell(TargetList(), {})

    def _update(self, *events: Any) -> None:
        if {event.name for event in events} == {"campaign"} and not _other_question(events[0]):
            return
        spec = self.bench.campaign.spec if self.bench.campaign else None
        targets, candidates = targets_of(spec, self.bench.targets), self.bench.in_order()
        # A new figure, because HoloViews keeps the axes of the first one when only data change.
        self.pane.object = retrieval_figure(curve_of(candidates, targets.names))
        self._tell(targets, finders(candidates, targets.names))

    def _tell(self, targets: TargetList, found: Mapping[str, Candidate]) -> None:
        self.stage.visible = self.key.visible = bool(targets.names)
        if self.bench.campaign is None:
            self.note.object = ""
        else:
            self.note.object = target_list_html(targets, found) if targets.names else EMPTY

    def __panel__(self) -> pn.Column:
        return card(heading("Targets found"), self.key, self.stage, self.note, name="retrieval")


def target_list_html(targets: TargetList, found: Mapping[str, Candidate]) -> str:
    """Return how many targets were found, and a line for each, the found ones first."""
    head = f"<p class='muted'>{len(found)} of {len(targets.names)} {escape(targets.words)}</p>"
    ordered = sorted(targets.structures, key=lambda target: target.name not in found)
    lines = "".join(_line(*target, found.get(target.name)) for target in ordered[:SHOWN])
    more = len(ordered) - SHOWN
    rest = f"<li><i></i><span>and {more} more</span></li>" if more > 0 else ""
    return f"{head}<ul>{lines}{rest}</ul>"


def _line(name: str, structure: Any, finder: Candidate | None) -> str:
    formula = formula_label(escape(structure.composition.reduced_formula))
    told = f"crystal {finder.index + 1}" if finder else "not yet"
    return (
        f"<li class='{'found' if finder else ''}'><i>{'✓' if finder else '○'}</i>"
        f"<span title='{escape(name)}'>{formula} · {escape(name)}</span><em>{told}</em></li>"
    )


def _other_question(event: Any) -> bool:
    """Whether a campaign event brought another question, not only new counts."""
    old, new = event.old, event.new
    return old is None or new is None or old.spec != new.spec
