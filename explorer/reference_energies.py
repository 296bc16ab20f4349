"""Energies of published phases with a potential: as they stand, or relaxed and still themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.crystals import gate, spacegroup_of
from explorer.isolation import Sandbox
from explorer.novelty import Matcher, MatchError
from explorer.phases import FORM, RELAXED, STATIC, Phase, form_id
from explorer.potentials import Potential
from explorer.reference_parts import Form, Outcome
from explorer.relax import Relaxer
from explorer.structure_files import structure_from_row

if TYPE_CHECKING:
    from explorer.cluster import ClusterRelaxer

CHUNK = 64
"""Structures of one call to a potential."""
MAX_VOLUME_DRIFT = 0.25
"""A phase whose volume changes by more than this fraction has run away; the matcher scales."""
SMALL_STRAIN = 0.05
SMALL_MOVE = 0.2
"""Å; with `SMALL_STRAIN` far inside the matcher's tolerances (0.2 of lengths, about 0.7 Å)."""


def static(rows: pa.Table, potential: Potential) -> Iterator[Outcome]:
    """Yield the energy of every row on its published geometry."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows.slice(start, CHUNK).to_pylist()
        named = [(row["id"], structure_from_row(row)) for row in chunk]
        reasons = {name: gate(structure) for name, structure in named}
        sound = [(name, structure) for name, structure in named if not reasons[name]]
        energies = potential.static_energies([structure for _, structure in sound])
        by_name = dict(zip([name for name, _ in sound], energies, strict=True))
        for name, structure in named:
            energy = by_name.get(name, math.nan)
            reason = reasons[name] or ("" if isfinite(energy) else "the potential gives no energy")
            yield _outcome(name, structure, energy, STATIC, reason)


def named_rows(rows: pa.Table) -> Iterator[tuple[str, Structure]]:
    """Yield id and geometry of every row, built when asked for."""
    for start in range(len(rows)):
        (row,) = rows.slice(start, 1).to_pylist()
        yield row["id"], structure_from_row(row)


def relaxed(
    published: Iterable[tuple[str, Structure]],
    relaxer: Relaxer | ClusterRelaxer,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Yield the relaxed energy of every phase, in any order, and the static one where that failed.

    A phase that the potential turns into another crystal keeps its published geometry: the set is
    there to say what that phase is worth. What it was turned into competes under a name of its
    own, or a search that comes upon it would call it a discovery.

    Parameters
    ----------
    published
        Id and geometry of each phase, taken one by one.
    relaxer
        What relaxes.
    should_stop
        As in `explorer.relax.Relaxer.relax`.
    """
    before: dict[str, Structure] = {}

    def handed_over() -> Iterator[tuple[str, Structure]]:
        for name, structure in published:
            before[name] = structure
            yield name, structure

    with Sandbox() as sandbox:
        matcher = Matcher(sandbox=sandbox)
        for name, relaxation in relaxer.relax(handed_over(), should_stop):
            yield settled(name, before.pop(name), relaxation, matcher)


def settled(name: str, before: Structure, relaxation: Relaxation, matcher: Matcher) -> Outcome:
    """Return the relaxed energy of a phase, or the static one and why it has to be that.

    A phase that is still itself at rest, and another crystal only after it was rattled, has the
    energy of its rest. The static energy is that of the first step; what was never evaluated has
    none.
    """
    after = relaxation.structure
    remark = another_crystal(before, after, matcher) if after else relaxation.reason
    if not remark:
        return _outcome(name, after, relaxation.energy_per_atom, RELAXED, relaxation.reason)
    rest = relaxation.rest
    if rest is not None and not another_crystal(before, rest.structure, matcher):
        said = f"rattled, it {remark}, {-relaxation.lowered:+.3f} eV/atom"
        kept = _outcome(name, rest.structure, rest.energy_per_atom, RELAXED, said)
        return replace(kept, form=_form(relaxation))
    energy = relaxation.trace.energies[0] if relaxation.trace else math.nan
    kept = _outcome(name, before, float(energy), STATIC, remark)
    if after is None:
        return kept
    lower = f"{remark}, {relaxation.energy_per_atom - energy:+.3f} eV/atom from static"
    return replace(kept, remark=lower, form=_form(relaxation))


def _form(relaxation: Relaxation) -> Form:
    after = relaxation.structure
    return Form(relaxation.energy_per_atom, after.lattice.matrix, after.frac_coords)


def phases_of(phase: Phase, outcome: Outcome) -> tuple[Phase, ...]:
    """Return a published phase as the potential has it, and its relaxed form where there is one.

    Parameters
    ----------
    phase
        As published; its energy may be NaN.
    outcome
        What `relaxed` or `static` made of it.
    """
    known = replace(
        phase,
        energy_per_atom=outcome.energy_per_atom,
        geometry=outcome.geometry,
        remark=outcome.remark,
        lattice=outcome.lattice,
        frac_coords=outcome.frac_coords,
    )
    if outcome.form is None:
        return (known,)
    form = replace(
        known,
        id=form_id(phase.id),
        e_above_hull_dft=None,
        geometry=FORM,
        **vars(outcome.form),
    )
    return known, replace(form, spacegroup=spacegroup_of(form.structure))


def another_crystal(before: Structure, after: Structure, matcher: Matcher) -> str:
    """Say how a relaxed structure is no longer the crystal that it was; "" when it still is."""
    ratio = after.volume / before.volume
    if not 1 - MAX_VOLUME_DRIFT < ratio < 1 + MAX_VOLUME_DRIFT:
        return f"relaxed to {ratio:.2f} times its volume"
    if _hardly_moved(before, after):
        return ""
    try:
        same = matcher.first_match(after, [before]) is not None
    except MatchError as error:
        return f"relaxed, but {error}"
    return "" if same else "relaxed into another crystal"


def _hardly_moved(before: Structure, after: Structure) -> bool:
    """Whether cell and sites, in the same order, stayed far inside the matcher's tolerances."""
    strain = np.linalg.solve(before.lattice.matrix, after.lattice.matrix) - np.eye(3)
    moved = after.frac_coords - before.frac_coords
    moved -= moved[:1]  # a crystal may drift as a whole
    moved -= np.round(moved)
    lengths = np.linalg.norm(moved @ after.lattice.matrix, axis=1)
    return bool(np.abs(strain).max() < SMALL_STRAIN and lengths.max() < SMALL_MOVE)


def _outcome(name: str, structure: Structure, energy: float, geometry: str, remark: str) -> Outcome:
    return Outcome(name, energy, geometry, remark, structure.lattice.matrix, structure.frac_coords)
