"""`hullscape evaluate` commands that repeat what papers publish of their generators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli_experiment import real_numbers
from explorer.cli_groups import grouped
from explorer.cli_options import (
    Again,
    Checkpoint,
    Common,
    Elements,
    GeometryTemperature,
    Placing,
    Relaxing,
    Search,
    Settled,
    Stability,
    StoreUrl,
    TopP,
    Workers,
    refuse_unwritable_files,
    show_progress,
    spec_of,
    tell,
)


@grouped
def temperatures(
    *,
    values: Annotated[
        str, typer.Option("--temperatures", help="Sampling temperatures, with commas.")
    ] = "0.5,0.7,0.9,1,1.1,1.3,1.5",
    elements: Elements = "",
    n: Annotated[
        int, typer.Option("-n", min=1, help="Crystals to draw at each temperature.")
    ] = 500,
    relax: Annotated[
        int, typer.Option(min=0, help="Relax the first so many of each, and place them on hulls.")
    ] = 0,
    beside: Annotated[
        str,
        typer.Option(
            help="Generators whose crystals are relaxed beside them, with commas, such as "
            "random,random-neutral."
        ),
    ] = "",
    stability: Stability = "low",
    top_p: TopP = 1.0,
    search: Search = "independent",
    geometry_temperature: GeometryTemperature = None,
    again: Again = None,
    plot: Annotated[Path | None, typer.Option(help="Write a figure: html.")] = None,
    checkpoint: Checkpoint = None,
    relaxing: Relaxing,
    placing: Placing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Tell how validity, symmetry, duplicates and energies depend on the sampling temperature."""
    from explorer.figures.temperatures import temperature_page  # noqa: PLC0415 - imports plotly
    from explorer.published_commands import temperatures as judge  # noqa: PLC0415 - imports torch

    refuse_unwritable_files(plot)
    spec = spec_of(
        elements=elements,
        n=n,
        seed=common.seed,
        stability=stability,
        top_p=top_p,
        search=search,
        geometry_temperature=geometry_temperature,
        again=again,
        checkpoint=str(checkpoint) if checkpoint else None,
        **relaxing.fields(),
        **placing.fields(),
    )
    told = judge(
        spec,
        real_numbers(values),
        relax=min(relax, n),
        beside=[name.strip() for name in beside.split(",") if name.strip()],
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    if plot is not None:
        _write(plot, temperature_page(told))
    tell(told, common.json, table=_rates(told))


def _rates(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each temperature and each generator beside them."""
    energies = told.get("energies", {})
    names = {f"temperature {value}": row for value, row in told["temperatures"].items()}
    rows = []
    for name in names | energies:
        drawn, placed = names.get(name, {}), energies.get(name)
        row = {"crystals": name, "n": drawn.get("n")}
        row |= {rate: (drawn.get(rate) or {}).get("share") for rate in told["words"]}
        if energies:
            row |= {
                "relaxed": placed["n"],
                "median above hull": (placed["quartiles"] or [None] * 3)[1],
            }
            row |= {f"within {t}": found["share"] for t, found in placed["within"].items()}
        rows.append(row)
    return rows


@grouped
def embeddings(
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the maps: html.")
    ] = None,
    checkpoint: Checkpoint = None,
    common: Common,
) -> None:
    """Map what the network has learned of elements and space groups, and tell what is near what."""
    from explorer.figures.embeddings import embedding_figure  # noqa: PLC0415 - imports plotly
    from explorer.published_commands import embeddings as judge  # noqa: PLC0415 - imports torch

    refuse_unwritable_files(output)
    show_progress("mapping the vectors of elements and space groups")
    spec = spec_of(seed=common.seed, checkpoint=str(checkpoint) if checkpoint else None)
    told = judge(spec, common.device)
    if output is not None:
        _write(output, embedding_figure(told).to_html(include_plotlyjs=True))
    tell(told, common.json, table=_neighbours(told))


def _neighbours(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each part of the vectors, without the points of the maps."""
    return [
        {"of": name, "n": told[name]["n"], "vectors": told["words"][part], **found}
        for name in ("elements", "spacegroups")
        for part, found in told[name]["nearest"].items()
    ]


@grouped
def filtering(
    campaign: Annotated[str, typer.Argument(help="Folder of a run, or id of a campaign.")],
    *,
    store: StoreUrl = None,
    common: Settled,
) -> None:
    """Tell what is left of a campaign's crystals after each filter, and what that cost."""
    from explorer.published_commands import filtering as judge  # noqa: PLC0415 - imports torch

    show_progress("reading the campaign")
    told = judge(campaign, store)
    hourly = told["extrapolated_per_hour"]
    rows = [
        {
            "stage": name,
            "what": row["words"],
            "count": row["count"],
            "of all": f"{row['of_generated']:.1%}",
            "an hour, extrapolated": hourly.get(name, "-"),
        }
        for name, row in told["stages"].items()
    ]
    tell(told, common.json, table=rows)


def _write(file: Path, text: str) -> None:
    from explorer.outputs import replacing  # noqa: PLC0415

    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
