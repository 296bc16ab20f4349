"""`hullscape references`: the known phases that candidates compete with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.cli_groups import grouped
from explorer.cli_options import (
    Common,
    Elements,
    Fmax,
    MaxSteps,
    Potential,
    Rattle,
    ReferenceFile,
    Settled,
    Workers,
    show_progress,
    spec_of,
    tell,
)
from explorer.relaxed import RATTLE

app = typer.Typer(help="Known phases that candidates compete with.", no_args_is_help=True)


@app.command(name="build")
@grouped
def references_build(
    *,
    structures: Annotated[Path, typer.Option(help="Parquet table of published structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    potential: Potential = "chgnet",
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each phase instead of taking it as published.")
    ] = False,
    fmax: Fmax = 0.05,
    max_steps: MaxSteps = 200,
    rattle: Rattle = RATTLE,
    rattle_atoms: Annotated[
        int | None,
        typer.Option(min=1, help="Rattle only phases of up to so many atoms; all without it."),
    ] = None,
    compounds: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many, at random, and all elements: for references fit."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Use what an interrupted run computed.")] = True,
    workers: Workers = None,
    common: Common,
) -> None:
    """Compute the known phases of every chemical system of a table with a potential."""
    from explorer.reference_build import Limits  # noqa: PLC0415 - imports torch
    from explorer.reference_commands import build_references  # noqa: PLC0415 - imports torch

    told = build_references(
        structures,
        potential,
        output,
        limits=Limits(fmax, max_steps=max_steps, rattle=rattle, rattle_atoms=rattle_atoms)
        if relax
        else None,
        compounds=compounds,
        seed=common.seed,
        resume=resume,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json)


@app.command(name="hull")
@grouped
def references_hull(
    tables: Annotated[
        list[Path], typer.Argument(help="Parquet tables with formation_energy_per_atom.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    common: Settled,
) -> None:
    """Compute the corners of the DFT hulls of every chemical system of published energies."""
    from explorer.reference_commands import hull_of_tables  # noqa: PLC0415

    tell(hull_of_tables(tables, output, progress=show_progress), common.json)


@app.command(name="fit")
@grouped
def references_fit(
    references: Annotated[Path, typer.Argument(help="What 'references build' wrote.")],
    *,
    structures: Annotated[Path, typer.Option(help="Parquet with formation_energy_per_atom.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file to write.")],
    common: Settled,
) -> None:
    """Fit the zero of each element to published formation energies."""
    from explorer.reference_commands import fit_to_tables  # noqa: PLC0415

    tell(fit_to_tables(references, structures, output), common.json)


@app.command(name="sides")
@grouped
def references_sides(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    potential: Potential = "chgnet",
    elements: Annotated[
        str, typer.Option(help="Only the pairs of these, such as F-P-Rb; none for all.")
    ] = "",
    workers: Workers = None,
    common: Settled,
) -> None:
    """Predict compounds of pairs of elements that no published hull has."""
    from explorer.reference_commands import predict_sides  # noqa: PLC0415 - imports torch

    spec = spec_of(elements=elements, potential=potential)
    told = predict_sides(
        spec, output, workers=workers, device=common.device, progress=show_progress
    )
    tell(told, common.json)


@app.command(name="import")
@grouped
def references_import(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Structure files of your own phases.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    optimade: Annotated[
        str | None, typer.Option(help="Base URL of an OPTIMADE server to fetch from.")
    ] = None,
    materials_project: Annotated[
        bool,
        typer.Option("--materials-project", help="Fetch from there; its key is in MP_API_KEY."),
    ] = False,
    elements: Elements = "",
    max_above_hull: Annotated[
        float, typer.Option(help="Of the Materials Project, up to so far above the hull, eV/atom.")
    ] = 0.1,
    potential: Potential = "chgnet",
    relax: Annotated[
        bool, typer.Option(help="Relax each structure, as candidates are, or take it as given.")
    ] = True,
    fmax: Fmax = 0.05,
    max_steps: MaxSteps = 500,
    rattle: Rattle = RATTLE,
    workers: Workers = None,
    common: Settled,
) -> None:
    """Make a reference set of your own structures or a database's, with energies of a potential."""
    from explorer.reference_build import Limits  # noqa: PLC0415 - imports torch
    from explorer.reference_commands import import_references  # noqa: PLC0415 - imports torch

    told = import_references(
        files or [],
        spec_of(elements=elements, potential=potential),
        output,
        optimade=optimade,
        materials_project=materials_project,
        max_above_hull=max_above_hull,
        limits=Limits(fmax=fmax, max_steps=max_steps, rattle=rattle) if relax else None,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json)


@app.command(name="list")
@grouped
def references_list(
    elements: Elements = "",
    *,
    potential: Potential = "chgnet",
    reference_file: ReferenceFile = None,
    common: Settled,
) -> None:
    """List the known phases of a chemical system, or the sets that are shipped or cached."""
    from explorer.reference_commands import list_references  # noqa: PLC0415

    tell(list_references(spec_of(elements=elements), potential, reference_file), common.json)


@app.command(name="clear")
@grouped
def references_clear(
    *,
    potential: Annotated[
        str | None, typer.Option(help="Only those of this potential, as it was asked for.")
    ] = None,
    common: Settled,
) -> None:
    """Delete the known phases that were relaxed when a search asked for them."""
    from explorer.reference_commands import clear_references  # noqa: PLC0415

    tell(clear_references(potential), common.json)
