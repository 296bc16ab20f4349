"""Relaxing many crystals together: all of them share each evaluation of the potential.

Those that are done leave and others enter; each goes its own way to its own minimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ase import Atoms
from pymatgen.core import Structure
from torch_sim.models.interface import ModelInterface

from explorer.batch_descent import Descent
from explorer.batch_evaluation import Evaluation, evaluate
from explorer.candidate import Relaxation
from explorer.crystals import gate, to_atoms
from explorer.hopeless import GIVEN_UP, SKIPPED, Ceilings, beyond_hope
from explorer.partial import Parts, from_bytes, to_bytes
from explorer.potentials import EnergyLevel
from explorer.rattling import rattled
from explorer.relax_symmetry import Symmetry
from explorer.relaxation import Limits, failed, lower_of, pack, unsound_cell
from explorer.trace import Recorder, placed


@dataclass(frozen=True, eq=False)
class _Rest:
    """Where a crystal came to rest before it was rattled."""

    frame: tuple[Atoms, Evaluation]
    recorder: Recorder
    steps: int
    seconds: float


@dataclass(eq=False)
class _Flight:
    """One crystal on its way, with the last frame that was sane."""

    key: Any
    atoms: Atoms
    descent: Descent
    volume: float
    first: Atoms
    symmetry: Symmetry | None
    steps: int = 0
    seconds: float = 0.0
    frame: tuple[Atoms, Evaluation] | None = field(default=None, repr=False)
    recorder: Recorder = field(default_factory=Recorder, repr=False)
    told: float = field(default_factory=time.monotonic)
    ceilings: Ceilings | None = None
    rest: _Rest | None = field(default=None, repr=False)

    @property
    def too_high(self) -> str:
        """Why a relaxation is not worth beginning, "" when it is, or has begun."""
        ceilings, energies = self.ceilings, self.recorder.energies
        if self.steps or ceilings is None or energies[0] <= ceilings.begin:
            return ""
        return f"{SKIPPED}: begins {energies[0] - ceilings.hull:.2f} eV/atom above the hull"

    def begun(self) -> tuple[int, float]:
        """Steps and seconds that were spent when the present relaxation began."""
        return (self.rest.steps + 1, self.rest.seconds) if self.rest else (0, 0.0)

    def state(self) -> bytes:
        """Return all that it takes to go on from here in another process."""
        parts = _parts(self.frame, self.recorder, self.steps, self.seconds)
        parts["descent"] = self.descent.state()
        if self.rest:
            told = _parts(*vars(self.rest).values())
            parts |= {f"rest_{name}": values for name, values in told.items()}
        return to_bytes(parts)

    def go_on(self, state: bytes) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        KeyError, ValueError
            When it is of another crystal or another version; nothing is changed then.
        """
        parts = from_bytes(state)
        now = _rest_of(parts, self.atoms)
        rest = _rest_of(parts, self.atoms, "rest_") if "rest_clock" in parts else None
        descent = Descent.resumed(parts["descent"])
        self.atoms = placed(self.atoms, descent.cell, descent.positions)
        self.descent, self.recorder, self.frame = descent, now.recorder, now.frame
        self.steps, self.seconds, self.rest = now.steps, now.seconds, rest

    def shake(self, displacement: float) -> None:
        """Begin a relaxation from where the crystal is, rattled by so much (Å): a step as well."""
        self.rest = _Rest(self.frame, self.recorder, self.steps, self.seconds)
        self.recorder = Recorder.resumed(self.recorder.state(), self.frame[0])
        self.atoms = rattled(self.frame[0], displacement)
        self.descent = Descent(self.atoms)
        self.steps += 1

    def move(self, answer: Evaluation) -> str:
        """Take a step; returns why the crystal cannot go on, "" when it can."""
        self.descent.step(answer.energy, answer.forces, answer.stress)
        self.atoms.set_cell(self.descent.cell)
        self.atoms.positions = self.descent.positions
        self.steps += 1
        return unsound_cell(self.atoms, self.volume)


def _parts(
    frame: tuple[Atoms, Evaluation], recorder: Recorder, steps: int, seconds: float
) -> dict[str, dict[str, Any]]:
    atoms, answer = frame
    return {
        "clock": {"steps": steps, "seconds": seconds},
        "frame": {"cell": atoms.cell.array, "positions": atoms.positions, **vars(answer)},
        "recorder": recorder.state(),
    }


def _rest_of(parts: Parts, atoms: Atoms, prefix: str = "") -> _Rest:
    clock, frame = parts[f"{prefix}clock"], parts[f"{prefix}frame"]
    last = placed(atoms, frame["cell"], frame["positions"])
    answer = Evaluation(float(frame["energy"]), frame["forces"], frame["stress"])
    recorder = Recorder.resumed(parts[f"{prefix}recorder"], last)
    return _Rest((last, answer), recorder, int(clock["steps"]), float(clock["seconds"]))


class Batch:
    """Crystals that are relaxed together; those that finish leave it.

    Parameters
    ----------
    model
        Evaluates a batch.
    level
        Of the model's energies.
    limits
        When a crystal counts as relaxed, and when it is given up.
    keep_symmetry
        Whether each crystal keeps the space group that it begins with.
    ceiling
        From a structure to the energies per atom above which it is not begun, or given up, see
        `explorer.hopeless`; without it, or where it tells None, neither happens.
    """

    def __init__(
        self,
        model: ModelInterface,
        level: EnergyLevel,
        limits: Limits,
        *,
        keep_symmetry: bool = False,
        ceiling: Callable[[Structure], Ceilings | None] | None = None,
    ) -> None:
        self._ceiling = ceiling
        self._model, self._level, self._limits = model, level, limits
        self._keep_symmetry = keep_symmetry
        self._flights: list[_Flight] = []

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, key: Any, structure: Structure, state: bytes = b"") -> Relaxation | None:
        """Take a crystal in; one that no potential may see is answered at once.

        With a state, it goes on from where `states` found it.
        """
        reason = gate(structure)
        if reason:
            return failed(self._level, reason)
        atoms = to_atoms(structure)
        try:
            symmetry = Symmetry.of(atoms) if self._keep_symmetry else None
        except Exception as error:
            # spglib finds no group, or ASE stumbles over what it found.
            return failed(self._level, f"no space group that could be kept: {error}")
        flight = _Flight(key, atoms, Descent(atoms), atoms.get_volume(), atoms.copy(), symmetry)
        flight.ceilings = self._ceiling(structure) if self._ceiling else None
        if state:
            with suppress(KeyError, ValueError):  # it begins anew
                flight.go_on(state)
        self._flights.append(flight)
        return None

    def states(self, seconds: float) -> list[tuple[Any, bytes]]:
        """Return where those crystals are of which nothing was told for so long, by key."""
        now = time.monotonic()
        due = [f for f in self._flights if f.steps and now - f.told >= seconds]
        for flight in due:
            flight.told = now
        return [(flight.key, flight.state()) for flight in due]

    def clear(self) -> list[Any]:
        """Forget every crystal in work; returns their keys."""
        keys = [flight.key for flight in self._flights]
        self._flights.clear()
        return keys

    def advance(self) -> list[tuple[Any, Relaxation]]:
        """Evaluate all crystals once and move them; returns those that end here."""
        if not self._flights:
            return []
        began = time.monotonic()
        flights = self._flights
        answers = evaluate(self._model, [flight.atoms for flight in flights])
        reasons = [self._judge(*pair) for pair in zip(flights, answers, strict=True)]
        total = sum(len(flight.atoms) for flight in flights)
        spent = time.monotonic() - began
        for flight in flights:
            flight.seconds += spent * len(flight.atoms) / total
        ended = [pair for pair in zip(flights, reasons, strict=True) if pair[1] is not None]
        self._flights = [f for f, reason in zip(flights, reasons, strict=True) if reason is None]
        return [(flight.key, self._result(flight, reason)) for flight, reason in ended]

    def _judge(self, flight: _Flight, answer: Evaluation | str) -> str | None:
        """Return "" for a relaxed crystal, why it is given up, or None when it goes on."""
        if isinstance(answer, str):
            return answer
        if flight.symmetry is not None:
            answer = flight.symmetry.average(flight.atoms, answer)
        limits = self._limits
        flight.frame = (flight.atoms.copy(), answer)
        flight.recorder.add(*flight.frame)
        if limits.met(answer.forces, answer.stress, flight.recorder.energies):
            return self._at_rest(flight)
        if flight.too_high:
            return flight.too_high
        steps, seconds = flight.begun()
        if flight.steps - steps >= limits.max_steps:
            return limits.too_many_steps
        if flight.seconds - seconds > limits.max_seconds:
            return limits.too_long
        if flight.ceilings and beyond_hope(flight.recorder.energies, flight.ceilings.go_on):
            return f"{GIVEN_UP}, after {flight.steps} steps"
        return flight.move(answer) or None

    def _at_rest(self, flight: _Flight) -> str | None:
        """Return "" for a crystal that is done; rattle it if that is due, so that it goes on."""
        due = self._limits.rattles(len(flight.atoms))
        due = due and flight.rest is None and flight.symmetry is None
        # What would fail anyway, such as a crystal that fell apart, is not shaken.
        if not due or not self._packed(flight, flight.first).converged:
            return ""
        flight.shake(self._limits.rattle)
        return None

    def _result(self, flight: _Flight, reason: str) -> Relaxation:
        if flight.frame is None:
            return failed(self._level, reason, steps=flight.steps, seconds=flight.seconds)
        if reason and reason == flight.too_high:
            skipped = failed(self._level, reason, seconds=flight.seconds)
            return replace(skipped, skipped=True)
        last = self._packed(flight, flight.first, reason)
        return lower_of(self._packed(flight.rest, flight.first), last) if flight.rest else last

    def _packed(self, at: _Flight | _Rest, first: Atoms, reason: str = "") -> Relaxation:
        return pack(
            first,
            *at.frame,
            steps=at.steps,
            seconds=at.seconds,
            reason=reason,
            level=self._level,
            trace=at.recorder.trace(),
        )
