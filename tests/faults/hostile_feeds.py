"""Hand an input to the very functions that the page and the command hand it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from hostile_checks import wrong_files, wrong_message, wrong_page, wrong_structure, wrong_table
from hostile_inputs import Input
from hostile_networks import LEVEL
from hostile_structures import SOUND
from pymatgen.core import Structure

from explorer.baseline_imported import read_samples
from explorer.campaign import CampaignSpec, SpecError
from explorer.candidate import Candidate, State
from explorer.commands import read_foreign
from explorer.crystals import gate, spacegroup_of
from explorer.encode import EncodingError, encode
from explorer.export import files_of
from explorer.export_formats import Chosen
from explorer.hull import Hull
from explorer.marks import Mark
from explorer.phases import ReferenceFileError
from explorer.powder import PatternError, read_pattern
from explorer.references import ReferencePhases
from explorer.schema import StoreError
from explorer.screen import Screen
from explorer.store import Store
from explorer.structure_files import StructureFileError, safe_name
from explorer.targets import within_reach
from explorer.ui.compare_view import compared_candidate, comparison_html
from explorer.ui.constraints_view import ConstraintsView
from explorer.ui.draft import Draft, examine
from explorer.ui.elements import blocked_elements, potential_names
from explorer.ui.login import login_words
from explorer.ui.opened import fields_of_file
from explorer.ui.pattern_view import PatternView
from explorer.ui.saved import read_query, write_query, write_toml
from explorer.ui.sites import focus_of
from explorer.ui.targets_view import read_upload
from explorer.users import User
from model.checkpoint import CheckpointError, load_network, load_state
from model.train import Recipe, RecipeError

REFUSALS = (
    SpecError,
    StructureFileError,
    PatternError,
    StoreError,
    CheckpointError,
    RecipeError,
    ReferenceFileError,
    EncodingError,
)
"""What says in words what is wrong with an input; anything else was not foreseen."""
MOST_LOOKED_AT = 3
"""Structures of a file that are judged, exported and kept for relaxation."""


@dataclass
class Outcome:
    """What became of an input.

    Attributes
    ----------
    entry : str
        Where it was handed in.
    accepted : bool
    wrong : list of str
        Everything that must never be seen.
    structures : list of Structure
        What a relaxation would be given, also when the gate refuses it.
    """

    entry: str
    accepted: bool = False
    wrong: list[str] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)


class Refused(Exception):  # noqa: N818 - no error: the verdict that an input deserves
    """The input was refused in these words."""


@dataclass(frozen=True)
class Bench:
    """What inputs are handed to: a folder of their own and an open store with one candidate."""

    folder: Path
    store: Store
    campaign: str
    candidate: str

    def file(self, given: Input) -> Path:
        """Write an input where a command would find it."""
        path = self.folder / "inputs" / f"{given.number}-{safe_name(given.name)}"
        path = path if given.name[:1] not in "PC" else path.with_name(given.name)
        path.write_bytes(given.content)
        return path

    def unpacked(self, given: Input) -> Path:
        """Write an input that is a folder."""
        folder = self.folder / "inputs" / f"{given.number}-{safe_name(given.name)}"
        folder.mkdir()
        for name, text in json.loads(given.content).items():
            (folder / name).write_bytes(text.encode("latin-1"))
        return folder


def feed(given: Input, bench: Bench) -> Outcome:
    """Hand an input in, at one of the places that take its kind, and judge what comes out."""
    entries = ENTRIES[given.kind]
    entry = entries[given.number % len(entries)]
    outcome = Outcome(entry.__name__)
    try:
        outcome.wrong += entry(given, bench, outcome)
        outcome.accepted = True
    except (Refused, *REFUSALS) as refusal:
        outcome.wrong += wrong_message(str(refusal))
        outcome.wrong += wrong_page(_problem(str(refusal)))
    except Exception as error:  # whatever else is thrown would be a traceback
        outcome.wrong.append(f"a traceback: {type(error).__name__}: {str(error)[:200]}")
    return outcome


@cache
def _form() -> ConstraintsView:
    async def run() -> None:
        """Begin no search."""

    return ConstraintsView(Draft(), potential_names(), blocked_elements, run)


def _problem(message: str) -> str:
    """Return the HTML of the line in which the form says what is wrong with a file."""
    _form().start.tell(message)
    return _form().start.note.object


def open_in_form(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Open a saved search, or a structure to start from."""
    yield from _fill(fields_of_file(given.name, given.content))


def follow_link(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Open the page by a link."""
    yield from _fill(read_query(given.content.decode("utf-8", "replace")))


def type_in_form(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Type into the text fields."""
    asked = json.loads(given.content)
    texts = {name: asked[name] for name in ("formula", "sites", "potential") if name in asked}
    yield from _fill(texts | {"elements": asked["elements"].split("-")})


def ask_by_command(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give the same as options of the command."""
    asked = json.loads(given.content)
    for name in ("spacegroups", "sites"):
        if name in asked:
            asked[name] = [asked[name]]
    spec = CampaignSpec.parse(**asked)
    yield from wrong_message(spec.composition)


def _fill(fields: dict[str, object]) -> Iterator[str]:
    """Put fields into the form and let it judge them."""
    form = _form()
    form.draft.take(fields)
    draft = form.draft
    focus_of(draft.spacegroups, draft.sites)
    write_query(draft, ""), write_toml(draft)
    verdict = examine(draft.fields(), blocked_elements(draft.potential))
    draft.conclude(verdict)
    yield from wrong_page(form.reason.object + form.element_note.object + form.group_note.object)
    if isinstance(verdict, SpecError):
        raise Refused(str(verdict))


def drop_targets(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Drop a file of structures to look for, and ask for their elements."""
    upload = read_upload(given.name, given.content)
    if upload.problem:
        raise Refused(upload.problem)
    outcome.structures += [one.structure for one in upload.structures[:MOST_LOOKED_AT]]
    symbols = sorted({s for one in upload.structures for s in one.structure.symbol_set})
    draft = Draft(elements=symbols[:3], subset=True, upload=upload)
    draft.check()
    if draft.problem:
        raise Refused(draft.problem)
    for one in within_reach(draft.spec, upload.structures)[:MOST_LOOKED_AT]:
        yield from _taken(one.name, one.structure, given.number)


def read_for_command(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give a file to `hullscape relax` or `score`, which take what passes the gate."""
    named = read_foreign(bench.file(given))[:MOST_LOOKED_AT]
    outcome.structures += [one.structure for one in named]
    reasons = [gate(one.structure) for one in named]
    for one, reason in zip(named, reasons, strict=True):
        if not reason:
            yield from _taken(one.name, one.structure, given.number)
            spacegroup_of(one.structure)
            yield from _described(one.structure)
    if all(reasons):
        raise Refused(reasons[0])


def _described(structure: Structure) -> Iterator[str]:
    """Describe a structure as the model reads it; what has no description is told in words."""
    try:
        encode(structure)
    except EncodingError as error:
        yield from wrong_message(str(error))


def read_as_samples(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give another generator's samples to a campaign, which screens them."""
    drawn = read_samples(bench.file(given))[:MOST_LOOKED_AT]
    screen = Screen(ReferencePhases.shipped("Al-Cu"))
    for candidate in map(screen.judge, drawn):
        if candidate.reason:
            yield from wrong_message(candidate.reason)
        if candidate.state in {State.WAITING, State.KNOWN} and candidate.initial is not None:
            outcome.structures.append(candidate.initial)
            yield from wrong_structure(candidate.initial)


def drop_pattern(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Drop a measured pattern on the drop area."""
    pattern = read_pattern(given.name, given.content)
    numbers = np.concatenate([pattern.angles, pattern.intensities, *pattern.thinned(50)])
    if not np.isfinite(numbers).all() or not 0 <= numbers.min() <= numbers.max() <= 180:
        yield "a pattern that cannot be drawn was accepted"
    if given.number % 8 == 0:
        view = PatternView(measured=pattern)
        json.dumps(view.draw(salt(), dark=False), allow_nan=False)


def salt() -> Structure:
    """Return rock salt."""
    return Structure(SOUND[0].matrix, SOUND[0].species, SOUND[0].points)


def write_names(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Name a campaign, tag a candidate, write a note, log in."""
    name, tag, note, person, other = json.loads(given.content)
    yield from wrong_page(login_words(User(person))[0].object)
    safe = safe_name(other)
    yield from wrong_files([safe])
    yield from _taken(other, salt(), given.number)
    bench.store.rename(bench.campaign, name)
    mark = bench.store.mark(bench.campaign, bench.candidate, tags=[tag[:40]], note=note)
    stored = bench.store.candidate(bench.campaign, bench.candidate)
    yield from _shown(stored, mark)


def load_weights(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give a folder of weights with `--checkpoint`."""
    loaded = load_network(bench.unpacked(given))
    if not isinstance(loaded.checkpoint_id, str):
        yield "a network without a name was accepted"


def go_on_training(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Go on with the state of a training run."""
    state = load_state(bench.unpacked(given))
    if state is not None and not isinstance(state, dict):
        yield "a state that is none was accepted"


def read_recipe(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give a recipe to `hullscape train`."""
    recipe = Recipe.read(bench.file(given))
    for name, value in vars(recipe).items():
        if isinstance(value, float) and not np.isfinite(value):
            yield f"a recipe with {name} = {value!r} was accepted"
    yield from wrong_message(f"{recipe.rate(0) + recipe.rate(recipe.steps):g}")


def place_on_references(given: Input, bench: Bench, outcome: Outcome) -> Iterator[str]:
    """Give reference phases with `--references`, and place a crystal on their hull."""
    known = ReferencePhases.from_file(bench.file(given), "Cl-Na")
    hull = Hull(known)
    point = hull.place("NaCl", -1.5, known.level)
    if point.energy_above_hull is None:
        raise Refused(point.reason)
    if not np.isfinite(point.energy_above_hull) or point.energy_above_hull < 0:
        yield f"a false stable crystal: {point.energy_above_hull} eV/atom above the hull"


def _taken(name: str, structure: Structure, number: int) -> Iterator[str]:
    """Judge a structure that was accepted, and now and then what would be shown and exported."""
    yield from wrong_structure(structure)
    if number % 5 == 0:
        candidate = Candidate(
            id=f"{number:06d}", index=number, formula=structure.composition.reduced_formula,
            state=State.FAILED, reason=name, matched=name, initial=structure, level=LEVEL,
        )  # fmt: skip
        yield from _shown(candidate, Mark(True, (name[:40],), name))


def _shown(candidate: Candidate, mark: Mark) -> Iterator[str]:
    """Judge the page's table of a candidate and the files that hold it."""
    yield from wrong_page(comparison_html([compared_candidate(candidate, mark)] * 2))
    chosen = Chosen([candidate], {"asked": mark.note}, {candidate.id: mark})
    files = files_of(chosen, ["cif", "extxyz", "csv", "poscar", "json"], {})
    yield from wrong_files(files)
    yield from wrong_table(files["candidates.csv"])


Entry = Callable[[Input, Bench, Outcome], Iterator[str]]
STRUCTURES: tuple[Entry, ...] = (open_in_form, drop_targets, read_for_command, read_as_samples)
ENTRIES: dict[str, tuple[Entry, ...]] = {
    **dict.fromkeys(("cif", "poscar", "extxyz", "json", "parquet", "zip"), STRUCTURES),
    "tar": (read_for_command, read_as_samples),
    "csv": (read_as_samples,),
    "pattern": (drop_pattern,),
    "query": (follow_link,),
    "toml": (open_in_form,),
    "form": (type_in_form, ask_by_command),
    "names": (write_names,),
    "checkpoint": (load_weights,),
    "state": (go_on_training,),
    "recipe": (read_recipe,),
    "references": (place_on_references,),
}
"""Where each kind of input is handed in, in turns."""
