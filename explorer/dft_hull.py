"""The hull of DFT formation energies, for potentials that were trained on that scale.

A set of known phases at the energies of a potential lacks every phase whose structure is not at
hand, and a candidate that competes with nothing looks stable. DFT formation energies are published
for far more phases, and need no structure. Where the energies of a potential carry the MP2020
corrections, learned or added (`explorer.mp2020`), the formation energy of a
candidate, E - sum(x_i mu_i), may be compared with them. The zero mu_i of each element is fitted
(`explorer.element_fit`), or the potential's own energy where there is no fit. A fitted zero takes
the potential's error of an element out of its compounds; among crystals of the element alone that
error is the same for all, and they are measured from the potential's own lowest known one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from pymatgen.core import Composition

from explorer.element_fit import ElementFit, read_fit
from explorer.phases import (
    PREDICTED,
    CompetingPhase,
    ReferenceFileError,
    digest_of,
    phase_of_form,
    read_level,
    read_metadata,
    read_rows,
)
from explorer.potential_base import MP2020, EnergyLevel
from explorer.references import DATA, DFT, ReferencePhases

AUTO = "auto"
FILLED = "filled"
FITTED = "fitted"
"""Of an elemental energy that is a fitted zero, not an energy of the potential."""
HULL_FILE = DATA / "hull-mp2020.parquet"
SIDES_FILE = DATA / "sides-chgnet.parquet"


class HullModeError(ValueError):
    """A hull that the energies of a potential may not be placed on."""


def refuse_scale(level: EnergyLevel) -> None:
    """Raise `HullModeError` for energies that share no scale with published formation energies."""
    if level.correction != MP2020:
        raise HullModeError(
            f"hull dft: expected a potential whose energies carry {MP2020} corrections, "
            f"got {level}: choose hull potential, or another potential such as chgnet"
        )


def serves(level: EnergyLevel, hull: str) -> bool:
    """Whether candidates at a level that ask for a hull are placed on that of DFT."""
    return hull == DFT or (hull in {AUTO, FILLED} and level.correction == MP2020)


def competing_phases(known: ReferencePhases, hull: str) -> ReferencePhases:
    """Return what candidates are placed on when a campaign asks for a hull.

    Parameters
    ----------
    known
        The known phases of a system at the level of the candidates.
    hull
        "potential", "dft", or "auto": the hull of DFT where energies share its scale, which places
        candidates closer to their DFT distances; "filled" is "auto" with predicted compounds, and
        with those of a user's own set.

    Raises
    ------
    HullModeError
        When "dft" is asked of a potential of another scale.
    """
    if not serves(known.level, hull):
        return known
    if hull != FILLED:
        return dft_references(known)
    return _with_own(dft_references(known, sides=SIDES_FILE), known)


def _with_own(competing: ReferencePhases, known: ReferencePhases) -> ReferencePhases:
    """Add the compounds of a user's own set whose composition has no corner of published energy.

    They are at the level of the candidates, as predicted compounds are.
    """
    taken = {_reduced(p.formula) for p in competing.phases if p.source != PREDICTED}
    ours = {phase.id for phase in ReferencePhases.shipped(known.elements).phases}
    own = [
        phase
        for phase in known.phases
        if "-" in phase.chemsys
        and isfinite(phase.energy_per_atom)
        and not {phase.id, phase_of_form(phase.id)} & ours
        and _reduced(phase.formula) not in taken
    ]
    if not own:
        return competing
    count = "1 compound" if len(own) == 1 else f"{len(own)} compounds"
    name = f"{competing.name}, {count} of {known.name}"
    return replace(competing, phases=(*competing.phases, *own), name=name)


def _reduced(formula: str) -> str:
    return Composition(formula).reduced_formula


def dft_references(
    known: ReferencePhases, file: Path = HULL_FILE, sides: Path | None = None
) -> ReferencePhases:
    """Return the corners of the DFT hull of a system on the energy scale of a potential.

    Each DFT formation energy is raised by the zero of the elements, E_f(DFT) + sum(x_i mu_i). That
    changes no distance from the hull, and one ledger holds all.

    Parameters
    ----------
    known
        The system, the level of the candidates, and the elements at that level.
    file
        What `explorer.dft_vertices.build_hull` wrote.
    sides
        What `explorer.sides.build_sides` wrote: predicted compounds of the pairs of elements, which
        compete in systems of three and more.

    Raises
    ------
    HullModeError
        When the potential's energies do not carry MP2020 corrections.
    ReferenceFileError
        When the file cannot be read.
    """
    refuse_scale(known.level)
    fit = fit_of(known.level)
    own = known.published.elemental
    elements = {symbol: _at_zero(phase, fit) for symbol, phase in own.items()}
    raised = {
        symbol: elements[symbol].energy_per_atom - own[symbol].energy_per_atom for symbol in own
    }
    zero = {symbol: phase.energy_per_atom for symbol, phase in elements.items()}
    compounds = [
        _raised(row, zero)
        for row in read_rows(file, known.elements)
        if zero.keys() >= set(row["chemsys"].split("-")) and "-" in row["chemsys"]
    ]
    origin = f"fitted elements [{fit.digest}]" if fit else f"elements of {known.name}"
    name = f"{file.name} [{read_metadata(file).get('made', '')}], {origin}"
    predicted = _predicted(known.elements, zero, sides) if sides is not None else []
    compounds += predicted
    if predicted or (sides is not None and not any(known.elements)):
        count = f"{len(predicted)} " if predicted else ""  # open elements: as each system has them
        name += f", {count}predicted compounds of {sides.name} [{digest_of(sides)}]"
    phases = (*elements.values(), *compounds)
    return ReferencePhases(known.level, phases, known.elements, name, DFT, raised)


def _predicted(
    elements: Sequence[str], zero: Mapping[str, float], sides: Path
) -> list[CompetingPhase]:
    """Return the predicted compounds on the sides of a system; a pair has no sides."""
    if len(elements) < 3:
        return []
    level = read_level(sides)
    fit = fit_of(level)
    if fit is None:
        raise ReferenceFileError(f"{sides} is of {level}, for which there are no fitted elements")
    rows = [r for r in read_rows(sides, elements) if zero.keys() >= set(r["chemsys"].split("-"))]
    formed = [row["energy_per_atom"] - _mixture(row["formula"], fit.energies) for row in rows]
    return [
        replace(_raised(row | {"formation_energy": energy}, zero), geometry=row["geometry"])
        for row, energy in zip(rows, formed, strict=True)
    ]


def _mixture(formula: str, zero: Mapping[str, float]) -> float:
    """Return sum(x_i mu_i), eV/atom."""
    composition = Composition(formula)
    return sum(composition.get_atomic_fraction(e) * zero[e.symbol] for e in composition)


def fit_of(level: EnergyLevel) -> ElementFit | None:
    """Return the fitted elements that come with the program for a potential, None without."""
    fits = (read_fit(path) for path in sorted(DATA.glob("elements-*.json")))
    return next((fit for fit in fits if fit and fit.level == level), None)


def _at_zero(phase: CompetingPhase, fit: ElementFit | None) -> CompetingPhase:
    """Return an element at the zero of formation energies; as it is where there is no fit."""
    fitted = fit.energies.get(phase.chemsys) if fit else None
    if fitted is None:
        return phase
    return replace(phase, energy_per_atom=fitted, geometry=FITTED)


def _raised(row: Mapping[str, Any], zero: Mapping[str, float]) -> CompetingPhase:
    return CompetingPhase(
        id=row["id"],
        source=row["source"],
        formula=row["formula"],
        chemsys=row["chemsys"],
        e_above_hull_dft=0.0,
        energy_per_atom=row["formation_energy"] + _mixture(row["formula"], zero),
        geometry=DFT,
    )
