"""What a hull distance from a potential is worth: its hull against the one of DFT.

Each labelled structure gets the potential's energy and is placed on the hull of the known phases of
its own system, without itself. Distances are in eV/atom, on the potential's own energy level.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer.crystals import NamedStructure, gate
from explorer.hull import Hull
from explorer.novelty import Lookup, Matcher, MatchError, Pool
from explorer.phases import form_id
from explorer.potentials import Potential
from explorer.references import DFT, HULL_WORDS

if TYPE_CHECKING:
    from explorer.relax import Relaxer

LABELS = ("decomposition_energy", "e_above_hull")
"""Columns with the DFT distance, eV/atom; the first is negative below the hull, the second not."""
NEAR = 0.1
"""eV/atom: metastable."""
THRESHOLDS = (0.0, 0.05, NEAR)
"""eV/atom: stable, nearly so, metastable."""
BINS = (-0.1, 0.0, 0.05, 0.1, 0.2, 0.4)
"""eV/atom: where predicted distances are cut for the calibration table."""
CHUNK = 64


@dataclass(frozen=True)
class Labelled:
    """A structure whose distance from the DFT hull is known, and what the potential makes of it."""

    name: str
    """Its id in the file."""
    structure: Structure
    """As published."""
    distance: float
    """From the DFT hull, eV/atom."""
    energy: float | None = None
    """Of the potential, eV/atom."""
    predicted: float | None = None
    """From the hull of the potential, eV/atom."""
    rivals: int = 0
    """Known compounds, elements apart, that the hull was built of."""
    reason: str = ""
    """Why it could not be placed."""


def read_labels(file: Path) -> tuple[str, np.ndarray]:
    """Return the column that holds DFT distances, and its values (eV/atom, NaN where unknown).

    Raises
    ------
    ValueError
        When the file is no Parquet file or has neither column.
    """
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{file}: expected a Parquet file with DFT distances: {error}") from error
    column = next((name for name in LABELS if name in names), None)
    if column is None:
        raise ValueError(f"{file} lacks the DFT distances: expected a column {' or '.join(LABELS)}")
    values = pq.read_table(file, columns=[column])[column].to_pandas()
    return column, pd.to_numeric(values, errors="coerce").to_numpy(float)


def evaluate_hull(
    named: Sequence[NamedStructure],
    distances: Sequence[float],
    potential: Potential,
    references: Lookup,
    *,
    competing: Lookup | None = None,
    signed: bool = True,
    relaxer: Relaxer | None = None,
    matcher: Matcher | None = None,
    each: Callable[[Labelled], None] = lambda _: None,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Place structures on the potential's hull and compare with their DFT distances.

    Parameters
    ----------
    named, distances
        Structures and their DFT distances from the hull, eV/atom, all finite.
    potential, references
        What gives the energies, and a function from a chemical system to its known phases.
    competing
        From a chemical system to what its hull is made of; the known phases when not given.
    signed
        Whether DFT distances go below 0; otherwise the potential's are cut off there too.
    relaxer
        Relaxes each structure first; None takes its energy as it stands.
    matcher
        Decides which known phases are the structure itself and are left out.
    each
        Hears of each structure with its place, or with the reason why it has none.

    Returns
    -------
    dict
        ``n``, ``n_placed``, ``failed`` and ``reasons`` of the others; ``without_rivals``, how many
        were placed against the elements alone: a hull that lacks phases flatters what lies on it;
        ``mae``, ``bias`` (potential minus DFT) and
        ``median_absolute_error`` in eV/atom, ``spearman``; by threshold (eV/atom) ``auc``,
        ``precision``, ``recall``, ``f1`` and ``confusion`` of "not farther from the hull", None
        where there is nothing to divide by; ``calibration`` by bins of the predicted distance;
        ``potential``, ``hull``, ``references``, ``geometry``, ``seconds``.
    """
    began = time.monotonic()
    items = [Labelled(*item, float(d)) for item, d in zip(named, distances, strict=True)]
    items = list(_with_energies(items, potential, relaxer, progress))
    hulls = competing or references
    bench = _Bench(references, hulls, matcher or Matcher(), potential, signed)
    placed = []
    for item in items:
        placed.append(item if item.reason else bench.place(item))
        each(placed[-1])
        if len(placed) % CHUNK == 0:
            progress(f"placed {len(placed)}/{len(items)}")
    good = [item for item in placed if item.predicted is not None]
    truth = np.array([item.distance for item in good])
    predicted = np.array([item.predicted for item in good])
    told: dict[str, Any] = {"n": len(placed), "n_placed": len(good)}
    told["failed"] = len(placed) - len(good)
    told["reasons"] = dict(Counter(item.reason for item in placed if item.predicted is None))
    told["without_rivals"] = sum(not item.rivals for item in good)
    predicted = predicted if signed else np.maximum(predicted, 0.0)
    told |= compare(truth, predicted)
    told["calibration"] = calibration(truth, predicted)
    told["potential"] = str(potential.level)
    told["hull"] = HULL_WORDS[hulls("").mode]
    told["references"] = hulls("").name
    told["geometry"] = "relaxed" if relaxer else "as given"
    return told | {"seconds": round(time.monotonic() - began, 1)}


def table_of(placed: Sequence[Labelled], told: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each structure: what DFT (eV/atom) and the potential say of it.

    Parameters
    ----------
    told
        What `evaluate_hull` returned: each row says with what it was placed, and where.
    """
    common = {name: told[name] for name in ("potential", "hull", "geometry")}
    return pd.DataFrame(
        {
            "id": item.name,
            "formula": item.structure.composition.reduced_formula,
            "chemsys": item.structure.chemical_system,
            "n_atoms": len(item.structure),
            "dft": item.distance,
            "predicted": item.predicted,
            "energy_per_atom": item.energy,
            "rivals": item.rivals,
            "reason": item.reason,
        }
        | common
        for item in placed
    )


def compare(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Return errors, rank correlation and classification figures of distances, (N,) eV/atom."""
    error = predicted - truth
    size = np.abs(error)
    told: dict[str, Any] = {
        "mae": _rounded(size.mean() if len(size) else None),
        "median_absolute_error": _rounded(np.median(size) if len(size) else None),
        "bias": _rounded(error.mean() if len(size) else None),
        "spearman": _rounded(_spearman(truth, predicted)),
    }
    columns = {f"{t:g}": _classified(truth, predicted, t) for t in THRESHOLDS}
    for name in ("auc", "precision", "recall", "f1", "confusion"):
        told[name] = {threshold: figures[name] for threshold, figures in columns.items()}
    return told


def calibration(truth: np.ndarray, predicted: np.ndarray) -> list[dict[str, Any]]:
    """Return, for bins of the predicted distance, what DFT says of what lies there.

    Each row: ``from`` and ``to`` (eV/atom, None for open ends), ``n``, the means ``predicted`` and
    ``dft`` and the standard deviation ``spread`` of DFT distances (eV/atom), and ``stable`` and
    ``near``, the shares that DFT finds up to 0 and up to 0.1 eV/atom.
    """
    edges = (-np.inf, *BINS, np.inf)
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (predicted > low) & (predicted <= high)
        count = int(inside.sum())
        there = truth[inside]
        rows.append(
            {
                "from": None if np.isinf(low) else low,
                "to": None if np.isinf(high) else high,
                "n": count,
                "predicted": _rounded(predicted[inside].mean() if count else None),
                "dft": _rounded(there.mean() if count else None),
                "spread": _rounded(there.std() if count else None),
                "stable": _rounded(_share(int((there <= 0).sum()), count)),
                "near": _rounded(_share(int((there <= NEAR).sum()), count)),
            }
        )
    return rows


def _classified(truth: np.ndarray, predicted: np.ndarray, threshold: float) -> dict[str, Any]:
    is_near, said = truth <= threshold, predicted <= threshold
    counts = {
        "true_positive": int((is_near & said).sum()),
        "false_positive": int((~is_near & said).sum()),
        "false_negative": int((is_near & ~said).sum()),
        "true_negative": int((~is_near & ~said).sum()),
    }
    hits, false_alarms, missed, _ = counts.values()
    return {
        "auc": _rounded(_auc(is_near, predicted)),
        "precision": _rounded(_share(hits, hits + false_alarms)),
        "recall": _rounded(_share(hits, hits + missed)),
        "f1": _rounded(_share(2 * hits, 2 * hits + false_alarms + missed)),
        "confusion": counts,
    }


def _auc(is_near: np.ndarray, predicted: np.ndarray) -> float | None:
    """Chance that a structure near the DFT hull is predicted lower than one that is not."""
    near, far = int(is_near.sum()), int((~is_near).sum())
    if not near or not far:
        return None
    ranks = pd.Series(-predicted).rank().to_numpy()
    return float((ranks[is_near].sum() - near * (near + 1) / 2) / (near * far))


def _spearman(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return None
    return float(np.corrcoef(pd.Series(truth).rank(), pd.Series(predicted).rank())[0, 1])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _with_energies(
    items: Sequence[Labelled],
    potential: Potential,
    relaxer: Relaxer | None,
    progress: Callable[[str], None],
) -> Iterator[Labelled]:
    """Yield the items with the potential's energy, or with the reason why there is none."""
    refused = [_refused(item, potential) for item in items]
    good = [item for item in refused if not item.reason]
    energies = _relaxed(good, relaxer, progress) if relaxer else _static(good, potential, progress)
    yield from [item for item in refused if item.reason]
    for item, (energy, reason) in zip(good, energies, strict=True):
        yield replace(item, energy=energy, reason=reason)


def _refused(item: Labelled, potential: Potential) -> Labelled:
    unknown = "" if (bad := gate(item.structure)) else potential.unknown_elements(item.structure)
    words = f"{potential.name} does not know {', '.join(unknown)}" if unknown else ""
    return replace(item, reason=bad or words)


def _static(
    items: Sequence[Labelled], potential: Potential, progress: Callable[[str], None]
) -> Iterator[tuple[float | None, str]]:
    for start in range(0, len(items), CHUNK):
        chunk = [item.structure for item in items[start : start + CHUNK]]
        for energy in potential.static_energies(chunk):
            finite = bool(np.isfinite(energy))
            yield (energy, "") if finite else (None, "the potential gives no energy")
        progress(f"energies {start + len(chunk)}/{len(items)}")


def _relaxed(
    items: Sequence[Labelled], relaxer: Relaxer, progress: Callable[[str], None]
) -> Iterator[tuple[float | None, str]]:
    found: dict[int, tuple[float | None, str]] = {}
    for key, relaxation in relaxer.relax(enumerate(item.structure for item in items)):
        # The energy of a structure that is not at rest would count as an error of the potential.
        energy = relaxation.energy_per_atom if relaxation.converged else None
        found[key] = (energy, relaxation.reason)
        progress(f"relaxed {len(found)}/{len(items)}")
    yield from (found[key] for key in range(len(items)))


@dataclass
class _Bench:
    """Hulls by chemical system, and what each structure must leave out of them."""

    references: Lookup
    competing: Lookup
    matcher: Matcher
    potential: Potential
    signed: bool
    hulls: dict[str, Hull] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)

    def place(self, item: Labelled) -> Labelled:
        """Place an item on the hull of its system, without itself.

        On the hull of DFT a known phase lies at its DFT energy, which says nothing of the
        potential's: it stays there for labels that are measured from the hull with it.
        """
        system = item.structure.chemical_system
        if system not in self.hulls:
            self._open(system)
        hull = self.hulls[system]
        try:
            if hull.references.mode == DFT and not self.signed:
                return self._placed(item, hull)
            itself = {item.name, *self.pools[system].matches(item.structure)}
            itself |= {form_id(name) for name in itself}
        except MatchError as error:
            # It may be one of the known phases, and would then compete with itself.
            return replace(item, reason=str(error))
        return self._placed(item, without(hull, itself))

    def _placed(self, item: Labelled, hull: Hull) -> Labelled:
        formula = item.structure.composition.reduced_formula
        point = hull.place(formula, item.energy, self.potential.level)
        rivals = sum("-" in phase.chemsys for phase in hull.references.phases)
        return replace(item, predicted=point.energy_above_hull, rivals=rivals, reason=point.reason)

    def _open(self, system: str) -> None:
        phases = self.references(system)
        self.hulls[system] = Hull(self.competing(system))
        self.pools[system] = Pool(self.matcher)
        for phase in phases.phases:
            if phase.chemsys == system:
                self.pools[system].add(phase.id, phase.structure)


def without(hull: Hull, ids: set[str]) -> Hull:
    """Return the hull of the reference phases but these; the same hull when it has none of them."""
    known = hull.references
    kept = [phase for phase in known.phases if phase.id not in ids]
    if len(kept) == len(known.phases):
        return hull
    return Hull(replace(known, phases=tuple(kept)))
