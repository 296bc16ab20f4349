"""Making reference sets: the energies of a potential for published phases."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path

import numpy as np
import pyarrow as pa

from explorer.crystals import spacegroup_of
from explorer.elements import elemental_structure, source_of
from explorer.logs import say
from explorer.novelty import Matcher
from explorer.phases import (
    FORM,
    STATIC,
    Phase,
    phase_from_row,
    phase_from_structure,
    read_columns,
    write_phases,
)
from explorer.potentials import Potential
from explorer.reference_energies import named_rows, phases_of, relaxed, settled, static
from explorer.reference_parts import Outcome, Parts
from explorer.relax import Relaxer
from explorer.relaxation import FMAX, MAX_STEPS, SMAX, relax_structure
from explorer.relaxation import Limits as WhenRelaxed
from explorer.relaxed import RATTLE

MAX_E_ABOVE_HULL = 0.1
"""eV/atom; published phases farther from the hull compete with nothing."""
POOR_ELEMENT = 0.02
"""eV/atom; an element whose best published phase lies higher gets its textbook crystal too."""
ROWS_PER_PART = 64
SECONDS_PER_PART = 60.0
"""What a killed build may lose at most: so many phases, or so much time."""
COLUMNS = (
    "id",
    "source",
    "formula",
    "chemsys",
    "n_atoms",
    "spacegroup",
    "e_above_hull",
    "lattice",
    "numbers",
    "frac_coords",
)
"""Of a table of published structures."""

ATTRIBUTION = (
    "Structures and published hull distances: Materials Project (CC BY 4.0; Jain et al., APL "
    "Mater. 1, 011002, 2013), in the MP-20 (Xie et al., ICLR 2022) and MPTS-52 (Baird and Sparks) "
    "selections; WBM (Wang, Botti, Marques, npj Comput. Mater. 7, 12, 2021) as served by Matbench "
    "Discovery. Elemental crystals: reference states of ASE and textbook structures."
)


@dataclass(frozen=True)
class BuildReport:
    """What became of the structures of a reference set.

    Attributes
    ----------
    written
        Phases in the file.
    refused
        Name to reason of every structure that did not get in.
    unrelaxed
        Id to reason of every phase that kept its static energy although the set is relaxed.
    resumed
        How many phases an earlier, interrupted run had computed.
    added
        Elements that got their textbook crystal, in an import.
    forms
        How many of the phases written are what the potential made of published ones.
    """

    written: int
    refused: dict[str, str]
    unrelaxed: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    added: tuple[str, ...] = ()
    forms: int = 0


@dataclass(frozen=True)
class Limits:
    """When a reference phase counts as relaxed: eV/Å, eV/Å³, steps.

    And by how many Å it is rattled, if it has no more than so many atoms.
    """

    fmax: float = FMAX
    smax: float = SMAX
    max_steps: int = MAX_STEPS
    rattle: float = RATTLE
    rattle_atoms: int | None = None


def build(
    structures_file: Path,
    potential: Potential,
    out: Path,
    resume: bool = True,
    progress: Callable[[str], None] = say,
    *,
    limits: Limits | None = None,
    compounds: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> BuildReport:
    """Compute the reference set of every chemical system of a table of published structures.

    Each phase near the published hull gets an energy of the potential; each element without a good
    one also gets its textbook crystal, relaxed.

    Parameters
    ----------
    structures_file
        Parquet with columns id, source, formula, chemsys, spacegroup, e_above_hull (eV/atom),
        lattice, numbers, frac_coords.
    potential
        Gives the energies and the level of the set.
    out
        Parquet file to write, atomically. Finished parts wait in a folder beside it.
    resume
        Use the parts of an earlier, interrupted run.
    progress
        Receives a line now and then.
    limits
        Every phase is relaxed to these; None takes energies on the published geometry.
    compounds, seed
        How many compounds to draw at random beside all elements; None takes all.
    workers
        Of the relaxation.

    Raises
    ------
    ReferenceFileError
        When the table lacks a column, or the parts beside `out` belong to another build.
    """
    rows = published_rows(structures_file, potential.elements, compounds, seed)
    mark = {
        **({"compounds": compounds, "seed": seed} if compounds is not None else {}),
        "structures": hashlib.sha256(structures_file.read_bytes()).hexdigest()[:12],
        "level": str(potential.level),
        "relaxed": asdict(limits) if limits else None,
    }
    parts = Parts(out.with_name(out.stem + ".parts"), mark, resume)
    resumed = len(parts.ids())
    with ExitStack() as stack:
        relaxer = Relaxer(potential, **asdict(limits), workers=workers) if limits else None
        compute_missing(
            rows, potential, parts, stack.enter_context(relaxer) if relaxer else None, progress
        )
    outcomes = {outcome.id: outcome for outcome in parts.read()}
    settled = [_settled(row, outcomes[row["id"]]) for row in rows.to_pylist()]
    published = [phase for phase, *_ in settled]
    poor = _poor_elements(published, potential.elements)
    forms = [phase for _, *others in settled for phase in others]
    phases = [*published, *forms, *elemental_phases(poor, potential, progress)]
    relaxed_words = "relaxed with the potential; column geometry says which are not, remark why"
    static_words = "published DFT geometry, static energy; elements without one: relaxed"
    geometry = relaxed_words if limits else static_words
    report = write_set(out, phases, potential, {"attribution": ATTRIBUTION, "geometry": geometry})
    parts.remove()
    kept = {p.id: p.remark for p in published if limits and p.geometry == STATIC}
    unrelaxed = {name: reason for name, reason in kept.items() if name not in report.refused}
    return replace(report, unrelaxed=unrelaxed, resumed=resumed)


def published_rows(
    structures_file: Path, elements: frozenset[str], compounds: int | None = None, seed: int = 0
) -> pa.Table:
    """Return the rows near the published hull, and all elemental rows, within `elements`."""
    rows = read_columns(structures_file, COLUMNS)
    systems = rows["chemsys"].to_pylist()
    near = np.asarray(rows["e_above_hull"].to_numpy() <= MAX_E_ABOVE_HULL)
    unary = np.array(["-" not in system for system in systems], dtype=bool)
    known = np.array([elements.issuperset(system.split("-")) for system in systems], dtype=bool)
    chosen = (near | unary) & known
    if compounds is not None:
        drawn = np.random.default_rng(seed).permutation(np.flatnonzero(chosen & ~unary))
        chosen[drawn[compounds:]] = False
    return rows.filter(pa.array(chosen))


def compute_missing(
    rows: pa.Table,
    potential: Potential,
    parts: Parts,
    relaxer: Relaxer | None = None,
    progress: Callable[[str], None] = say,
) -> None:
    """Compute what `parts` lacks of the rows; what is done lies there whenever this ends."""
    done = parts.ids()
    left = rows.filter(pa.array([i not in done for i in rows["id"].to_pylist()], pa.bool_()))
    pace = _Pace(len(rows), len(done), progress)
    outcomes = relaxed(named_rows(left), relaxer) if relaxer else static(left, potential)
    batch: list[Outcome] = []
    try:
        for outcome in outcomes:
            batch.append(outcome)
            if len(batch) >= ROWS_PER_PART or pace.seconds > SECONDS_PER_PART:
                batch = pace.keep(parts, batch)
    finally:
        # Also after Ctrl-C: what is computed is not computed again.
        pace.keep(parts, batch)


@dataclass
class _Pace:
    """How fast a build goes, for the person who waits for it."""

    total: int
    done: int
    progress: Callable[[str], None]

    def __post_init__(self) -> None:
        self.began = self.saved = time.monotonic()
        self.fresh = 0

    @property
    def seconds(self) -> float:
        """Since the last part was written."""
        return time.monotonic() - self.saved

    def keep(self, parts: Parts, batch: Sequence[Outcome]) -> list[Outcome]:
        """Write a batch as a part, tell, and return the next, empty batch."""
        if batch:
            parts.write(batch)
            self.fresh += len(batch)
            self.saved = time.monotonic()
            rate = self.fresh / max(self.saved - self.began, 1e-9) * 60
            done = self.done + self.fresh
            left = (self.total - done) / rate
            self.progress(f"{done}/{self.total} phases, {rate:.0f} a minute, {left:.0f} min left")
        return []


def _settled(row: dict, outcome: Outcome) -> tuple[Phase, ...]:
    return phases_of(phase_from_row({**row, "energy_per_atom": outcome.energy_per_atom}), outcome)


def _poor_elements(published: list[Phase], elements: frozenset[str]) -> list[str]:
    good = {
        p.chemsys for p in published if "-" not in p.chemsys and p.e_above_hull_dft <= POOR_ELEMENT
    }
    return sorted(elements - good)


def elemental_phases(
    symbols: Sequence[str], potential: Potential, progress: Callable[[str], None]
) -> Iterator[Phase]:
    """Yield the textbook crystal of each element, relaxed; those that fail are told."""
    calculator = potential.calculator()
    limits, matcher = WhenRelaxed(max_steps=500, rattle=RATTLE), Matcher()
    for symbol in symbols:
        structure = elemental_structure(symbol)
        if structure is None:
            progress(f"{symbol}: no textbook crystal at hand")
            continue
        name = f"element-{symbol}"
        done = relax_structure(structure, calculator, potential.level, limits)
        if done.structure is None:
            progress(f"{symbol}: {done.reason}")
            continue
        # A textbook's lengths are a beginning: the crystal is what they first came to rest in.
        rest = (done.rest or done).structure
        outcome = settled(name, rest, done, matcher)
        textbook = phase_from_structure(
            name,
            rest,
            outcome.energy_per_atom,
            source_of(symbol),
            spacegroup=spacegroup_of(rest),
        )
        for phase in phases_of(textbook, outcome):
            energy = f"{phase.energy_per_atom:.4f} eV/atom"
            progress(f"{phase.id}: {energy}, group {phase.spacegroup} {phase.remark}")
            yield phase


def write_set(
    out: Path, phases: Sequence[Phase], potential: Potential, notes: dict[str, str]
) -> BuildReport:
    """Write the phases that have an energy; the others are refused by name."""
    finite = [phase for phase in phases if isfinite(phase.energy_per_atom)]
    refused = {
        p.id: p.remark or "no finite energy" for p in phases if not isfinite(p.energy_per_atom)
    }
    write_phases(out, finite, potential.level, notes)
    forms = sum(phase.geometry == FORM for phase in finite)
    return BuildReport(len(finite), refused, forms=forms)
