"""The selected structure in 3-D, before or after relaxation, and what is known about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer
from pymatgen.core import Structure

from explorer.audit import described
from explorer.candidate import Candidate, State
from explorer.crystals import gate
from explorer.figures.crystal import CrystalScene, crystal_scene
from explorer.figures.geometry import density_words, oxidation_words
from explorer.figures.known import known_of
from explorer.figures.style import palette
from explorer.figures.words import (
    NOT_KNOWN,
    counted,
    destabilised_label,
    energy_label,
    escape,
    formula_label,
    geometry_words,
    likelihood_label,
    odds_label,
    rattled_words,
    reaction_label,
    record_label,
    spacegroup_label,
    unbroken,
)
from explorer.likeness import MOST
from explorer.phases import Phase
from explorer.store import StoreError
from explorer.track_record import DRAWN, track_record
from explorer.twins import SAME_ENERGY, may_be_one
from explorer.ui.matching_view import MatchingView
from explorer.ui.notes_view import NotesView
from explorer.ui.pattern_view import PatternView
from explorer.ui.relaxation_view import Path, RelaxationView
from explorer.ui.scene import CrystalView
from explorer.ui.table_rows import novelty_words, reason_words
from explorer.ui.theme import TAB_LOOK, card, heading, words
from explorer.ui.viewer_tabs import (
    BONDS,
    FACTS,
    MATCH,
    NOTES,
    PATTERN,
    RELAXATION,
    SITES,
    SITES_LOOK,
    TABS,
    audit_html,
    bonds_html,
    matches_html,
    matches_of,
    overlaid,
    pattern_html,
    same_html,
    sites_html,
)
from explorer.ui.workbench import Workbench, with_structures
from model.crystal import WyckoffCrystal

DETAILS = """
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 14px; margin: 8px 0 0; }
dt { color: var(--muted); }
dt[title] { cursor: help; }
dt[title] span { text-decoration: underline dotted; text-underline-offset: 3px;
  text-decoration-color: color-mix(in srgb, var(--panel-on-surface-color) 40%, transparent); }
dd { margin: 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 12px; justify-content: center; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 50%;
  margin-right: 5px; vertical-align: -1px;
  border: 1px solid color-mix(in srgb, var(--panel-on-surface-color) 35%, transparent); }
"""
NOTHING_SELECTED = "Click a point of the hull or a row of the table to see the crystal."
ONLY_CANDIDATES = {
    NOTES: "Notes belong to candidates.",
    RELAXATION: "Known phases were relaxed beforehand; their steps are not kept.",
}
FACT_HELP = {
    "Space group": "As the model was asked for it, then as spglib finds it (symprec 0.1 Å) before "
    "and after relaxation",
    "Above the hull": "Energy above the convex hull of the known phases, by the potential; "
    "negative is below it",
    "By experience": "What DFT said of other novel crystals that the potential placed like this",
    "Formation energy": "Against the elements of the same hull",
    "Competes with": "Known phases of lowest energy for this composition, in fractions of atoms",
    "Reaction": "The same in formula units: what it decays to or, below the hull, forms from",
    "Destabilises": "Known stable phases that it alone would push off the hull, and how far",
    "Novelty": "The known phase or earlier candidate that it equals (StructureMatcher); new where "
    "it is none of those that came with the program or with you, a part of what is published: ask "
    "a database before you claim it. A new form is of a composition that is known",
    "Rattled": "Relaxed, its atoms were displaced at random and it was relaxed again: what rests "
    "on a saddle leaves it",
    "Drawn geometry": "The known crystal whose geometry it was drawn with",
    "Foreseen": "How likely it lies near the hull, as two networks and trees judged before any "
    "relaxation",
    "log p": "Natural logarithm of the crystal's probability under the model, and of its parts",
    "Density": "Of the structure shown",
    "Oxidation": "Oxidation states that balance, guessed from the formula alone",
    "Geometry": "Where the structure and its energy come from",
}
"""What a fact means, under the mouse; the README tells more."""
NARROW_TABS = {
    "flexWrap": "wrap",  # where a card is narrower than seven of them
    "& .MuiButtonBase-root": TAB_LOOK["& .MuiButtonBase-root"]
    | {"padding": "2px 6px", "width": "auto"},
    "@media (max-width: 1400px), (min-width: 1600px) and (max-width: 1760px)": {
        "& .MuiButtonBase-root": {"padding": "2px 3px"}
    },
    "@media (max-width: 380px)": {"& .MuiButtonBase-root": {"padding": "2px 3px", "fontSize": 11}},
}
SCENE_HEIGHT = 340
"""Of a crystal, pixels."""
TOLD_HEIGHT = 430
"""Of what stands below the tabs, at least, pixels: as the facts need. The cards beside are as high,
so that the hull would change its size, and the table its place, at each change of the tab."""
WHOLE_CARD = {"sizing_mode": "stretch_both", "height": None}
"""The words before anything is chosen stand in its middle."""
STAGES = {"As drawn": "initial", "Relaxed": "relaxed"}


class Shown(NamedTuple):
    """What the card holds for one selection, stage, tab and frame."""

    drawn: CrystalScene | None = None
    details: str = ""
    note: str = ""
    pattern: str = ""
    nearest: str = ""
    path: Path | None = None


class ViewerView(Viewer):
    """Crystal Toolkit's scene with the facts of the selected candidate or known phase."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.scene = CrystalView(
            placeholder=NOTHING_SELECTED,
            dark=bench.dark,
            min_height=300,
            margin=0,
            **WHOLE_CARD,
        )
        self.stage = pmui.RadioButtonGroup.from_param(
            bench.param.stage, label="", options=STAGES, size="small", margin=0, align="center",
            sx=TAB_LOOK,
        )  # fmt: skip
        self.legend = words(extra=DETAILS)
        self.tab = pmui.RadioButtonGroup(
            label="", options=TABS, value=FACTS, size="small", margin=(8, 0, 0, 0),
            visible=False, sx=NARROW_TABS,
        )  # fmt: skip
        self.details = words(extra=DETAILS + SITES_LOOK)
        self.pattern = PatternView()
        self.notes = NotesView(bench)
        self.matching = MatchingView(bench)
        self._shown: tuple[Any, ...] = ()
        self.relaxation = RelaxationView(bench)
        self.told = pn.Column(
            self.details, self.pattern, self.relaxation, self.matching, self.notes,
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._drawing = asyncio.Lock()
        self.matching.param.watch(self._show, ["matcher", "overlay"])
        self.relaxation.param.watch(self._show, "frame")
        self.pattern.param.watch(self._show, ["wavelength", "measured"])
        bench.param.watch(self._show, ["selected", "stage", "revision", "campaign_id", "dark"])
        self.tab.param.watch(self._show, "value")
        bench.param.watch(lambda event: self.scene.param.update(dark=event.new), "dark")

    async def _show(self, *_: Any) -> None:
        """Read and draw beside the event loop; what was overtaken by another click is dropped."""
        candidate = self.bench.selected_candidate
        bench = self.bench
        tab, dark = self.tab.value, bench.dark
        matching = (self.matching.matcher, self.matching.overlay) if tab == MATCH else ()
        frame = self.relaxation.frame if tab == RELAXATION else None
        what = (bench.selected, bench.stage, candidate and candidate.state)
        pattern = (self.pattern.wavelength, self.pattern.measured) if tab == PATTERN else ()
        wanted = (*what, tab, dark, matching, frame, pattern)
        if wanted == self._shown:
            return
        self._shown = wanted
        if tab == MATCH and bench.selected:
            self.details.object = "<p class='muted' role='status'>comparing …</p>"
        async with self._drawing:  # so that frames which are scrubbed past are not all drawn
            if wanted != self._shown:
                return
            shown = await asyncio.to_thread(self._prepare, tab)
            if wanted == self._shown:
                self._present(shown, tab)

    def _prepare(self, tab: str) -> Shown:
        bench = self.bench
        kind, _, name = bench.selected.partition(":")
        phases = known_of(bench.campaign.spec if bench.campaign else None).phases
        if kind == "phase":
            phase = phases.get(name)
            if phase is not None:
                return self._told(tab, None, phase.structure, phase_details(phase), phases)
            return Shown(
                note=f"{name} is known by its DFT formation energy; its structure is not here."
            )
        if kind != "candidate":
            return Shown(note=NOTHING_SELECTED)
        try:
            candidate = bench.store.candidate(bench.campaign_id, name)
        except StoreError as error:
            return Shown(note=str(error))
        path = self.relaxation.read(candidate) if tab == RELAXATION else ""
        if isinstance(path, Path):
            return Shown(path.scene, path=path)
        structure, note = staged(candidate, bench.stage)
        if structure is None:
            return Shown(details=candidate_details(candidate), note=note)
        drawn_as_is = candidate.crystal if structure is candidate.initial else None
        facts = f"<p class='muted'>{escape(path)}</p>" if path else ""
        hull = bench.campaign.spec.hull if bench.campaign else ""
        facts = facts or candidate_details(candidate, structure, hull)
        told = self._told(tab, drawn_as_is, structure, facts, phases)
        if tab == SITES and bench.campaign:
            told = told._replace(
                details=told.details + audit_html(candidate, bench.campaign.spec.asked())
            )
        if tab == MATCH and structure is candidate.relaxed:
            same = same_html(candidate, self._others(candidate), self.matching.matcher)
            told = told._replace(details=told.details + same)
        return told

    def _others(self, candidate: Candidate) -> list[Candidate]:
        """Read the other candidates that may be the same crystal once relaxed."""

        def apart(other: Candidate) -> float:
            return abs(other.energy_per_atom - candidate.energy_per_atom)

        near = [
            other
            for other in self.bench.candidates.values()
            if other.state == State.RELAXED
            and (other.formula, other.id != candidate.id) == (candidate.formula, True)
            and apart(other) <= SAME_ENERGY
        ]
        ids = [other.id for other in sorted(near, key=apart)[:MOST]]
        read = with_structures(self.bench.store, self.bench.campaign_id, ids)
        return [other for other in read if may_be_one(candidate, other)]

    def _told(
        self,
        tab: str,
        crystal: WyckoffCrystal | None,
        structure: Structure,
        facts: str,
        phases: Mapping[str, Phase],
    ) -> Shown:
        """Draw a structure, and what the tab says about it."""
        scene = crystal_scene(structure)
        if tab == SITES:
            return Shown(scene, sites_html(crystal, structure))
        if tab == BONDS:
            return Shown(scene, bonds_html(structure))
        if tab == MATCH:
            return self._matched(scene, structure, phases)
        if tab == PATTERN:
            crystal = crystal or described(structure)
            pattern = self.pattern.draw(structure, self.bench.dark, crystal)
            return Shown(scene, pattern_html(crystal, pattern), pattern=pattern)
        return Shown(scene, "" if tab == NOTES else facts)

    def _matched(
        self, scene: CrystalScene, structure: Structure, phases: Mapping[str, Phase]
    ) -> Shown:
        """Tell which known phases are nearest; lay the first over the crystal when asked to."""
        found, problem = matches_of(structure, phases, self.matching.matcher)
        told = matches_html(found, phases, problem)
        nearest = found[0].name if found else ""
        if nearest and self.matching.overlay:
            colour = palette(self.bench.dark).stable
            over = overlaid(structure, phases[nearest], colour)
            if isinstance(over, CrystalScene):
                scene = over
            else:
                told = f"<p class='muted'>{escape(over)}</p>{told}"
        return Shown(scene, told, nearest=nearest)

    def _present(self, shown: Shown, tab: str) -> None:
        drawn = shown.drawn
        visible = drawn is not None and drawn.scene is not None
        # Of one height, or the tabs below would move from under the mouse with what each one tells.
        room = {"sizing_mode": "stretch_width", "height": SCENE_HEIGHT} if visible else WHOLE_CARD
        with pn.io.hold():
            self.scene.param.update(
                **room,
                scene=drawn.scene if visible else None,
                placeholder=shown.note or (drawn.message if drawn else ""),
                subject=self.bench.selected,
            )
            self.legend.object = legend_html(drawn) if visible else ""
            self.details.object = shown.details
            self.tab.visible = bool(self.bench.selected)
            self.told.min_height = TOLD_HEIGHT if self.bench.selected else 0
            self.pattern.show(shown.pattern)
            is_candidate = self.bench.selected.startswith("candidate:")
            self.stage.disabled = not is_candidate
            self.notes.box.visible = tab == NOTES and is_candidate
            self.relaxation.show(shown.path)
            if tab in ONLY_CANDIDATES and self.bench.selected and not is_candidate:
                self.details.object = f"<p class='muted'>{ONLY_CANDIDATES[tab]}</p>"
            self.matching.show(
                tab == MATCH and bool(shown.nearest), shown.nearest if is_candidate else ""
            )

    def __panel__(self) -> pn.Column:
        return card(
            heading("Crystal", self.stage), self.scene, self.legend, self.tab, self.told,
            name="viewer",
        )  # fmt: skip


def staged(candidate: Candidate, stage: str) -> tuple[Structure | None, str]:
    """Return the structure of a stage, or why there is none."""
    if candidate.initial is None:
        return None, f"No crystal could be built: {candidate.reason or 'it was rejected'}."
    if stage == "relaxed" and candidate.relaxed is not None:
        return candidate.relaxed, ""
    return candidate.initial, ""


def candidate_details(
    candidate: Candidate, structure: Structure | None = None, hull: str = ""
) -> str:
    """Return the facts of a candidate, and of the structure that is shown, as an HTML list.

    ``hull`` is what its campaign asked for: on some it is known what DFT makes of such crystals.
    """
    groups = {
        "asked": candidate.spacegroup_asked,
        "generated": candidate.spacegroup_generated,
        "relaxed": candidate.spacegroup_relaxed,
    }
    relaxation = candidate.state.value
    if candidate.steps is not None:
        relaxation += f", {candidate.steps} steps"
    stage = "" if candidate.relaxed is not None else " (shown as drawn)"
    return _list(
        {
            "Candidate": f"{candidate.id} · {formula_label(candidate.formula) or NOT_KNOWN}",
            "Space group": " → ".join(
                unbroken(f"{when} {spacegroup_label(group)}") for when, group in groups.items()
            ),
            "Above the hull": energy_label(candidate.energy_above_hull),
            "By experience": record_label(
                track_record(candidate, hull), track_record(candidate, hull, DRAWN)
            ),
            "Formation energy": energy_label(candidate.formation_energy)
            if candidate.formation_energy is not None
            else "",
            "Competes with": formula_label(candidate.decomposition or NOT_KNOWN),
            "Reaction": reaction_label(candidate),
            "Destabilises": destabilised_label(candidate),
            "Novelty": novelty_words(candidate) or NOT_KNOWN,
            "State": relaxation + stage,
            "Rattled": rattled_words(candidate.lowered_by_rattling),
            "Reason": reason_words(candidate),
            "Drawn geometry": geometry_words(candidate.template),
            "In its file": candidate.sample,
            "Foreseen": odds_label(candidate.stability),
            "log p": likelihood_label(candidate.log_likelihood, candidate.log_parts),
            **_of_structure(structure),
        }
    )


def phase_details(phase: Phase) -> str:
    """Return the facts of a known phase as an HTML list."""
    return _list(
        {
            "Known phase": f"{phase.id} · {formula_label(phase.formula)}",
            "Space group": spacegroup_label(phase.spacegroup),
            "Above the hull": f"{energy_label(phase.e_above_hull_dft)} (published, DFT)",
            "Source": phase.source,
            "Geometry": f"{phase.geometry}: {phase.remark}" if phase.remark else phase.geometry,
            **_of_structure(phase.structure),
        }
    )


def _of_structure(structure: Structure | None) -> dict[str, str]:
    if structure is None or gate(structure):
        return {}
    formula = structure.composition.reduced_formula
    return {
        "Density": density_words(structure),
        "Oxidation": f"{oxidation_words(formula)} (guess from the formula)"
        if oxidation_words(formula)
        else "",
    }


def _list(facts: dict[str, str]) -> str:
    rows = (f"{_term(name)}<dd>{escape(told)}</dd>" for name, told in facts.items() if told)
    return f"<dl>{''.join(rows)}</dl>"


def _term(name: str) -> str:
    told = FACT_HELP.get(name)
    return f"<dt title='{escape(told)}'><span>{name}</span></dt>" if told else f"<dt>{name}</dt>"


def legend_html(drawn: CrystalScene) -> str:
    """Return the colour of each element and the size of the cell."""
    dots = "".join(
        f"<span><i style='background:{escape(colour)}'></i>{escape(symbol)}</span>"
        for symbol, colour in sorted(drawn.colours.items())
    )
    cell = f"<span class='muted'>{counted(drawn.n_atoms, 'atom')} in the cell</span>"
    return f"<div class='legend'>{dots}{cell}</div>"
