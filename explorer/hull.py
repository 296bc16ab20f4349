"""The convex hull: pure thermodynamics on energies of one level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite

import pandas as pd
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from explorer.candidate import Candidate, State
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases

MIN_FORMATION_ENERGY = -6.0
"""eV/atom; no compound binds as strongly against its elements (HfF4: about -4)."""


class LevelError(ValueError):
    """Energies of different levels met; they share no zero and may not share a hull."""


@dataclass(frozen=True)
class HullPoint:
    """Where an energy lies against the hull.

    Attributes
    ----------
    energy_above_hull
        eV/atom, negative below the hull, None when it could not be placed.
    decomposition
        Competing phases at that composition, in fractions of atoms: "0.75 CaAl2 + 0.25 Cu".
    formation_energy
        eV/atom against the elements of the hull.
    reason
        "" or why it could not be placed.
    """

    energy_above_hull: float | None
    decomposition: str | None
    formation_energy: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class _Entry:
    """A named energy: what PhaseDiagram needs, and what a plot wants to know."""

    id: str
    formula: str
    energy_per_atom: float
    source: str
    kind: str

    @cached_property
    def composition(self) -> Composition:
        return Composition(self.formula)


@dataclass(frozen=True)
class Hull:
    """The lower convex hull of reference phases, and of candidates added by `lowered_by`.

    Attributes
    ----------
    references
        The known phases; they fix the elements and the energy level.
    added
        Entries that `lowered_by` put in.
    quarantined
        Id to reason of every energy that was kept off the hull: not finite, or implausible.
    """

    references: ReferencePhases
    added: tuple[_Entry, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> EnergyLevel:
        """The one energy level of this hull."""
        return self.references.level

    @property
    def elements(self) -> tuple[str, ...]:
        """Corners of the hull, alphabetical: the elements that have a reference phase."""
        missing = set(self.missing_elements)
        return tuple(e for e in self.references.elements if e not in missing)

    @property
    def missing_elements(self) -> tuple[str, ...]:
        """Elements without an elemental reference phase: nothing that holds them can be placed."""
        return self.references.missing_elements

    @property
    def stable(self) -> tuple[str, ...]:
        """Ids of the phases on the hull."""
        return tuple(sorted(str(entry.name) for entry in self._diagram.stable_entries))

    def place(
        self, composition: Composition | str, energy_per_atom: float | None, level: EnergyLevel
    ) -> HullPoint:
        """Measure an energy against the hull at its composition.

        Parameters
        ----------
        composition
            Formula or composition; only ratios count.
        energy_per_atom
            eV/atom. None and non-finite values give a point with a reason.
        level
            Of the energy.

        Raises
        ------
        LevelError
            When `level` is not the level of the hull.
        """
        _same_level(self.level, level)
        composition = Composition(composition)
        reason = self._objection(composition, energy_per_atom)
        if reason:
            return HullPoint(None, None, None, reason)
        parts = self._diagram.get_decomposition(composition)
        on_hull = sum(entry.energy_per_atom * amount for entry, amount in parts.items())
        return HullPoint(
            energy_above_hull=float(energy_per_atom - on_hull),
            decomposition=decomposition_text(
                {self._entries[entry.name].formula: amount for entry, amount in parts.items()}
            ),
            formation_energy=self._formation_energy(composition, energy_per_atom),
        )

    def lowered_by(self, candidates: Iterable[Candidate]) -> Hull:
        """Return the hull that these relaxed candidates share with the references.

        Only converged ones count: candidates that are not RELAXED are passed over. Implausible
        energies are quarantined.

        Raises
        ------
        LevelError
            When a candidate's energy has another level.
        """
        added, quarantined = list(self.added), dict(self.quarantined)
        seen = {entry.id for entry in added}
        for candidate in candidates:
            if candidate.state != State.RELAXED or candidate.level is None:
                continue
            _same_level(self.level, candidate.level)
            reason = self._objection(Composition(candidate.formula), candidate.energy_per_atom)
            if reason:
                quarantined[candidate.id] = reason
            elif candidate.id not in seen:
                seen.add(candidate.id)
                added.append(_entry_of_candidate(candidate))
        return Hull(self.references, tuple(added), quarantined)

    def points(self) -> pd.DataFrame:
        """Return every phase of the hull as a row, for plots and tables.

        Columns: id, formula, source, kind ("reference" or "candidate"), one fraction for each
        element, energy_per_atom, formation_energy, energy_above_hull (eV/atom), stable.
        """
        stable = set(self.stable)
        rows = []
        for entry in self._entries.values():
            point = self.place(entry.composition, entry.energy_per_atom, self.level)
            fractions = {e: entry.composition.get_atomic_fraction(e) for e in self.elements}
            rows.append(
                {
                    "id": entry.id,
                    "formula": entry.formula,
                    "source": entry.source,
                    "kind": entry.kind,
                    **fractions,
                    "energy_per_atom": entry.energy_per_atom,
                    "formation_energy": point.formation_energy,
                    "energy_above_hull": point.energy_above_hull,
                    "stable": entry.id in stable,
                }
            )
        return pd.DataFrame(rows)

    def facets(self) -> list[tuple[str, ...]]:
        """Return the faces of the hull, each as the ids of its corners (stable phases)."""
        diagram = self._diagram
        corners = [[str(diagram.qhull_entries[i].name) for i in facet] for facet in diagram.facets]
        return [tuple(ids) for ids in corners]

    def _objection(self, composition: Composition, energy_per_atom: float | None) -> str:
        if energy_per_atom is None or not isfinite(energy_per_atom):
            return "energy is not a finite number"
        symbols = {e.symbol for e in composition.elements}
        foreign = sorted(symbols - set(self.references.elements))
        if foreign:
            return f"{', '.join(foreign)} outside the system {'-'.join(self.references.elements)}"
        missing = sorted(symbols & set(self.missing_elements))
        if missing:
            return f"no elemental reference phase for {', '.join(missing)}: import one"
        formation = self._formation_energy(composition, energy_per_atom)
        if formation < MIN_FORMATION_ENERGY:
            return (
                f"formation energy {formation:.3g} eV/atom is implausible "
                f"(below {MIN_FORMATION_ENERGY:g})"
            )
        return ""

    def _formation_energy(self, composition: Composition, energy_per_atom: float) -> float:
        corners = sum(
            composition.get_atomic_fraction(e) * energy for e, energy in self._corners.items()
        )
        return float(energy_per_atom - corners)

    @cached_property
    def _corners(self) -> dict[str, float]:
        """Lowest elemental energy of each element among the references, eV/atom."""
        corners: dict[str, float] = {}
        for phase in self.references.phases:
            if "-" not in phase.chemsys and isfinite(phase.energy_per_atom):
                lowest = min(phase.energy_per_atom, corners.get(phase.chemsys, float("inf")))
                corners[phase.chemsys] = lowest
        return corners

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        """Every entry by its id, references first."""
        taken = {entry.id for entry in self.added}
        known = [
            # A set imported from an earlier campaign may name its phases like candidates.
            _Entry(
                f"reference {p.id}" if p.id in taken else p.id,
                p.formula,
                p.energy_per_atom,
                p.source,
                "reference",
            )
            for p in self.references.phases
            if not self._objection(p.composition, p.energy_per_atom)
        ]
        return {entry.id: entry for entry in (*known, *self.added)}

    @cached_property
    def _diagram(self) -> PhaseDiagram:
        if not self._corners:
            raise ValueError(
                f"no hull for {'-'.join(self.references.elements)}: expected a reference phase "
                "for at least one element, got none; import elemental phases"
            )
        entries = [
            # The name is the id: PhaseDiagram mixes up entries that it takes for equal.
            PDEntry(e.composition, e.energy_per_atom * e.composition.num_atoms, name=e.id)
            for e in self._entries.values()
        ]
        return PhaseDiagram(entries)


def decomposition_text(fractions: Mapping[str, float]) -> str:
    """Write fractions of atoms as "0.75 CaAl2 + 0.25 Cu", largest first; "CaAl2" when alone."""
    merged: dict[str, float] = {}
    for formula, fraction in fractions.items():
        merged[formula] = merged.get(formula, 0.0) + fraction
    ordered = sorted(merged.items(), key=lambda item: (-round(item[1], 6), item[0]))
    if len(ordered) == 1:
        return ordered[0][0]
    return " + ".join(f"{amount:.3g} {formula}" for formula, amount in ordered)


def _entry_of_candidate(candidate: Candidate) -> _Entry:
    return _Entry(
        candidate.id, candidate.formula, candidate.energy_per_atom, "campaign", "candidate"
    )


def _same_level(expected: EnergyLevel, got: EnergyLevel) -> None:
    if expected != got:
        raise LevelError(
            f"expected energies of {expected}, got {got}: compute both with the same potential"
        )
