"""What `hullscape references` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from explorer.campaign import CampaignSpec, SpecError
from explorer.commands import Progress, read_foreign
from explorer.dft_vertices import build_hull
from explorer.element_fit import fit_elements, write_fit
from explorer.hull import Hull
from explorer.laboratory import choose_device
from explorer.outputs import refuse_unwritable
from explorer.phases import FORM, ReferenceFileError, read_chemical_systems, read_level, read_notes
from explorer.potentials import Potential, potential
from explorer.providers import from_materials_project, from_optimade
from explorer.reference_build import BuildReport, Limits, build
from explorer.reference_cache import SUFFIX, ReferenceCache, cached_file, cached_sets, clear
from explorer.reference_import import import_phases
from explorer.references import ReferencePhases, shipped_file, shipped_potentials
from explorer.sides import build_sides


def build_references(
    structures: Path,
    name: str,
    output: Path,
    *,
    limits: Limits | None,
    compounds: int | None,
    seed: int,
    resume: bool,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Compute a reference set from published structures, relaxed when there are limits."""
    chosen = potential(name, choose_device(device))
    if not structures.is_file():
        raise SpecError(f"no such file: {structures}: expected a Parquet table of structures")
    _refuse_parquet(output)
    how = {"limits": limits, "compounds": compounds, "seed": seed, "workers": workers}
    report = build(structures, chosen, output, resume, progress, **how)
    return _reference_report(report, chosen, output)


def import_references(
    files: Sequence[Path],
    spec: CampaignSpec,
    output: Path,
    *,
    optimade: str | None,
    materials_project: bool,
    max_above_hull: float,
    limits: Limits | None,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Compute a reference set from a user's own structures, or from a database's."""
    online = optimade is not None or materials_project
    if not files and not online:
        raise SpecError("expected files, --optimade URL or --materials-project, got none of them")
    if online and not spec.elements:
        raise SpecError("expected --elements such as Al-Ca-Cu: which system to fetch", "elements")
    chosen = potential(spec.potential, choose_device(device))
    _refuse_parquet(output)
    brought = [(Path(file).name, one) for file in files for one in read_foreign(file)]
    provided = [from_optimade(optimade, spec.elements)] if optimade else []
    if materials_project:
        provided.append(from_materials_project(spec.elements, max_above_hull))
    for some in provided:
        progress(f"{some.source}: {len(some.structures)} structures")
        brought += [(some.source, one) for one in some.structures]
    report = import_phases(brought, chosen, output, progress, limits=limits, workers=workers)
    refused = {name: why for some in provided for name, why in some.refused.items()}
    report = replace(report, refused=refused | report.refused)
    return _reference_report(report, chosen, output) | {"elements_added": list(report.added)}


def hull_of_tables(tables: Sequence[Path], output: Path, *, progress: Progress) -> dict[str, Any]:
    """Compute the corners of the hulls of published formation energies."""
    _refuse_parquet(output)
    report = build_hull(tables, output, progress)
    return {**asdict(report), "output": str(output)}


def fit_to_tables(references: Path, structures: Path, output: Path) -> dict[str, Any]:
    """Fit the zero of each element to published formation energies, and write it."""
    refuse_unwritable(output)
    fit = fit_elements(references, structures)
    write_fit(output, fit)
    figures = {"n": fit.n, "mae_before": fit.mae_before, "mae_after": fit.mae_after}
    return {"potential": str(fit.level), **figures, "output": str(output)}


def predict_sides(
    spec: CampaignSpec, output: Path, *, workers: int | None, device: str, progress: Progress
) -> dict[str, Any]:
    """Predict what the pairs of elements lack, of those given or of all."""
    chosen = potential(spec.potential, choose_device(device))
    spec.refuse_unknown(chosen.elements, f"the potential {spec.potential}")
    _refuse_parquet(output)
    report = build_sides(chosen, output, spec.elements, workers=workers, progress=progress)
    return {**asdict(report), "potential": str(chosen.level), "output": str(output)}


def _refuse_parquet(output: Path) -> None:
    if output.suffix != ".parquet":
        raise SpecError(f"cannot write {output}: expected a name that ends in .parquet")
    refuse_unwritable(output)


def _reference_report(report: BuildReport, chosen: Potential, output: Path) -> dict[str, Any]:
    return {
        "written": report.written,
        "forms": report.forms,
        "refused": report.refused,
        "unrelaxed": report.unrelaxed,
        "resumed": report.resumed,
        "potential": str(chosen.level),
        "output": str(output),
    }


def list_references(
    spec: CampaignSpec, name: str, file: Path | None
) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the known phases of a chemical system; without elements, what sets there are."""
    if not spec.elements:
        return _notes(file) if file else _sets()
    path = file or cached_file(name, spec.elements) or shipped_file(name)
    found = ReferencePhases.from_file(path, spec.elements)
    hull = Hull(found)
    return [
        {
            "id": phase.id,
            "formula": phase.formula,
            "spacegroup": phase.spacegroup,
            "energy_per_atom": round(phase.energy_per_atom, 4),
            "energy_above_hull": _rounded(
                hull.place(phase.formula, phase.energy_per_atom, found.level).energy_above_hull
            ),
            "source": phase.source,
            "geometry": phase.geometry,
        }
        for phase in sorted(found.phases, key=lambda phase: (phase.chemsys, phase.formula))
    ]


def _notes(file: Path) -> dict[str, Any]:
    if file.suffix == SUFFIX:
        cache = ReferenceCache(file)
        return cache.notes() | cache.contents()
    return read_notes(file) | {"systems": len(read_chemical_systems(file))}


def _sets() -> list[dict[str, Any]]:
    """Return the sets that come with the program, and those that were relaxed when asked for."""
    shipped = [
        {
            "set": "shipped",
            "potential": str(read_level(path)),
            "asked_as": [name],
            "systems": len(read_chemical_systems(path)),
            **_counted(path),
            "without_energy": 0,
            "file": str(path),
        }
        for name, path in ((name, shipped_file(name)) for name in shipped_potentials())
    ]
    return shipped + [_cached(cache) for cache in cached_sets()]


def _counted(path: Path) -> dict[str, int]:
    """Count the phases of a set, and what the potential made of some of them."""
    kinds = pq.read_table(path, columns=["geometry"])["geometry"].to_pylist()
    forms = kinds.count(FORM)
    return {"phases": len(kinds) - forms, "forms": forms}


def _cached(cache: ReferenceCache) -> dict[str, Any]:
    """Describe a cached set; one that cannot be read is listed too."""
    try:
        told = {"potential": str(cache.level()), **cache.contents()}
    except ReferenceFileError:
        unknown = dict.fromkeys(("systems", "phases", "forms", "without_energy"))
        told = {"potential": "cannot be read", "asked_as": [], **unknown}
    return {"set": "cached", **told, "file": str(cache.path)}


def clear_references(name: str | None) -> dict[str, Any]:
    """Delete the cached sets of a potential, or all; shipped sets and files of a user's stay.

    Raises
    ------
    SpecError
        When there is none of that name.
    """
    gone = clear(name)
    if name is not None and not gone:
        asked = sorted({one for cache in cached_sets() for one in _cached(cache)["asked_as"]})
        known = f"expected one of {', '.join(asked)}" if asked else "there are none of any"
        raise SpecError(f"no cached reference phases of {name}: {known}")
    return {"deleted": [str(path) for path in gone]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
