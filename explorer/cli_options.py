"""Options that the subcommands share, and how they tell what they found."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from explorer.campaign import CampaignSpec

Elements = Annotated[str, typer.Option(help="Chemical system, such as Al-Ca-Cu; none for any.")]
Formula = Annotated[str | None, typer.Option(help="Reduced formula, such as CaAl2Cu2.")]
Spacegroups = Annotated[
    list[str] | None,
    typer.Option("--spacegroup", help="Space group, 1-230; 139,166 or repeated for several."),
]
Sites = Annotated[
    list[str] | None, typer.Option("--site", help="Occupied site, 139:2a=Ca; may be repeated.")
]
MaxAtoms = Annotated[int, typer.Option(help="Most atoms in the primitive cell.")]
Stability = Annotated[str, typer.Option(help="Stability asked of the model: low, high or any.")]
Subset = Annotated[bool, typer.Option("--subset", help="Some of the elements may be left out.")]
Count = Annotated[int, typer.Option("-n", help="Crystals to draw.")]
Temperature = Annotated[float, typer.Option(help="Sampling temperature.")]
Search = Annotated[
    str,
    typer.Option(
        help="independent: each crystal on its own; distinct: no skeleton twice, at random; "
        "likeliest: no skeleton twice, the likeliest first."
    ),
]
GeometryTemperature = Annotated[
    float | None, typer.Option(help="Temperature of lattice and coordinates, if another.")
]
Again = Annotated[
    float | None,
    typer.Option(
        help="In a search: give a skeleton again, for another try at its coordinates, when it is "
        "the likeliest less so many nats for each try before."
    ),
]
TopP = Annotated[float, typer.Option("--top-p", help="Nucleus of the sampling, up to 1.")]
Method = Annotated[
    str,
    typer.Option(
        help="What draws: transformer, substitution, similarity, random, random-neutral or file."
    ),
]
SampleFile = Annotated[
    Path | None, typer.Option("--samples", help="Another generator's crystals, for 'file'.")
]
SamplesOf = Annotated[
    str | None, typer.Option("--samples-of", help="Which generator's, of a Parquet of several.")
]
Potential = Annotated[str, typer.Option(help="chgnet, matgl:NAME_OR_PATH, sevennet, mace, ...")]
HullMode = Annotated[
    str,
    typer.Option(
        "--hull",
        help="dft: on the hull of DFT formation energies (MP2020); potential: on known phases at "
        "the potential's own energies; auto: dft where the potential has that scale.",
    ),
]
Fmax = Annotated[float, typer.Option(help="Largest force when converged, eV/Å.")]
MaxSteps = Annotated[int, typer.Option(help="Relaxation steps for each crystal.")]
Engine = Annotated[
    str,
    typer.Option(help="batched: many crystals at once; ase: ASE's FIRE, one crystal at a time."),
]
KeepSymmetry = Annotated[
    bool, typer.Option("--keep-symmetry", help="Keep the space group of each crystal.")
]
Seed = Annotated[int, typer.Option(help="Same seed, same crystals.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result as JSON here too.")]
ReferenceFile = Annotated[
    Path | None, typer.Option("--references", help="Reference phases other than those shipped.")
]
Targets = Annotated[
    Path | None,
    typer.Option("--targets", help="Structures to look for; without it, known phases."),
]
Checkpoint = Annotated[Path | None, typer.Option(help="Folder of a network other than shipped.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; one for each core when not given.")
]
StoreUrl = Annotated[str | None, typer.Option("--store", help="Database URL or SQLite file.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


def spec_of(**fields: Any) -> CampaignSpec:
    """Check what was asked; raises `SpecError` in one line."""
    from explorer.campaign import CampaignSpec  # noqa: PLC0415

    return CampaignSpec.parse(**fields)


def numbers(texts: Sequence[str]) -> tuple[int, ...]:
    """Read space groups, given one by one or with commas."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    wrong = [part for part in parts if not part.removeprefix("-").isdecimal()]
    if wrong:
        raise ValueError(f"expected a space group from 1 to 230, such as 139, got {wrong[0]!r}")
    return tuple(int(part) for part in parts)


def show_progress(line: str, *, last: bool = False) -> None:
    """Show how far the work is: on one line of a terminal, or line by line in a log."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def tell(result: Mapping[str, Any] | Sequence[Mapping[str, Any]], json: Path | None) -> None:
    """Print a result as a table, and write it as JSON where asked to; "-" is stdout."""
    from explorer.commands import as_json, as_table  # noqa: PLC0415

    if json is None:
        print(as_table(result))
    elif str(json) == "-":
        print(as_json(result))
    else:
        from explorer.headless import refuse_unwritable, replacing  # noqa: PLC0415

        refuse_unwritable(json)
        with replacing(json) as part:
            part.write_text(as_json(result) + "\n", encoding="utf-8")
        print(as_table(result))
