"""What an export says about itself: its files, its numbers, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from explorer.audit import COUNTED, HEADS
from explorer.export_formats import Chosen
from explorer.relaxed import EMAX, FMAX, SMAX
from explorer.twins import SAME_ENERGY

HEAD = """# Crystals from Hullscape

{count} candidates of campaign {campaign}. `provenance.json` says what was asked, and which model,
potential and reference phases answered.

## Files

| file | what it holds |
| --- | --- |
{rows}
"""
NUMBERS = """
## What the numbers mean

- **energy_per_atom** (eV/atom): potential energy after relaxation, by the potential named in
  `level` (name, hash of its weights, correction scheme). Energies of two levels cannot be compared.
- **energy_above_hull** (eV/atom): above the convex hull of known phases ({hull}). Below zero it
  would be a new stable phase *of that potential*: check it with DFT before you claim it. A
  competing phase that is missing from the reference set makes candidates look too stable.
- **expected_by_dft** (eV/atom): where DFT is expected to place a novel candidate, as likely above
  as below, learned from novel crystals that the potential and DFT have both placed;
  **expected_stable_by_dft**: the share of those like it that DFT finds on its hull or below. Empty
  for known crystals and where nothing was learned.
- **formation_energy** (eV/atom): against the elements of the same hull.
- **decomposition**: the phases that a candidate competes with, in fractions of atoms; nobody has
  published those marked "(predicted)". **reaction**: the same in formula units; it releases
  energy_above_hull or, where that is below zero, costs as much.
- **destabilises**: known stable phases that this candidate alone would push off the hull, each with
  the eV/atom by which it would then lie above.
- **log_likelihood**: natural logarithm of the probability that the model gives to space group,
  sites, lattice and coordinates, given the elements. Empty for other generators.
- **spacegroup_asked**, **_generated**, **_relaxed**: what the model was to draw; what spglib finds
  (0.1 Å) before relaxation; and after it. `spacegroup_symprec_*` belong to the structure written.
- **sample**: what the file of another generator calls the crystal; empty where it was drawn here.
- **novel**: no known phase matches, as drawn or, where it is relaxed, relaxed (pymatgen's
  StructureMatcher, ltol 0.2, stol 0.3, angle_tol 5). **matched** names the known phase that it
  equals or, of a duplicate, the earlier candidate that it equals as drawn. Known are the reference
  phases of the campaign, a part of what is published: ask a database before you claim a crystal.
  **composition_known**: one of them has its composition, so that it is new in its form alone.
- **same_once_relaxed**: the earlier candidate of the table that it equals once both are relaxed,
  with energies within {same:g} eV/atom: these are one find, though each may be novel.
- **state**: relaxed, known, duplicate, rejected, failed, skipped (its energy before the relaxation
  is above the limit of the campaign) or waiting; **reason** says why a crystal went no further.
  Structures are relaxed where a relaxation was tried, otherwise as drawn.
- **converged**: the largest force, the largest stress and the last change of the energy are below
  their limits, in this version {fmax:g} eV/Å unless asked otherwise, {smax:g} eV/Å³ and
  {emax:g} eV/atom.
- **lowered_by_rattling**: a relaxed crystal was displaced at random and relaxed again; so many
  eV/atom lower is the form that it left for, which is the one of this table. 0 where it came back;
  empty where it was not rattled, or did not come to rest again.
"""
HELD = """- **asked_held_as_drawn**, **asked_held_relaxed**: whether the crystal holds all space
  groups and sites that were asked for; empty where there is none that can be described.
"""
AUDIT = """
## What was asked for, and how many of these candidates hold it

{words}

| {heads} |
| --- | --- | --- |
{rows}
"""
LEFT_OUT = """
## Left out

{rows}
"""


def readme(chosen: Chosen, files: Mapping[str, str], more: Iterable[str]) -> str:
    """Write the README of an export.

    Parameters
    ----------
    chosen
        What was written, with what had to be left out.
    files
        Pattern of file names to what they hold.
    more
        Names of further files.
    """
    told = {**files, **dict.fromkeys(more, "The campaign at a glance; opens in any browser.")}
    told["provenance.json"] = "What was asked, by which instruments it was answered, and which ids."
    text = HEAD.format(
        count=len(chosen.candidates),
        campaign=chosen.provenance.get("campaign", "(unnamed)"),
        rows="\n".join(f"| `{name}` | {words} |" for name, words in told.items()),
    )
    hull = chosen.provenance.get("hull", "see provenance.json")
    text += NUMBERS.format(hull=hull, fmax=FMAX, smax=SMAX, emax=EMAX, same=SAME_ENERGY)
    if chosen.audit:
        rows = "\n".join(f"| {' | '.join(line.cells)} |" for line in chosen.audit.lines)
        text += HELD + AUDIT.format(words=COUNTED, heads=" | ".join(HEADS), rows=rows)
    if chosen.left_out:
        rows = "\n".join(f"- {name}: {reason}" for name, reason in chosen.left_out.items())
        text += LEFT_OUT.format(rows=rows)
    return text
