"""What stands below the crystal as text: its sites, bonds and nearest known phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pymatgen.core import Structure

from explorer.audit import HEADS, asked_words, verdict
from explorer.candidate import Candidate
from explorer.crystals import gate
from explorer.encode import EncodingError, encode
from explorer.figures.crystal import CrystalScene
from explorer.figures.geometry import bond_words, neighbours_by, site_bonds
from explorer.figures.overlay import laid_over, overlay_scene
from explorer.figures.sites import cell_words, site_rows
from explorer.figures.words import (
    NOT_KNOWN,
    counted,
    escape,
    formula_label,
    spacegroup_label,
    unbroken,
)
from explorer.isolation import IsolationError
from explorer.likeness import MOST, Likeness, likenesses
from explorer.novelty import Matcher
from explorer.phases import Phase
from explorer.structure_files import NamedStructure
from model.constraints import Constraints
from model.crystal import WyckoffCrystal

FACTS, SITES, BONDS, RELAXATION, MATCH, PATTERN, NOTES = (
    "Facts",
    "Sites",
    "Bonds",
    "Relaxation",
    "Match",
    "Powder",
    "Notes",
)
TABS = [FACTS, SITES, BONDS, RELAXATION, MATCH, PATTERN, NOTES]
LONG_ID = 16
"""Letters above which the name of a phase may be broken over lines."""
VERDICTS = {True: "✓ held", False: "✗ not held"}
SITES_LOOK = """
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  margin-top: 6px; font-size: 12.5px; }
th { text-align: left; font-weight: 600; color: var(--muted); padding: 2px 8px 2px 0; }
td { padding: 2px 8px 2px 0; vertical-align: top; border-top: 1px solid
  color-mix(in srgb, var(--panel-on-surface-color) 9%, transparent); }
p.muted, p.same { margin-top: 8px; }
td.same { color: light-dark(#00785a, #2fd6a3); font-weight: 600; }
"""


def table_html(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are text and get escaped."""
    names = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def sites_html(crystal: WyckoffCrystal | None, structure: Structure) -> str:
    """Return the table of occupied positions, or why there is none.

    Parameters
    ----------
    crystal
        The description as it was drawn; without one, `structure` is described anew.
    """
    if crystal is not None:
        return _sites(crystal)
    reason = gate(structure)
    if reason:
        return f"<p class='problem'>No description: {escape(reason)}</p>"
    try:
        return _sites(encode(structure, hand=True))
    except EncodingError as error:
        return f"<p class='problem'>No description: {escape(error)}</p>"


def _sites(crystal: WyckoffCrystal) -> str:
    head = ("Element", "Position", "Site symmetry", "x", "y", "z")
    rows = [(*row[:3], *row.coordinates) for row in site_rows(crystal)]
    return f"<p class='muted'>{escape(cell_words(crystal))}</p>{table_html(head, rows)}"


def audit_html(candidate: Candidate, asked: Constraints) -> str:
    """Return what the crystal holds of the space groups and sites asked for, before and after.

    Coordinates count as drawn only: relaxing moves atoms along them.
    """
    names = asked_words(asked)
    if not names:
        return ""
    verdicts = [
        [VERDICTS[held] for held in stage] if stage else [NOT_KNOWN] * len(names)
        for stage in verdict(candidate, asked)
    ]
    rows = list(zip(names, *verdicts, strict=True))
    told = "<p class='muted'>Asked for, and whether it is held; coordinates only as drawn.</p>"
    return told + table_html(HEADS, rows)


def pattern_html(crystal: WyckoffCrystal | None, pattern: str) -> str:
    """Say which cell the indices of a powder pattern belong to, or that there is no pattern."""
    if not pattern:
        return "<p class='muted'>This structure has no powder pattern.</p>"
    cell = f"the cell under Sites, {cell_words(crystal)}" if crystal else "the cell as it was given"
    return f"<p class='muted'>Indices belong to {escape(cell)}.</p>"


def bonds_html(structure: Structure) -> str:
    """Return the neighbours of each distinct site, or why they cannot be told."""
    reason = gate(structure)
    if reason:
        return f"<p class='problem'>No bonds: {escape(reason)}</p>"
    try:
        found = site_bonds(structure)
    except (ValueError, RuntimeError) as error:  # Voronoi cells that do not close
        return f"<p class='problem'>No bonds could be found: {escape(error)}</p>"
    rows = [
        (f"{site.element} ×{site.count}", str(site.coordination), bond_words(site.lengths))
        for site in found
    ]
    told = (
        f"<p class='muted'>Neighbours by {neighbours_by(len(structure))}, which may count an atom "
        "that does not count this one; distinct sites of the primitive cell.</p>"
    )
    return told + table_html(("Site", "Coordination", "Bonds"), rows)


def matches_of(
    structure: Structure, phases: Mapping[str, Phase], matcher: Matcher
) -> tuple[list[Likeness], str]:
    """Compare a structure with the known phases of its composition; or say why not."""
    reason = gate(structure)
    if reason:
        return [], f"No comparison: {reason}."
    formula = structure.composition.reduced_formula
    named = [NamedStructure(p.id, p.structure) for p in phases.values() if p.formula == formula]
    if not named:
        return [], f"No known phase of {formula_label(formula)} has its structure here."
    try:
        return likenesses(structure, named, matcher), ""
    except IsolationError as error:
        return [], f"The comparison {error}."


def overlaid(structure: Structure, phase: Phase, colour: str) -> CrystalScene | str:
    """Lay a known phase over a crystal; or say why that cannot be done."""
    try:
        frames = laid_over(structure, phase.structure)
    except IsolationError as error:
        return f"Laying {phase.id} over it {error}."
    if frames is None:
        return f"{phase.id} is too unlike this crystal to be laid over it."
    return overlay_scene(frames, phase.id, colour)


def matches_html(found: Sequence[Likeness], phases: Mapping[str, Phase], problem: str) -> str:
    """Return the table of nearest known phases, the most alike first."""
    if problem:
        return f"<p class='muted'>{escape(problem)}</p>"
    rows = "".join(_match_row(each, phases[each.name]) for each in found)
    heads = ("Phase", "Space group", "Same crystal", "rms, Å", "largest, Å", "DFT, eV/atom")
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    return (
        "<p class='muted'>Known phases of this composition, the most alike first. Distances "
        "between matched atoms, both cells at one volume; DFT: published energy above the hull.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def same_html(candidate: Candidate, others: Sequence[Candidate], matcher: Matcher) -> str:
    """Tell which other candidates a relaxed one equals once relaxed: as drawn they differed.

    Parameters
    ----------
    candidate, others
        Of one formula, with their structures; the nearest in energy first.
    matcher
        When two crystals are the same.
    """
    named = [NamedStructure(each.id, each.relaxed) for each in others if not gate(each.relaxed)]
    if not named or gate(candidate.relaxed):
        return ""
    try:
        found = [each for each in likenesses(candidate.relaxed, named, matcher) if each.same]
    except IsolationError as error:
        return f"<p class='muted'>The comparison with other candidates {escape(error)}.</p>"
    names = ", ".join(f"{each.name} (rms {each.rms:.3f} Å)" for each in found)
    compared = counted(min(len(named), MOST), "other candidate")
    if not names:
        return f"<p class='muted'>Once relaxed it equals none of {compared} of like energy.</p>"
    return f"<p class='same'>Once relaxed the same crystal as {names}: one find.</p>"


def _match_row(likeness: Likeness, phase: Phase) -> str:
    def number(value: float | None) -> str:
        return NOT_KNOWN if value is None else f"{value:.3f}"

    cells = (
        unbroken(phase.id) if len(phase.id) < LONG_ID else phase.id,
        spacegroup_label(phase.spacegroup),
        "yes" if likeness.same else "no",
        number(likeness.rms),
        number(likeness.largest),
        number(phase.e_above_hull_dft),
    )
    kinds = ("", "", " class='same'" if likeness.same else "", "", "", "")
    line = "".join(
        f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, cells, strict=True)
    )
    return f"<tr>{line}</tr>"
