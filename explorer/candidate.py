"""What happened to one crystal: frozen records whose failures are values with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np
from pymatgen.core import Structure

from explorer.potentials import EnergyLevel
from explorer.trace import Trace
from model.crystal import WyckoffCrystal


class State(StrEnum):
    """Where a candidate stands; the last five are final unless it is relaxed later."""

    DRAWN = "drawn"
    WAITING = "waiting"
    RELAXED = "relaxed"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    KNOWN = "known"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The outcome of one relaxation of positions and cell.

    Attributes
    ----------
    structure
        Last sane structure, or None when nothing sane came back.
    energy_per_atom
        Potential energy of `structure`, eV/atom.
    forces
        Shape (N, 3), eV/Å, in the order of the sites of `structure`.
    stress
        Shape (3, 3), eV/Å³, in the sign convention of ASE (negative under compression).
    steps
        Ionic steps taken.
    converged
        True only when the largest force and the largest stress both fell below their limits.
    seconds
        Wall time in the worker.
    reason
        "" when converged, otherwise why not, in words.
    level
        Which potential, weights and correction the energy belongs to.
    trace
        Every step of the way; None when nothing was evaluated.
    skipped
        Whether it was not begun, for `reason`: nothing else is known then.
    lowered
        eV/atom by which it came to rest lower after it had been rattled; 0 where it came back.
        None where it was not rattled, or that led to no rest.
    rest
        Where it was at rest before it was rattled, without its trace; None where that is what
        came of it.
    """

    structure: Structure | None
    energy_per_atom: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None
    steps: int
    converged: bool
    seconds: float
    reason: str
    level: EnergyLevel
    trace: Trace | None = field(default=None, repr=False)
    skipped: bool = False
    lowered: float | None = None
    rest: Relaxation | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One crystal of a campaign, from the draw to the hull.

    Attributes
    ----------
    id
        Unique within the campaign, safe in a file name.
    index
        Position in the draw, from 0; crystal `index` of a seed is always the same.
    crystal
        The Wyckoff crystal as drawn, None when the draw could not be decoded.
    formula
        As `explorer.formulas.spelled` has it, "" when there is no crystal.
    spacegroup_asked, spacegroup_generated, spacegroup_relaxed
        Numbers 1-230: the token drawn; what spglib finds (symprec 0.1 Å) before relaxation; after.
    log_likelihood, log_parts
        Natural logarithm under the model, of the whole and by part: spacegroup, skeleton, lattice,
        coordinates. The parts add up to the whole; None where a generator has no model.
    template
        Formula of the known crystal whose geometry it was drawn with; "" when it has its own.
    sample
        What the file of another generator calls it; "" when it was drawn here.
    stability
        Log-odds, before any relaxation, that it ends within 0.075 eV/atom of the hull, by the
        model; None where a generator has no model.
    state, reason
        Where it stands and, when it went no further, why.
    novel
        False when it matches a known phase, None when that was not decided or, for a DUPLICATE, is
        up to the candidate that it equals.
    composition_known
        Whether a published crystal has this composition: what is novel is then so in its form
        alone. None where it was not looked up.
    matched
        Id of the known phase, or of the earlier candidate, that it equals.
    energy_per_atom, energy_above_hull
        eV/atom at `level`; the second is negative below the known hull.
    formation_energy
        eV/atom against the elements of the hull.
    decomposition, reaction
        The competing phases, such as "0.75 CaAl2 + 0.25 Cu", in fractions of atoms, and in formula
        units: "CaAl2Cu -> CaAl2 + Cu".
    destabilises
        The known stable phases that it alone would push off the hull, and how far (eV/atom), such
        as "CaAl4 +0.031; CaAl2 +0.010"; "" where there is none.
    steps, converged, lowered_by_rattling
        Of the relaxation; the last in eV/atom, see `Relaxation.lowered`.
    targets
        Names of the campaign's targets that it equals, as drawn or after relaxation.
    initial, relaxed
        Primitive structures before and after relaxation.
    forces, stress
        Of `relaxed`: (N, 3) eV/Å and (3, 3) eV/Å³.
    level
        Potential, weights and correction of the energies.
    """

    id: str
    index: int
    crystal: WyckoffCrystal | None = None
    formula: str = ""
    spacegroup_asked: int | None = None
    spacegroup_generated: int | None = None
    spacegroup_relaxed: int | None = None
    log_likelihood: float = float("nan")
    log_parts: dict[str, float] | None = None
    template: str = ""
    sample: str = ""
    stability: float | None = None
    state: State = State.DRAWN
    reason: str = ""
    novel: bool | None = None
    composition_known: bool | None = None
    matched: str | None = None
    energy_per_atom: float | None = None
    energy_above_hull: float | None = None
    formation_energy: float | None = None
    decomposition: str | None = None
    reaction: str | None = None
    destabilises: str | None = None
    steps: int | None = None
    converged: bool | None = None
    lowered_by_rattling: float | None = None
    targets: tuple[str, ...] = ()
    initial: Structure | None = field(default=None, repr=False)
    relaxed: Structure | None = field(default=None, repr=False)
    forces: np.ndarray | None = field(default=None, repr=False)
    stress: np.ndarray | None = field(default=None, repr=False)
    level: EnergyLevel | None = None

    @property
    def structure(self) -> Structure | None:
        """The most advanced structure: relaxed if there is one, otherwise as drawn."""
        return self.relaxed if self.relaxed is not None else self.initial

    def with_relaxation(self, relaxation: Relaxation) -> Candidate:
        """Take over a relaxation: RELAXED when it converged, FAILED with its reason otherwise.

        One that was not begun leaves the candidate SKIPPED, and without an energy: that of a
        crystal as drawn is not to be taken for a relaxed one.
        """
        if relaxation.skipped:
            return replace(self, state=State.SKIPPED, reason=relaxation.reason)
        state = State.RELAXED if relaxation.converged else State.FAILED
        return replace(
            self,
            state=state,
            reason=relaxation.reason,
            relaxed=relaxation.structure,
            energy_per_atom=relaxation.energy_per_atom,
            forces=relaxation.forces,
            stress=relaxation.stress,
            steps=relaxation.steps,
            converged=relaxation.converged,
            lowered_by_rattling=relaxation.lowered,
            level=relaxation.level,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; structures become their MSON dictionaries."""
        return {item.name: _to_json(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """Rebuild a candidate from `to_dict`; fields that are missing take their defaults."""
        known = {item.name for item in fields(cls)}
        return cls(**{k: _from_json(k, v) for k, v in data.items() if k in known})


def _to_json(value: Any) -> Any:
    if isinstance(value, Structure):
        return value.as_dict(verbosity=0)
    if isinstance(value, WyckoffCrystal | EnergyLevel):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return value.tolist()
    # JSON has no NaN: it travels as None and comes back as NaN where a float is expected.
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.value if isinstance(value, State) else value


def _from_json(name: str, value: Any) -> Any:
    if value is None:
        return float("nan") if name == "log_likelihood" else None
    readers = {
        "initial": Structure.from_dict,
        "relaxed": Structure.from_dict,
        "crystal": WyckoffCrystal.from_dict,
        "level": EnergyLevel.from_dict,
        "forces": np.asarray,
        "stress": np.asarray,
        "state": State,
        "targets": tuple,
    }
    return readers[name](value) if name in readers else value
