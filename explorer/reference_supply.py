"""Known phases at the energies of any potential: relaxed when they are first asked for, and kept.

They are the phases that come with the program, relaxed as candidates are. What the potential turns
into another crystal keeps the geometry that it had, and its `remark` says why, as in the sets that
`explorer.reference_build` makes.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from explorer.elements import elemental_structure, source_of
from explorer.phases import FORM, Phase, phase_from_structure, read_level, subsystems
from explorer.potentials import Potential
from explorer.reference_build import Limits
from explorer.reference_cache import ReferenceCache
from explorer.reference_energies import phases_of, relaxed
from explorer.references import ReferencePhases, shipped_file, shipped_potentials
from explorer.relaxed import RATTLE
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
    systems: Iterable[str],
    chosen: Potential,
    name: str,
    *,
    workers: int | None = None,
    say: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Return a file with the known phases of systems at a potential's level, relaxing what lacks.

    Parameters
    ----------
    systems
        Such as "Al-Ca-Cu"; the phases of all systems inside one belong to it.
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
    origin = {"limits": asdict(Limits()), "phases": ReferencePhases.shipped(()).name}
    cache = ReferenceCache.of(chosen.level, origin, say)
    asked = [tuple(sorted(system.split("-"))) for system in systems]
    lacking = [elements for elements in asked if not cache.holds(elements)]
    if lacking:
        known = {phase.id: phase for elements in lacking for phase in _known_phases(elements)}
        _Work(cache, chosen, lacking, say, should_stop).relax(known, workers)
    cache.remember(name, asked)
    return cache.path


def _known_phases(elements: Sequence[str]) -> list[Phase]:
    """Return the shipped phases, and the textbook crystal of each element that has none."""
    source = ReferencePhases.shipped(elements)
    missing = sorted(set(elements) - source.elemental.keys())
    crystals = {symbol: elemental_structure(symbol) for symbol in missing}
    textbook = [
        phase_from_structure(f"element-{symbol}", crystal, float("nan"), source_of(symbol))
        for symbol, crystal in crystals.items()
        if crystal is not None
    ]
    return [*(phase for phase in source.phases if phase.geometry != FORM), *textbook]


@dataclass
class _Work:
    """Relaxing what a cache lacks of a system, and telling how far it is."""

    cache: ReferenceCache
    chosen: Potential
    systems: Sequence[tuple[str, ...]]
    say: Callable[[str], None]
    should_stop: Callable[[], bool]
    total: int = 0
    done: int = 0
    stopped: bool = False
    told: float = float("-inf")
    began: float = field(default_factory=time.monotonic)

    def relax(self, known: Mapping[str, Phase], workers: int | None) -> None:
        """Relax what is not settled yet, and say which phases get no energy.

        Elements first: without one of them the others are worth nothing.
        """
        settled = self.cache.settled(list(known))
        missing = {name: phase for name, phase in known.items() if name not in settled}
        self.total = len(missing)
        if missing:
            self._tell()
        elements = {name: phase for name, phase in missing.items() if "-" not in phase.chemsys}
        compounds = {name: phase for name, phase in missing.items() if name not in elements}
        with open_relaxer(self.chosen, workers=workers, rattle=RATTLE) as relaxer:
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
            # The phase itself comes last: once it is there, nobody works on it again.
            for phase in reversed(phases_of(some[outcome.id], outcome)):
                self.cache.put(phase)
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
        elements = sorted({symbol for system in self.systems for symbol in system})
        have, failed = (self.cache.phases_of(elements, failed=failed) for failed in (False, True))
        reasons = {phase.chemsys: phase.remark for phase in failed}
        missing = sorted(set(elements) - {phase.chemsys for phase in have})
        if missing:
            why = [f"{s} ({reasons.get(s, 'no crystal is known')})" for s in missing]
            raise MissingElementError(
                f"{self.chosen.level.potential} gives no reference energy for {', '.join(why)}: "
                "choose other elements or another potential, or give references of your own"
            )

    def _tell_failures(self) -> None:
        """Name the compounds with which no candidate competes."""
        names = sorted({name for system in self.systems for name in subsystems(system)})
        failed = [p for p in self.cache.phases_of(names, failed=True) if "-" in p.chemsys]
        if failed:
            told = ", ".join(f"{p.id} {p.formula} ({p.remark})" for p in failed[:3])
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            self.say(f"{len(failed)} reference phases get no energy: {told}{more}")

    def _count(self) -> None:
        self.done += 1
        if self.done == 1:  # what came before was loading
            self.began = time.monotonic()
        if self.done < self.total and time.monotonic() - self.told > SECONDS_BETWEEN_WORDS:
            self._tell()

    def _tell(self) -> None:
        self.told = time.monotonic()
        left = (self.told - self.began) / max(self.done - 1, 1) * (self.total - self.done) / 60
        pace = f", {left:.0f} min left" if self.done > 1 and left >= 1 else ""
        number, name = f"{self.done + 1} of {self.total}", self.chosen.level.potential
        one = len(self.systems) == 1
        what = "-".join(self.systems[0]) if one else f"{len(self.systems)} systems"
        self.say(f"relaxing {number} reference phases of {what} with {name}{pace}")
