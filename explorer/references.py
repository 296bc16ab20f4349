"""Reference phases: the known crystals that a candidate competes with, all at one energy level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import isfinite
from pathlib import Path

from explorer.phases import (
    PREDICTED,
    CompetingPhase,
    Phase,
    ReferenceFileError,
    digest_of,
    read_level,
    read_system,
)
from explorer.potentials import EnergyLevel
from explorer.reference_cache import SUFFIX, ReferenceCache

__all__ = [
    "ReferenceFileError",
    "ReferencePhases",
    "shipped_file",
    "shipped_potentials",
]

DATA = Path(__file__).parent / "data"
POTENTIAL = "potential"
DFT = "dft"
HULL_WORDS = {
    POTENTIAL: "known phases and candidates at the energies of the potential",
    DFT: "candidate formation energy by the potential, on the convex hull of DFT formation "
    "energies (MP2020)",
}
"""The two hulls that a candidate can be placed on, in words for people."""


@dataclass(frozen=True, eq=False)
class ReferencePhases:
    """The known phases of a chemical system and the level of their energies.

    Attributes
    ----------
    level
        Potential, weights and correction that every energy here shares.
    phases
        Of the system and of all systems inside it.
    elements
        Of the system, alphabetical.
    name
        For provenance: the file name and a hash of its content, or what the maker calls the set.
    mode
        "potential", or "dft" where compounds carry DFT formation energies: see `HULL_WORDS`.
    raised
        Symbol to what the potential's energies of the pure element are raised by before they are
        compared with `phases`, eV/atom: where these put the element at another zero.
    """

    level: EnergyLevel
    phases: tuple[CompetingPhase, ...]
    elements: tuple[str, ...] = ()
    name: str = "unnamed"
    mode: str = POTENTIAL
    raised: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        if not self.elements:
            symbols = {s for phase in self.phases for s in phase.chemsys.split("-")}
            object.__setattr__(self, "elements", tuple(sorted(symbols)))
        duplicates = [i for i, n in Counter(p.id for p in self.phases).items() if n > 1]
        if duplicates:
            raise ValueError(f"phase ids must be unique, got {duplicates[0]!r} more than once")

    @classmethod
    def shipped(
        cls, chemical_system: str | Sequence[str], potential: str = "chgnet"
    ) -> ReferencePhases:
        """Read the phases that come with the program for a system such as "Al-Ca-Cu".

        Raises
        ------
        ReferenceFileError
            When no set of this potential is shipped.
        """
        return cls.from_file(shipped_file(potential), chemical_system)

    @classmethod
    def from_file(cls, path: Path, chemical_system: str | Sequence[str]) -> ReferencePhases:
        """Read the phases of a system from a file that `build`, `import_` or `supply` wrote.

        Raises
        ------
        ReferenceFileError
            When it cannot be read, or holds anything else.
        """
        elements = _symbols(chemical_system)
        if path.suffix == SUFFIX:
            cache = ReferenceCache(path)
            return cls(cache.level(), tuple(cache.phases(elements)), elements, path.stem)
        try:
            name = f"{path.name} [{digest_of(path)}]"
            return cls(read_level(path), tuple(read_system(path, elements)), elements, name)
        except ReferenceFileError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            told = f"{type(error).__name__}: {error}"
            raise ReferenceFileError(f"{path} is no set of reference phases: {told}") from error

    @cached_property
    def elemental(self) -> dict[str, CompetingPhase]:
        """The lowest phase of finite energy of each element that has one."""
        lowest: dict[str, CompetingPhase] = {}
        for phase in sorted(self.phases, key=lambda p: p.energy_per_atom):
            if "-" not in phase.chemsys and isfinite(phase.energy_per_atom):
                lowest.setdefault(phase.chemsys, phase)
        return lowest

    @property
    def published(self) -> ReferencePhases:
        """The same without what nobody published: predicted compounds and relaxed forms."""
        return replace(self, phases=tuple(phase for phase in self.phases if phase.published))

    @property
    def bare_pairs(self) -> tuple[str, ...]:
        """Pairs of elements, "Ca-Cu", without a known compound; crystals look too stable there."""
        known = {phase.chemsys for phase in self.phases if phase.published}
        pairs = map("-".join, combinations(self.elements, 2))
        return tuple(pair for pair in pairs if pair not in known)

    @property
    def coverage(self) -> str:
        """How many compounds compete, and which pairs of elements have none, in words."""
        compounds = [phase for phase in self.phases if "-" in phase.chemsys]
        predicted = {phase.formula for phase in compounds if phase.source == PREDICTED}
        count = len({phase.formula for phase in compounds})
        told = "1 compound competes" if count == 1 else f"{count} compounds compete"
        told += f" ({len(predicted)} of them predicted)" if predicted else ""
        bare = ", ".join(self.bare_pairs)
        return f"{told}; none is known in {bare}" if bare else told

    @property
    def missing_elements(self) -> tuple[str, ...]:
        """Elements of the system without an elemental phase of finite energy."""
        return tuple(e for e in self.elements if e not in self.elemental)

    def targets(
        self,
        elements: str | Sequence[str] | None = None,
        max_e_above_hull: float = 0.02,
    ) -> list[Phase]:
        """Return the published near-hull phases that hold exactly these elements (default: all).

        Parameters
        ----------
        elements
            Symbols, or a system such as "Al-Ca-Cu".
        max_e_above_hull
            Largest published (DFT) distance above the hull, eV/atom.
        """
        system = "-".join(_symbols(elements if elements is not None else self.elements))
        return [
            phase
            for phase in self.phases
            if isinstance(phase, Phase)
            and phase.chemsys == system
            and phase.e_above_hull_dft is not None
            and phase.e_above_hull_dft <= max_e_above_hull
        ]


def shipped_file(potential: str = "chgnet") -> Path:
    """Return the reference file that comes with the program for a potential.

    Raises
    ------
    ReferenceFileError
        When there is none; the message says how to make one.
    """
    path = DATA / f"references-{potential}.parquet"
    if ":" in potential or not path.is_file():
        raise ReferenceFileError(
            f"no reference phases of {potential!r} are at hand, only those of "
            f"{', '.join(shipped_potentials())}: a search in chosen elements relaxes them first, "
            "'hullscape references build' or 'import' makes a whole set"
        )
    return path


def shipped_potentials() -> list[str]:
    """Return the potentials whose reference phases come with the program."""
    return sorted(p.stem.removeprefix("references-") for p in DATA.glob("references-*.parquet"))


def _symbols(system: str | Sequence[str]) -> tuple[str, ...]:
    parts = system.split("-") if isinstance(system, str) else system
    return tuple(sorted({part.strip() for part in parts}))
