"""The sidebar: what to search for, checked while it is typed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import CampaignSpec
from explorer.figures.asked import LABELS, options
from explorer.figures.words import counted, escape
from explorer.ui.draft import Draft, count_in_words, examine
from explorer.ui.elements import fields_of_states, model_elements, states_of
from explorer.ui.periodic_table import PeriodicTable
from explorer.ui.samples_view import SamplesView
from explorer.ui.sites_view import SitesView
from explorer.ui.spacegroup_picker import SpaceGroupPicker
from explorer.ui.start_view import StartView
from explorer.ui.targets_view import TargetsView
from explorer.ui.theme import LINE, STEPPERS, words

FOOT = f"""
:host {{ position: sticky; bottom: 0; z-index: 5; background: var(--panel-surface-color);
  border-top: 1px solid {LINE}; padding: 10px 16px 12px; box-sizing: border-box; }}
@media (max-height: 480px) {{ :host {{ position: static; }} }}  /* zoomed in: room to read */
"""
ELEMENT_FIELDS = ("elements", "required", "excluded", "subset")
"""Fields that the periodic table shows."""
BOXES = ("templates", "prototypes", "variants", "keep_symmetry")
SWITCHES = ("generator", "search", *BOXES)
"""What decides which other fields have a meaning."""
COUNTS = ("max_atoms", "n", "seed", "best_of")
STEPS = {
    "temperature": 0.1,
    "geometry_temperature": 0.1,
    "again": 0.5,
    "unknown": 0.5,
    "give_up": 0.5,
    "relax_below": 0.1,
    "rattle": 0.02,
}
"""Fields that are numbers, and by how much the keys change them."""
TWICE = 1.0
"""Seconds after a run has begun in which the same again is meant by nobody: a double click."""


class ConstraintsView(Viewer):
    """The form of a campaign.

    Parameters
    ----------
    draft : Draft
    potentials : list of str
        Names to choose from.
    blocked_by : callable
        Potential name to {symbol: reason}: the elements that cannot be chosen with it.
    run : callable
        Coroutine function that starts the campaign of `draft.spec`.
    """

    def __init__(
        self,
        draft: Draft,
        potentials: list[str],
        blocked_by: Callable[[str], Mapping[str, str]],
        run: Callable[[], Any],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.draft, self._blocked_by, self._run = draft, blocked_by, run
        self.start = StartView(draft)
        self.table = PeriodicTable(sizing_mode="stretch_width", margin=(2, 0, 4, 0))
        self.element_note = words()
        self.groups = SpaceGroupPicker(sizing_mode="stretch_width", margin=(2, 0))
        self.group_note = words()
        self.sites = SitesView(draft)
        self.targets = TargetsView(draft)
        samples = SamplesView(draft)
        self.samples = pn.Column(samples, sizing_mode="stretch_width", margin=(0, 0, 6, 0))
        draft.param.watch(self._offer, "potential")  # before the field is told of it
        self.inputs = self._inputs(potentials)
        self.drawing = pn.Column(
            self._pair("search", "best_of"),
            self._pair("again", "unknown"),
            self._pair("templates", "prototypes"),
            self.inputs["variants"],
            self._pair("temperature", "geometry_temperature"),
            sizing_mode="stretch_width",
            margin=0,
        )
        self.run_button = pmui.Button(
            label="Run search", color="primary", variant="contained", icon="play_arrow",
            sizing_mode="stretch_width", margin=(0, 0, 4, 0), disabled=True,
        )  # fmt: skip
        self.reason = words(min_height=18)
        self._starting = False
        self._ran: CampaignSpec | None = None
        self._ran_at = -math.inf
        self._wire()

    def _inputs(self, potentials: list[str]) -> dict[str, pn.widgets.WidgetBase]:
        look = {"sizing_mode": "stretch_width", "margin": (5, 0), "size": "small"}

        def made(kind: type, name: str, **options: Any) -> pn.widgets.WidgetBase:
            return kind.from_param(self.draft.param[name], label=LABELS[name], **look, **options)

        widgets = {
            "formula": made(pmui.TextInput, "formula", placeholder="any, CaAl2 or CaAl1-4Cu1-3"),
            "stability": made(pmui.Select, "stability", options=options("stability")),
            "generator": made(pmui.Select, "generator", options=options("generator")),
            "hull": made(pmui.Select, "hull", options=options("hull")),
            "search": made(pmui.Select, "search", options=options("search")),
            "potential": made(pmui.Select, "potential", options=potentials),
        }
        widgets |= {name: made(pmui.IntInput, name, sx=STEPPERS) for name in COUNTS}
        for name, step in STEPS.items():
            widgets[name] = made(pmui.FloatInput, name, step=step, sx=STEPPERS)
        widgets |= {name: made(pmui.Checkbox, name) for name in BOXES}
        return widgets | {"sites": self.sites.text}

    def _wire(self) -> None:
        draft = self.draft
        self._show_elements()
        self.table.param.watch(self._take_elements, ["states", "others"])
        draft.param.watch(self._show_elements, list(ELEMENT_FIELDS))
        self.groups.value = list(draft.spacegroups)
        self.groups.param.watch(lambda event: draft.param.update(spacegroups=event.new), "value")
        draft.param.watch(lambda event: self.groups.param.update(value=event.new), "spacegroups")
        draft.param.watch(self._check, [*draft.FIELDS, "upload", "samples"])
        draft.param.watch(self._tell, ["spec", "problem", "problem_field", "skeletons", *SWITCHES])
        self.run_button.on_click(self._start)
        self.table.blocked = dict(self._blocked_by(draft.potential))
        draft.check(self.table.blocked)
        self._tell()

    def _offer(self, event: Any) -> None:
        """Let the field show a potential that a link, a file or a campaign names.

        It would take the first of its own instead, and the search run with that, unseen.
        """
        field = self.inputs["potential"]
        if event.new not in field.options:
            field.options = [*field.options, event.new]

    def _take_elements(self, *_: Any) -> None:
        """Write what the periodic table says into the fields."""
        self.draft.param.update(**fields_of_states(self.table.states, self.table.others))

    def _show_elements(self, *_: Any) -> None:
        """Show the fields in the periodic table, unless it says the same already."""
        now = self.draft.fields()
        asked = fields_of_states(self.table.states, self.table.others)
        if any(asked[name] != now[name] for name in asked):
            states, others = states_of(now)
            self.table.param.update(states=states, others=others)

    async def _check(self, *_: Any) -> None:
        """Examine the fields beside the event loop; an answer that came too late is dropped."""
        given = self.draft.upload, self.draft.samples
        fields = self.draft.fields()
        # A potential that a link names may take seconds to look for.
        blocked = dict(await asyncio.to_thread(self._blocked_by, self.draft.potential))
        if self.draft.potential == fields["potential"]:
            self.table.blocked = blocked
        outcome = await asyncio.to_thread(examine, fields, blocked, *given)
        if fields != self.draft.fields() or given != (self.draft.upload, self.draft.samples):
            return
        self.draft.conclude(outcome)
        if isinstance(outcome, CampaignSpec) and outcome.generator == "file":
            self.draft.skeletons = ""  # nothing is drawn from them
        elif isinstance(outcome, CampaignSpec):
            count = await asyncio.to_thread(count_in_words, outcome, model_elements())
            if fields == self.draft.fields():
                self.draft.skeletons = count

    def _tell(self, *_: Any) -> None:
        """Show the problem at its field, and why Run cannot be pressed."""
        draft = self.draft
        for name, widget in self.inputs.items():
            if hasattr(widget, "error_state"):
                wrong = draft.problem_field == name
                widget.error_state = wrong
                widget.helper_text = draft.problem if wrong else ""
        drawn = draft.generator == "transformer"
        for name in ("search", "temperature", "geometry_temperature"):
            self.inputs[name].disabled = not drawn
        judged = draft.generator == "file"
        self.inputs["stability"].disabled = judged
        self.samples.visible = judged
        self.drawing.visible = self.inputs["seed"].visible = not judged
        searched = drawn and draft.search != "independent"
        for name in ("again", "templates"):
            self.inputs[name].disabled = not searched
        self.inputs["best_of"].disabled = not drawn or searched
        self.inputs["prototypes"].disabled = not drawn or draft.search != "likeliest"
        known = draft.templates or (draft.prototypes and draft.search == "likeliest")
        self.inputs["variants"].disabled = not searched or not known
        self.inputs["rattle"].disabled = draft.keep_symmetry
        self.inputs["unknown"].disabled = not searched or not draft.templates
        chosen = draft.elements or draft.required or draft.excluded
        at_elements = bool(chosen) and draft.problem_field in ELEMENT_FIELDS
        note = f"<p class='problem'>{escape(draft.problem)}</p>" if at_elements else ""
        self.element_note.object = note
        at_groups = draft.problem if draft.problem_field == "spacegroups" else ""
        self.groups.problem = at_groups
        self.group_note.object = f"<p class='problem'>{escape(at_groups)}</p>" if at_groups else ""
        awaited = draft.problem_field == "samples" and not draft.samples.name
        begun = not awaited and (chosen or judged)
        self.run_button.disabled = draft.spec is None
        wrong = draft.problem_words[:1].upper() + draft.problem_words[1:]
        self.reason.object = (
            f"<p class='{'problem' if begun else 'muted'}'>{escape(wrong)}</p>"
            if draft.problem
            else f"<p class='muted' role='status'>{escape(_summary(draft))}</p>"
        )

    async def _start(self, *_: Any) -> None:
        """Run what the form asks for; once for a double click."""
        if self._starting:
            return
        self._starting = True
        try:
            await self._check()
            spec = self.draft.spec
            again = spec == self._ran and time.monotonic() - self._ran_at < TWICE
            if spec is not None and not again:
                await self._run()
                self._ran, self._ran_at = spec, time.monotonic()
        finally:
            self._starting = False

    def _pair(self, left: str, right: str) -> pn.Row:
        both = self.inputs[left], pn.Spacer(width=10), self.inputs[right]
        return pn.Row(*both, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> pn.Column:
        box, pair = self.inputs, self._pair
        form = pn.Column(
            self.start,
            words("<h3>Elements</h3>", margin=(0, 0, 6, 0)),
            self.table,
            self.element_note,
            words("<h3>Composition</h3>", margin=(10, 0, 2, 0)),
            box["formula"],
            pair("max_atoms", "stability"),
            words("<h3>Space groups</h3>", margin=(10, 0, 2, 0)),
            self.groups,
            self.group_note,
            words("<h3>Wyckoff sites</h3>", margin=(10, 0, 2, 0)),
            self.sites,
            words("<h3>Search</h3>", margin=(10, 0, 6, 0)),
            pair("n", "generator"),
            self.samples,
            self.drawing,
            pair("potential", "hull"),
            pair("relax_below", "give_up"),
            pair("rattle", "seed"),
            box["keep_symmetry"],
            self.targets,
            margin=(12, 16, 16, 16),
            sizing_mode="stretch_width",
        )
        foot = pn.Column(
            self.run_button, self.reason, stylesheets=[FOOT], margin=0, sizing_mode="stretch_width"
        )
        return pn.Column(form, foot, sizing_mode="stretch_width", margin=0)


def _summary(draft: Draft) -> str:
    composition = draft.spec.chemical_system or draft.spec.composition if draft.spec else ""
    asked = f"{counted(draft.n, 'crystal')} of {composition or 'any elements'}"
    asked += f" in {draft.samples.name}" if draft.generator == "file" else ""
    asked += f", relaxed with {draft.potential}"
    return f"{asked}; {draft.skeletons}" if draft.skeletons else asked
