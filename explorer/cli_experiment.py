"""`hullscape evaluate experiment` and its neighbours: what compares whole searches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli_groups import grouped
from explorer.cli_options import (
    Common,
    Competing,
    Elements,
    Placing,
    Relaxing,
    Samples,
    Searching,
    Stability,
    Subset,
    Workers,
    show_progress,
    spec_of,
    tell,
)


@grouped
def experiment(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the experiment.")],
    elements: Elements = "Al-Ca-Cu",
    methods: Annotated[
        str, typer.Option(help="Generators, with commas; 'file' takes --samples.")
    ] = "transformer,substitution,random",
    n: Annotated[
        int, typer.Option("-n", min=1, help="Crystals for each generator and seed.")
    ] = 2000,
    seeds: Annotated[int, typer.Option(help="How many seeds, counted from --seed.")] = 5,
    targets: Annotated[
        Path | None,
        typer.Option(help="Structures to find, or WBM's summary; without it, known phases."),
    ] = None,
    structures: Annotated[
        Path | None, typer.Option(help="WBM's structures, to go with its summary.")
    ] = None,
    max_e_above_hull: Annotated[
        float, typer.Option(help="Targets of a file up to this distance above the hull, eV/atom.")
    ] = 0.02,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax what passes the screen; count relaxations too.")
    ] = False,
    sampled: Samples,
    subset: Subset = False,
    stability: Stability = "low",
    drawing: Searching,
    relaxing: Relaxing,
    placing: Placing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Let several generators look for the phases of a chemical system, and compare them."""
    from explorer.experiment_commands import experiment as judge  # noqa: PLC0415 - imports torch

    chosen = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    spec = spec_of(
        elements=elements,
        n=n,
        seed=common.seed,
        subset=subset,
        stability=stability,
        **drawing.fields(),
        **relaxing.fields(),
        relax_known=True,
        targets=str(targets) if targets else None,
        generator="file" if sampled.samples else "transformer",
        **sampled.fields(),
        **placing.fields(),
    )
    told = judge(
        spec,
        output,
        methods=chosen,
        seeds=seeds,
        structures=structures,
        max_e_above_hull=max_e_above_hull,
        relax=relax,
        device=common.device,
        workers=workers,
        progress=show_progress,
    )
    tell(told, common.json)


@grouped
def strategies(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the comparison.")],
    elements: Annotated[str, typer.Option(help="Chemical systems, with commas.")] = "",
    systems: Annotated[Path | None, typer.Option(help="JSON list of chemical systems.")] = None,
    choose: Annotated[
        int | None, typer.Option(min=1, help="Take so many of the list, at random.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Crystals to draw for each system.")] = 200,
    budget: Annotated[
        str, typer.Option(help="Relaxations for each system, with commas.")
    ] = "25,50,100",
    near_hull: Annotated[
        float, typer.Option(help="What counts as near the hull once relaxed, eV/atom.")
    ] = 0.1,
    targets: Annotated[
        Path | None, typer.Option(help="Structures to find; without it, known phases.")
    ] = None,
    stability: Stability = "low",
    drawing: Searching,
    relaxing: Relaxing,
    placing: Placing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Tell which order of relaxations finds most within a budget."""
    from explorer.strategy_commands import strategies as judge  # noqa: PLC0415 - imports torch
    from explorer.strategy_commands import systems_of  # noqa: PLC0415

    spec = spec_of(
        n=n,
        seed=common.seed,
        stability=stability,
        **drawing.fields(),
        **relaxing.fields(),
        relax_known=True,
        targets=str(targets) if targets else None,
        **placing.fields(),
    )
    told = judge(
        spec,
        output,
        systems=systems_of(elements, systems, choose, common.seed),
        budgets=whole_numbers(budget),
        near_hull=near_hull,
        device=common.device,
        workers=workers,
        progress=show_progress,
    )
    tell(told, common.json)


@grouped
def targets(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    elements: Elements = "Al-Ca-Cu",
    n: Annotated[
        int, typer.Option("-n", min=1, help="Prototypes to fill, the most frequent first.")
    ] = 2000,
    relaxations: Annotated[
        int, typer.Option(min=1, help="Relax so many, those of the lowest unrelaxed energy.")
    ] = 300,
    max_e_above_hull: Annotated[
        float, typer.Option(help="Keep phases up to this distance above their hull, eV/atom.")
    ] = 0.02,
    relaxing: Relaxing,
    placing: Placing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Make a list of phases to look for by substitution, where none is published."""
    from explorer.target_commands import make_targets  # noqa: PLC0415 - imports torch

    spec = spec_of(
        elements=elements,
        generator="substitution",
        n=n,
        seed=common.seed,
        **relaxing.fields(),
        **placing.fields(),
    )
    told = make_targets(
        spec,
        output,
        relaxations=relaxations,
        max_e_above_hull=max_e_above_hull,
        device=common.device,
        workers=workers,
        progress=show_progress,
    )
    tell(told, common.json)


@grouped
def systems(
    *,
    sizes: Annotated[str, typer.Option(help="Numbers of elements, with commas.")] = "3,4,5",
    choose: Annotated[
        int, typer.Option(min=1, help="Systems of each size, of each: well, partly, not explored.")
    ] = 3,
    n: Annotated[int, typer.Option("-n", min=1, help="Crystals to draw for each system.")] = 50,
    method: Annotated[
        str, typer.Option(help="transformer, substitution, similarity, random or random-neutral.")
    ] = "transformer",
    stability: Stability = "low",
    drawing: Searching,
    relaxing: Relaxing,
    placing: Competing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Count new stable crystals where many phases are known, some, or none."""
    from explorer.systems_commands import systems as judge  # noqa: PLC0415 - imports torch

    spec = spec_of(
        n=n,
        seed=common.seed,
        stability=stability,
        **drawing.fields(),
        **relaxing.fields(),
        **placing.fields(),
    )
    told = judge(
        spec,
        method=method,
        sizes=whole_numbers(sizes),
        choose=choose,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json, table=_cells(told))


def _cells(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each size and class."""
    return [
        {"elements": size, "explored": explored, "systems": row["systems"], "n": row["n"]}
        | {name: row[name]["share"] for name in ("unique", "novel")}
        | {f"{name} {t}": row[name][t]["share"] for name in ("stable", "sun") for t in row[name]}
        for size, rows in told["pooled"].items()
        for explored, row in rows.items()
    ]


def real_numbers(text: str) -> list[float]:
    """Read numbers given with commas; ValueError for anything else."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"expected numbers with commas, such as 0.7,1, got {text!r}") from None


def whole_numbers(text: str) -> list[int]:
    """Read numbers given with commas; ValueError for anything else."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise ValueError(f"expected whole numbers with commas, such as 25,50, got {text!r}")
    return [int(part) for part in parts]
