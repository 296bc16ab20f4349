"""The convex hull: pure thermodynamics on energies of one level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import isfinite, lcm

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from explorer.candidate import Candidate, State
from explorer.formulas import spelled
from explorer.lower_hull import LowerHull
from explorer.phases import MARK, PREDICTED
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases

MIN_FORMATION_ENERGY = -6.0
"""eV/atom; no compound binds as strongly against its elements (HfF4: about -4)."""
STABLE = 1e-8
"""eV/atom; numerical noise of a phase that lies on the hull."""


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
        Competing phases at that composition, in fractions of atoms: "0.75 CaAl2 + 0.25 Cu"; those
        that nobody has published are marked "(predicted)".
    formation_energy
        eV/atom against the elements of the hull.
    reason
        "" or why it could not be placed.
    reaction
        The same decomposition in formula units: "Ca2Al4Cu2 -> 2 CaAl2 + 2 Cu".
    """

    energy_above_hull: float | None
    decomposition: str | None
    formation_energy: float | None = None
    reason: str = ""
    reaction: str = ""


@dataclass(frozen=True)
class Lowering:
    """What a candidate does to the hull.

    Attributes
    ----------
    depth
        How far it lies below the hull without it, eV/atom; 0 when it does not lower the hull.
    destabilised
        Id to new energy above the hull, eV/atom, of the stable phases that it pushes off.
    labels
        Id to formula of the same phases; those that nobody has published are marked so.
    """

    depth: float
    destabilised: dict[str, float]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """A named energy on its way to the hull; fractions in the order of the hull's elements."""

    id: str
    formula: str
    energy_per_atom: float
    source: str
    kind: str
    fractions: tuple[float, ...]

    @property
    def label(self) -> str:
        """Its formula, and whether it is only predicted."""
        return self.formula + (MARK if self.source == PREDICTED else "")


@dataclass(frozen=True)
class _Known:
    """The side of the references: the same for every hull that candidates lower."""

    references: ReferencePhases

    @cached_property
    def elements(self) -> tuple[str, ...]:
        missing = set(self.references.missing_elements)
        return tuple(e for e in self.references.elements if e not in missing)

    @cached_property
    def corners(self) -> np.ndarray:
        """Lowest energy of each element, (E,) eV/atom."""
        lowest = self.references.elemental
        return np.array([lowest[e].energy_per_atom for e in self.elements])

    @cached_property
    def entries(self) -> tuple[_Entry, ...]:
        phases = self.references.phases
        return tuple(
            self.entry(p.id, p.formula, p.energy_per_atom, p.source, "reference")
            for p in phases
            if not self.objection(p.formula, p.energy_per_atom)
        )

    def entry(self, name: str, formula: str, energy: float, source: str, kind: str) -> _Entry:
        """Return an entry under the one spelling of its formula."""
        return _Entry(name, spelled(formula), energy, source, kind, self.shares(formula))

    @cached_property
    def hull(self) -> LowerHull:
        if not self.elements:
            raise ValueError(
                f"no hull for {'-'.join(self.references.elements)}: expected a reference phase "
                "for at least one element, got none; import elemental phases"
            )
        return LowerHull(
            _fractions_of(self.entries, len(self.elements)), _energies_of(self.entries)
        )

    def shares(self, formula: str) -> tuple[float, ...]:
        """Return the atomic fractions of a formula in the order of the elements."""
        amounts = dict(_amounts(formula))
        return tuple(amounts.get(e, 0.0) for e in self.elements)

    def formation_energy(self, formula: str, energy_per_atom: float) -> float:
        """Return the energy against the elements, eV/atom."""
        against = np.dot(self.shares(formula), self.corners)
        return float(self.levelled(formula, energy_per_atom) - against)

    def levelled(self, formula: str, energy_per_atom: float) -> float:
        """Return an energy of the potential as it compares with the entries, eV/atom."""
        amounts = _amounts(formula)
        alone = amounts[0][0] if len(amounts) == 1 else ""
        return energy_per_atom + self.references.raised.get(alone, 0.0)

    def objection(self, formula: str, energy_per_atom: float | None) -> str:
        """Say why an energy cannot be placed; "" when it can."""
        if energy_per_atom is None or not isfinite(energy_per_atom):
            return "energy is not a finite number"
        symbols = dict(_amounts(formula)).keys()
        foreign = sorted(symbols - set(self.references.elements))
        if foreign:
            return f"{', '.join(foreign)} outside the system {'-'.join(self.references.elements)}"
        missing = sorted(symbols & set(self.references.missing_elements))
        if missing:
            return f"no elemental reference phase for {', '.join(missing)}: import one"
        formation = self.formation_energy(formula, energy_per_atom)
        if formation < MIN_FORMATION_ENERGY:
            return (
                f"formation energy {formation:.3g} eV/atom is implausible "
                f"(below {MIN_FORMATION_ENERGY:g})"
            )
        return ""


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
    known: _Known | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.known is None:
            object.__setattr__(self, "known", _Known(self.references))

    @property
    def level(self) -> EnergyLevel:
        """The one energy level of this hull."""
        return self.references.level

    @property
    def elements(self) -> tuple[str, ...]:
        """Corners of the hull, alphabetical: the elements that have a reference phase."""
        return self.known.elements

    @property
    def missing_elements(self) -> tuple[str, ...]:
        """Elements without an elemental reference phase: nothing that holds them can be placed."""
        return self.references.missing_elements

    @property
    def stable(self) -> tuple[str, ...]:
        """Ids of the phases on the hull."""
        return tuple(sorted(self._entries[k].id for k in self._lower.vertices))

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
        _same_level(self.level, {"the energy to place": level})
        formula = composition if isinstance(composition, str) else composition.reduced_formula
        reason = self.known.objection(formula, energy_per_atom)
        if reason:
            return HullPoint(None, None, None, reason)
        shares = self._lower.decompose(np.array(self.known.shares(formula)))
        on_hull = sum(self._entries[k].energy_per_atom * share for k, share in shares.items())
        products = merged((self._entries[k].formula, share) for k, share in shares.items())
        labelled = merged((self._entries[k].label, share) for k, share in shares.items())
        return HullPoint(
            energy_above_hull=float(self.known.levelled(formula, energy_per_atom) - on_hull),
            decomposition=decomposition_text(labelled),
            formation_energy=self.known.formation_energy(formula, energy_per_atom),
            reaction=reaction_text(spelled(formula), products),
        )

    def energies_above(
        self, formulas: Sequence[str], energies: Sequence[float] | np.ndarray
    ) -> np.ndarray:
        """Return the distances of many energies at the hull's level, (M,) eV/atom.

        NaN where `place` would give a reason.
        """
        energies = np.array([np.nan if e is None else e for e in energies], float)
        bad = [bool(self.known.objection(f, e)) for f, e in zip(formulas, energies, strict=True)]
        shares = np.reshape(
            [self.known.shares(formula) for formula in formulas], (-1, len(self.elements))
        )
        levelled = [self.known.levelled(f, e) for f, e in zip(formulas, energies, strict=True)]
        above = self.formed_above(shares, np.array(levelled) - shares @ self.known.corners)
        above[np.array(bad, bool)] = np.nan
        return above

    def formed_above(self, fractions: np.ndarray, formation_energies: np.ndarray) -> np.ndarray:
        """Return the distances of formation energies (M,) at compositions (M, E), (M,) eV/atom."""
        return formation_energies + fractions @ self.known.corners - self._lower.energy(fractions)

    def lowered_by(self, candidates: Iterable[Candidate]) -> Hull:
        """Return the hull that these relaxed candidates share with the references.

        Only converged ones count: candidates that are not RELAXED are passed over, and so are ids
        that are in already. Implausible energies are quarantined.

        Raises
        ------
        LevelError
            When candidates' energies have another level; it names them.
        """
        relaxed = [c for c in candidates if c.state == State.RELAXED and c.level is not None]
        _same_level(self.level, {c.id: c.level for c in relaxed})
        quarantined = dict(self.quarantined)
        added = {entry.id: entry for entry in self.added}
        for candidate in relaxed:
            reason = self.known.objection(candidate.formula, candidate.energy_per_atom)
            if reason:
                quarantined[candidate.id] = reason
            elif candidate.id not in added:
                added[candidate.id] = self._entry_of(candidate)
        return Hull(self.references, tuple(added.values()), quarantined, self.known)

    def lowering(self, candidate: Candidate) -> Lowering:
        """Say whether a relaxed candidate lowers this hull, and what it destabilises.

        Raises
        ------
        LevelError
            When its energy has another level.
        """
        _same_level(self.level, {candidate.id: candidate.level} if candidate.level else {})
        above = self.energies_above([candidate.formula], [candidate.energy_per_atom])[0]
        # Most candidates lie above: no hull is built with them to find that it is the same.
        if not above < -STABLE or candidate.state != State.RELAXED or candidate.level is None:
            return Lowering(0.0, {})
        lowered = self.lowered_by([candidate])
        if len(lowered.added) == len(self.added):
            return Lowering(0.0, {})
        stable = [self._entries[k] for k in self._lower.vertices]
        shares = _fractions_of(stable, len(self.elements))
        now = lowered.formed_above(shares, _energies_of(stable) - shares @ self.known.corners)
        pushed = {e.id: float(up) for e, up in zip(stable, now, strict=True) if up > STABLE}
        labels = {entry.id: entry.label for entry in stable if entry.id in pushed}
        return Lowering(float(-above), pushed, labels)

    def points(self) -> pd.DataFrame:
        """Return every phase of the hull as a row, for plots and tables.

        Columns: id, formula, source, kind ("reference" or "candidate"), one fraction for each
        element, energy_per_atom, formation_energy, energy_above_hull (eV/atom), stable, and
        polymorph: 0 for the lowest of its composition, 1 for the next. The lowest come last: what
        is drawn last lies on top.
        """
        entries = self._entries
        shares, energies = _fractions_of(entries, len(self.elements)), _energies_of(entries)
        stable = np.zeros(len(entries), bool)
        stable[self._lower.vertices] = True
        table = pd.DataFrame(
            {
                "id": [e.id for e in entries],
                "formula": [e.formula for e in entries],
                "source": [e.source for e in entries],
                "kind": [e.kind for e in entries],
                **dict(zip(self.elements, shares.T, strict=True)),
                "energy_per_atom": energies,
                "formation_energy": energies - shares @ self.known.corners,
                "energy_above_hull": energies - self._lower.energy(shares),
                "stable": stable,
            }
        )
        same = table.groupby("formula")["energy_per_atom"]
        table["polymorph"] = same.rank(method="first").astype(int) - 1
        return table.sort_values("energy_above_hull", ascending=False, ignore_index=True)

    def facets(self) -> list[tuple[str, ...]]:
        """Return the faces of the hull, each as the ids of its corners (stable phases)."""
        return [tuple(self._entries[k].id for k in facet) for facet in self._lower.facets]

    def _entry_of(self, candidate: Candidate) -> _Entry:
        energy = self.known.levelled(candidate.formula, candidate.energy_per_atom)
        return self.known.entry(candidate.id, candidate.formula, energy, "campaign", "candidate")

    @cached_property
    def _entries(self) -> tuple[_Entry, ...]:
        """Every entry, references first."""
        taken = {entry.id for entry in self.added}
        # A set imported from an earlier campaign may name its phases like candidates.
        known = (
            replace(e, id=f"reference {e.id}") if e.id in taken else e for e in self.known.entries
        )
        return (*known, *self.added)

    @cached_property
    def _lower(self) -> LowerHull:
        base = self.known.hull
        if not self.added:
            return base
        shares, energies = _fractions_of(self.added, len(self.elements)), _energies_of(self.added)
        return base.lowered_by(shares, energies)


@lru_cache(maxsize=65536)
def _amounts(formula: str) -> tuple[tuple[str, float], ...]:
    """Return the atomic fraction of each element of a formula."""
    composition = Composition(formula)
    return tuple((e.symbol, composition.get_atomic_fraction(e)) for e in composition.elements)


def _fractions_of(entries: Sequence[_Entry], count: int) -> np.ndarray:
    return np.array([entry.fractions for entry in entries], float).reshape(-1, count)


def _energies_of(entries: Sequence[_Entry]) -> np.ndarray:
    return np.array([entry.energy_per_atom for entry in entries], float)


def merged(shares: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up the fractions of each formula."""
    total: dict[str, float] = {}
    for formula, share in shares:
        total[formula] = total.get(formula, 0.0) + share
    return total


def decomposition_text(fractions: Mapping[str, float]) -> str:
    """Write fractions of atoms as "0.75 CaAl2 + 0.25 Cu", largest first; "CaAl2" when alone."""
    ordered = sorted(fractions.items(), key=lambda item: (-round(item[1], 6), item[0]))
    if len(ordered) == 1:
        return ordered[0][0]
    return " + ".join(f"{amount:.3g} {formula}" for formula, amount in ordered)


def destabilised_text(lowering: Lowering) -> str:
    """Write what leaves the hull as "CaAl4 +0.031; CaAl2 +0.010" (eV/atom), farthest first."""
    pushed = sorted(lowering.destabilised.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{lowering.labels[name]} {up:+.3f}" for name, up in pushed)


def reaction_text(formula: str, fractions: Mapping[str, float]) -> str:
    """Write a decomposition, given in fractions of atoms, in the smallest whole formula units."""
    atoms = Composition(formula).num_atoms
    units = {
        name: Fraction(share * atoms / Composition(name).num_atoms).limit_denominator(10_000)
        for name, share in fractions.items()
    }
    whole = lcm(*(unit.denominator for unit in units.values()))
    terms = [_term(int(unit * whole), name) for name, unit in sorted(units.items()) if unit]
    return f"{_term(whole, formula)} -> {' + '.join(terms)}"


def _term(count: int, formula: str) -> str:
    return formula if count == 1 else f"{count} {formula}"


def _same_level(expected: EnergyLevel, named: Mapping[str, EnergyLevel]) -> None:
    """Raise `LevelError` that names what has another level than the hull."""
    others = Counter(level for level in named.values() if level != expected)
    if others:
        level = next(iter(others))
        names = [name for name, other in named.items() if other == level]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise LevelError(
            f"expected energies of {expected}, got {level} for {', '.join(names[:3])}{more}: "
            "compute both with the same potential"
        )
