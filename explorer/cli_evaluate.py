"""`hullscape evaluate`: how good the generator is, in numbers that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.cli_experiment import experiment, strategies, systems, targets
from explorer.cli_groups import grouped
from explorer.cli_options import (
    Asked,
    Checkpoint,
    Choosing,
    Common,
    Competing,
    Drawing,
    Elements,
    Relaxing,
    Searching,
    Settled,
    Stability,
    Workers,
    refuse_unwritable_files,
    show_progress,
    spec_of,
    tell,
)
from explorer.cli_published import embeddings, filtering, temperatures

CandidateFile = Annotated[
    Path | None,
    typer.Option("--candidates", help="Crystals of another generator, in the order of its file."),
]
Method = Annotated[
    str, typer.Option(help="transformer, substitution, similarity, random or random-neutral.")
]
GeneratorName = Annotated[
    str | None,
    typer.Option("--generator", help="One generator of a Parquet file that holds several."),
]

app = typer.Typer(help="Judge what the model draws.", no_args_is_help=True)
app.command()(experiment)
app.command()(strategies)
app.command()(systems)
app.command()(targets)
app.command()(temperatures)
app.command()(embeddings)
app.command()(filtering)


@app.command()
@grouped
def retrieval(
    *,
    targets: Annotated[Path, typer.Option(help="Structures to find again.")],
    systems: Annotated[Path | None, typer.Option(help="JSON list of chemical systems.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Crystals to draw for each system.")] = 2000,
    max_e_above_hull: Annotated[
        float, typer.Option(help="Targets up to this distance above the hull, eV/atom.")
    ] = 0.02,
    method: Method = "transformer",
    candidates: CandidateFile = None,
    generator: GeneratorName = None,
    skeletons: Annotated[
        bool, typer.Option("--skeletons", help="Tell also which formulas and skeletons were drawn.")
    ] = False,
    relax: Annotated[
        bool, typer.Option("--relax", help="Tell also what is found once crystals are relaxed.")
    ] = False,
    relaxing: Relaxing,
    stability: Stability = "low",
    drawing: Searching,
    workers: Workers = None,
    common: Common,
) -> None:
    """Count the known phases of chemical systems that a generator finds again."""
    from explorer.evaluate_commands import retrieval as judge  # noqa: PLC0415 - imports torch

    spec = spec_of(
        n=n,
        stability=stability,
        **drawing.fields(),
        **relaxing.fields(),
        targets=str(targets),
        seed=common.seed,
    )
    told = judge(
        spec,
        method=method,
        systems=systems,
        candidates=candidates,
        origin=generator,
        skeletons=skeletons,
        relax=relax,
        max_e_above_hull=max_e_above_hull,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json)


@app.command()
@grouped
def generation(
    *,
    asked: Asked,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", min=1, help="Crystals to draw, 1000 when not given; of a file the first."
        ),
    ] = None,
    drawing: Drawing,
    candidates: CandidateFile = None,
    generator: GeneratorName = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            "--known",
            help="Known structures: what matches none is novel; distributions are compared.",
        ),
    ] = None,
    workers: Workers = None,
    common: Common,
) -> None:
    """Count how many crystals are valid, keep what was asked, are unique and novel."""
    from explorer.evaluate_commands import generation as judge  # noqa: PLC0415 - imports torch

    spec = spec_of(
        **asked.fields(),
        n=1000 if n is None else n,
        **drawing.fields(),
        seed=common.seed,
    )
    told = judge(
        spec,
        candidates=candidates,
        origin=generator,
        first=n,
        reference=reference,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json)


@app.command(name="hull")
@grouped
def hull_(
    file: Annotated[
        Path | None,
        typer.Argument(help="Parquet with a column decomposition_energy or e_above_hull."),
    ] = None,
    *,
    labelled: Annotated[Path | None, typer.Option(help="The same file, as an option.")] = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Judge a random sample of so many.")
    ] = None,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each structure first, not only its energy.")
    ] = False,
    relaxing: Relaxing,
    placing: Competing,
    plot: Annotated[Path | None, typer.Option(help="Write a calibration plot: html.")] = None,
    crystals: Annotated[
        Path | None, typer.Option(help="Write what is told of each structure: Parquet.")
    ] = None,
    workers: Workers = None,
    common: Common,
) -> None:
    """Compare a potential's distances from the hull with those that DFT gives."""
    from explorer.evaluate_commands import hull as judge  # noqa: PLC0415 - imports torch
    from explorer.figures.calibration import calibration_figure  # noqa: PLC0415 - imports plotly

    refuse_unwritable_files(plot, crystals)
    spec = spec_of(
        **relaxing.fields(),
        **placing.fields(),
        seed=common.seed,
    )
    told = judge(
        spec,
        _one_of(file, labelled),
        n=n,
        relax=relax,
        crystals=crystals,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    if plot is not None:
        from explorer.outputs import replacing  # noqa: PLC0415

        with replacing(plot) as part:
            calibration_figure(told).write_html(part, include_plotlyjs=True)
    tell(told, common.json)


def _one_of(file: Path | None, labelled: Path | None) -> Path:
    given = [path for path in (file, labelled) if path is not None]
    if len(given) != 1:
        raise ValueError(f"expected one file with DFT distances, --labelled FILE, got {len(given)}")
    return given[0]


@app.command()
@grouped
def roundtrip(
    file: Annotated[Path, typer.Argument(help="Structures to encode and decode.")],
    *,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Judge a random sample of so many.")
    ] = None,
    workers: Workers = None,
    common: Common,
) -> None:
    """Encode and decode the structures of a file, and count those that come back the same."""
    from explorer.evaluate_commands import roundtrip as judge  # noqa: PLC0415 - imports torch

    told = judge(file, n=n, seed=common.seed, workers=workers, progress=show_progress)
    tell(told, common.json)


@app.command()
@grouped
def score(
    file: Annotated[
        Path,
        typer.Argument(help="Parquet with a column e_above_hull or decomposition_energy, eV/atom."),
    ],
    *,
    limit: Annotated[
        float, typer.Option(help="What counts as stable: up to so far above the hull, eV/atom.")
    ] = 0.075,
    checkpoint: Checkpoint = None,
    workers: Workers = None,
    common: Settled,
) -> None:
    """Tell how well the stability score separates stable crystals from others."""
    from explorer.evaluate_commands import score as judge  # noqa: PLC0415 - imports torch

    tell(judge(file, checkpoint, limit=limit, workers=workers, device=common.device), common.json)


@app.command()
@grouped
def sun(
    *,
    definition: Annotated[
        str, typer.Option(help="mattergen, lemat or wyformer: what is divided by what.")
    ] = "mattergen",
    method: Method = "transformer",
    elements: Elements = "",
    stability: Stability = "low",
    n: Annotated[int, typer.Option("-n", min=1, help="Crystals to judge.")] = 1000,
    candidates: CandidateFile = None,
    generator: GeneratorName = None,
    reference: Annotated[
        Path | None, typer.Option(help="What is known; without it, the reference phases.")
    ] = None,
    relaxing: Relaxing,
    placing: Competing,
    drawing: Choosing,
    workers: Workers = None,
    common: Common,
) -> None:
    """Relax crystals and count those that are stable, unique and novel."""
    from explorer.evaluate_commands import sun as judge  # noqa: PLC0415 - imports torch

    spec = spec_of(
        elements=elements,
        stability=stability,
        n=n,
        **relaxing.fields(),
        **placing.fields(),
        **drawing.fields(),
        seed=common.seed,
    )
    told = judge(
        spec,
        definition=definition,
        method=method,
        candidates=candidates,
        origin=generator,
        reference=reference,
        workers=workers,
        device=common.device,
        progress=show_progress,
    )
    tell(told, common.json)
