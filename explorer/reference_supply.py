"""Known phases at the energies of any potential: relaxed when they are first asked for, and kept.

They are the phases that come with the program, relaxed as candidates are. What the potential turns
into another crystal keeps the geometry that it had, and its `remark` says why, as in the sets that
`explorer.reference_build` makes.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from explorer.elements import elemental_structure, source_of
from explorer.phases import Phase, phase_from_structure, read_level
from explorer.potentials import Potential
from explorer.reference_build import Limits
from explorer.reference_cache import ReferenceCache
from explorer.reference_energies import relaxed
from explorer.reference_parts import Outcome
from explorer.references import ReferencePhases, shipped_file, shipped_potentials
from explorer.relaxers import open_relaxer

if TYPE_CHECKING:
    from explorer.cluster import ClusterRelaxer
    from explorer.relax import Relaxer

SECONDS_BETWEEN_WORDS = 1.0


class MissingElementError(ValueError):
    """A potential gives no energy to an element, without which there is no hull."""


class SupplyStoppedError(RuntimeError):
    """Somebody asked to stop; what is relaxed is kept."""


def shipped_for(chosen: Potential) -> Path | None:
    """Return the shipped set whose energies are of a potential's level, None without."""
    files = map(shipped_file, shipped_potentials())
    return next((path for path in files if read_level(path) == chosen.level), None)


def supply(
    elements: Sequence[str],
    chosen: Potential,
    name: str,
    *,
    workers: int | None = None,
    say: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Return a file with the known phases of a system at a potential's level, relaxing what lacks.

    Parameters
    ----------
    elements
        Of the system; the phases of all systems inside it belong to it.
    chosen, name
        The potential, and what it was asked for as.
    workers
        Relaxation processes; None for one on each core.
    say
        Hears how far it is, about once a second.
    should_stop
        Asked several times a second.

    Raises
    ------
    MissingElementError
        When an element gets no energy.
    SupplyStoppedError
        When it had to stop.
    ReferenceFileError
        When the cache folder cannot be used.
    """
    source = ReferencePhases.shipped(elements)
    cache = ReferenceCache.of(
        chosen.level, {"limits": asdict(Limits()), "phases": source.name}, say
    )
    if not cache.holds(elements):
        known = _with_all_elements(source, elements)
        _Work(cache, chosen, tuple(sorted(elements)), say, should_stop).relax(known, workers)
    cache.remember(name, elements)
    return cache.path


def _with_all_elements(source: ReferencePhases, elements: Sequence[str]) -> list[Phase]:
    """Return the shipped phases, and the textbook crystal of each element that has none."""
    missing = sorted(set(elements) - source.elemental.keys())
    crystals = {symbol: elemental_structure(symbol) for symbol in missing}
    textbook = [
        phase_from_structure(f"element-{symbol}", crystal, float("nan"), source_of(symbol))
        for symbol, crystal in crystals.items()
        if crystal is not None
    ]
    return [*source.phases, *textbook]


@dataclass
class _Work:
    """Relaxing what a cache lacks of a system, and telling how far it is."""

    cache: ReferenceCache
    chosen: Potential
    elements: tuple[str, ...]
    say: Callable[[str], None]
    should_stop: Callable[[], bool]
    total: int = 0
    done: int = 0
    stopped: bool = False
    told: float = float("-inf")
    began: float = field(default_factory=time.monotonic)

    def relax(self, known: Sequence[Phase], workers: int | None) -> None:
        """Relax what is not settled yet, and say which phases get no energy.

        Elements first: without one of them the others are worth nothing.
        """
        settled = self.cache.settled([phase.id for phase in known])
        missing = {phase.id: phase for phase in known if phase.id not in settled}
        self.total = len(missing)
        if missing:
            self._tell()
        elements = {name: phase for name, phase in missing.items() if "-" not in phase.chemsys}
        compounds = {name: phase for name, phase in missing.items() if name not in elements}
        with open_relaxer(self.chosen, workers=workers) as relaxer:
            self._relax_some(elements, relaxer)
            self._refuse_missing_elements()
            self._relax_some(compounds, relaxer)
        self._tell_failures()

    def _relax_some(self, some: dict[str, Phase], relaxer: Relaxer | ClusterRelaxer) -> None:
        """Relax phases in an order of this process's own.

        Another process that works on the same system takes another order, and neither repeats
        what the other one has settled.
        """
        order = sorted(some)
        random.Random(os.getpid()).shuffle(order)
        queue = self._not_settled(order, some)
        for outcome in relaxed(queue, relaxer, self._stopping):
            self.cache.put(_settled(some[outcome.id], outcome))
            self._count()
        if self.stopped:
            raise SupplyStoppedError(f"stopped, {self.done} of {self.total} phases are relaxed")

    def _not_settled(
        self, order: Sequence[str], some: dict[str, Phase]
    ) -> Iterator[tuple[str, Structure]]:
        for name in order:
            if self.cache.settled([name]):
                self._count()  # by another process
            else:
                yield name, some[name].structure

    def _stopping(self) -> bool:
        """Whether to stop; once it was so it stays so."""
        self.stopped = self.stopped or self.should_stop()
        return self.stopped

    def _refuse_missing_elements(self) -> None:
        have = {phase.chemsys for phase in self.cache.phases(self.elements)}
        failed = {p.chemsys: p.remark for p in self.cache.phases(self.elements, failed=True)}
        missing = [symbol for symbol in self.elements if symbol not in have]
        if missing:
            reasons = [f"{s} ({failed.get(s, 'no crystal is known')})" for s in missing]
            raise MissingElementError(
                f"{self.chosen.level.potential} gives no reference energy for "
                f"{', '.join(reasons)}: choose other elements or another potential, or give "
                "references of your own"
            )

    def _tell_failures(self) -> None:
        """Name the compounds with which no candidate competes."""
        failed = [p for p in self.cache.phases(self.elements, failed=True) if "-" in p.chemsys]
        if failed:
            names = ", ".join(f"{p.id} {p.formula} ({p.remark})" for p in failed[:3])
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            self.say(f"{len(failed)} reference phases get no energy: {names}{more}")

    def _count(self) -> None:
        self.done += 1
        if self.done < self.total and time.monotonic() - self.told > SECONDS_BETWEEN_WORDS:
            self._tell()

    def _tell(self) -> None:
        self.told = time.monotonic()
        left = (self.told - self.began) / max(self.done, 1) * (self.total - self.done) / 60
        pace = f", {left:.0f} min left" if self.done and left >= 1 else ""
        system, name = "-".join(self.elements), self.chosen.level.potential
        number = f"{self.done + 1} of {self.total}"
        self.say(f"relaxing {number} reference phases of {system} with {name}{pace}")


def _settled(phase: Phase, outcome: Outcome) -> Phase:
    return replace(
        phase,
        energy_per_atom=outcome.energy_per_atom,
        geometry=outcome.geometry,
        remark=outcome.remark,
        lattice=outcome.lattice,
        frac_coords=outcome.frac_coords,
    )
