"""Options that the subcommands share, and how they tell what they found."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from explorer.relaxed import MOST_RATTLE, RATTLE

if TYPE_CHECKING:
    from explorer.campaign import CampaignSpec

Elements = Annotated[str, typer.Option(help="Chemical system, such as Al-Ca-Cu; none for any.")]
Formula = Annotated[
    str | None,
    typer.Option(
        help="Reduced formula, such as CaAl2Cu2; with ranges, CaAl1-4Cu1-3; several with commas."
    ),
]
Spacegroups = Annotated[
    list[str] | None,
    typer.Option(
        "--spacegroup",
        help="Space group, such as 139, Fm-3m, P2_1/n, 195-206 or cubic; several with commas or "
        "repeated. Sites are those of the standard setting.",
    ),
]
Sites = Annotated[
    list[str] | None,
    typer.Option(
        "--site",
        help="Occupied site, 139:2a=Ca or 139:4e=Al@z=0.36, or one that stays empty, 139:4d=none; "
        "may be repeated.",
    ),
]
MaxAtoms = Annotated[int, typer.Option(help="Most atoms in the primitive cell.")]
Stability = Annotated[str, typer.Option(help="Stability asked of the model: low, high or any.")]
Subset = Annotated[bool, typer.Option("--subset", help="Some of the elements may be left out.")]
Required = Annotated[
    str, typer.Option("--require", help="Elements that must appear, Al-Ca; the others may.")
]
Excluded = Annotated[
    str, typer.Option("--exclude", help="Elements that must not appear, where no system is given.")
]
Count = Annotated[int, typer.Option("-n", help="Crystals to draw.")]
Temperature = Annotated[float, typer.Option(help="Sampling temperature.")]
Search = Annotated[
    str,
    typer.Option(
        help="independent: each crystal on its own; distinct: at random, no skeleton twice while "
        "there are others; likeliest: so too, the likeliest first."
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
KnownFirst = Annotated[
    bool,
    typer.Option(
        "--templates/--no-templates",
        help="In a search: try the geometries of known crystals with a skeleton first, the "
        "chemically nearest crystal's before others.",
    ),
]
Unknown = Annotated[
    float,
    typer.Option(help="In such a search: nats by which skeletons of no known crystal come later."),
]
Prototypes = Annotated[
    bool,
    typer.Option(
        "--prototypes/--no-prototypes",
        help="In a search for the likeliest: every second skeleton is that of a known prototype, "
        "the chemically most similar first.",
    ),
]
Variants = Annotated[
    bool,
    typer.Option(
        "--variants/--no-variants",
        help="Count ordered variants of known crystals as known there: the same sites with other "
        "kinds of atoms on them, such as MoWTe4 of MoTe2.",
    ),
]
RetryEvery = Annotated[
    int,
    typer.Option(
        min=0,
        help="After so many skeletons of known prototypes, one of them comes again for another "
        "try at its coordinates; 0 for never.",
    ),
]
BestOf = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With independent draws: of so many, keep the one that scores highest for stability.",
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
        "the potential's own energies; auto: dft where the potential has that scale; filled: auto, "
        "and predicted compounds of pairs of elements compete too.",
    ),
]
Fmax = Annotated[float, typer.Option(help="Largest force when converged, eV/Å.")]
MaxSteps = Annotated[int, typer.Option(help="Relaxation steps for each crystal.")]
First = Annotated[
    str | None, typer.Option(help="A fast potential that relaxes before the accurate one does.")
]
GiveUp = Annotated[
    float,
    typer.Option(
        help="Give a relaxation up whose energy is so far above the hull, eV/atom, and hardly "
        "falls; 0 for never."
    ),
]
RelaxBelow = Annotated[
    float,
    typer.Option(
        help="Relax only crystals up to so far above the hull as drawn, eV/atom: fewer "
        "relaxations for each find; 0 for all."
    ),
]
RATTLING = (
    "Displace the atoms of a relaxed crystal by so much, Å, relax again and keep a form that lies "
    "lower: no crystal rests on a saddle; 0 for not."
)
Rattle = Annotated[float, typer.Option(min=0, max=MOST_RATTLE, help=RATTLING)]
RattleOrNot = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=MOST_RATTLE,
        help=RATTLING,
        show_default=f"{RATTLE:g}, with --keep-symmetry 0",
    ),
]
Engine = Annotated[
    str,
    typer.Option(help="batched: many crystals at once; ase: ASE's FIRE, one crystal at a time."),
]
KeepSymmetry = Annotated[
    bool,
    typer.Option("--keep-symmetry", help="Keep the space group of each crystal as it relaxes."),
]
Seed = Annotated[int, typer.Option(help="Same seed, same crystals.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result as JSON here too.")]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        "--references",
        help="Reference phases of your own: on the filled hull they join those published, on that "
        "of the potential they stand alone.",
    ),
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


@dataclass(frozen=True)
class Asked:
    """What every crystal must obey."""

    elements: Elements = ""
    formula: Formula = None
    spacegroup: Spacegroups = None
    site: Sites = None
    max_atoms: MaxAtoms = 64
    stability: Stability = "low"
    subset: Subset = False
    required: Required = ""
    excluded: Excluded = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        told = asdict(self)
        groups, sites = told.pop("spacegroup"), told.pop("site")
        return told | {"spacegroups": groups or (), "sites": sites or ()}


@dataclass(frozen=True)
class Drawing:
    """How the model draws, each crystal on its own."""

    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    search: Search = "independent"
    geometry_temperature: GeometryTemperature = None
    again: Again = None
    templates: KnownFirst = True
    unknown: Unknown = 0.0
    prototypes: Prototypes = True
    variants: Variants = True
    retry_every: RetryEvery = 6
    best_of: BestOf = 1
    checkpoint: Checkpoint = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        return asdict(self) | {"checkpoint": _text(self.checkpoint)}


@dataclass(frozen=True)
class Choosing(Drawing):
    """How the model draws where each crystal is to be stable; the best of 8 independent draws."""

    temperature: Temperature = 0.7
    best_of: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of so many independent draws, keep the one that scores highest for stability; "
            "when not given, of 8.",
        ),
    ] = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec; a search has its own order and nothing to choose from."""
        usual = 8 if self.search == "independent" else 1
        return super().fields() | {"best_of": usual if self.best_of is None else self.best_of}


@dataclass(frozen=True)
class Searching(Drawing):
    """How the model draws where as much as possible is to be found."""

    search: Search = "likeliest"
    geometry_temperature: GeometryTemperature = 0.5
    again: Again = 2.0
    unknown: Unknown = 1.0


@dataclass(frozen=True)
class Relaxing:
    """What relaxes, and until when."""

    potential: Potential = "chgnet"
    fmax: Fmax = 0.05
    max_steps: MaxSteps = 200

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        return asdict(self)


@dataclass(frozen=True)
class RelaxingTwice(Relaxing):
    """What relaxes, and what relaxes before it."""

    first: First = None


@dataclass(frozen=True)
class RelaxingMany(RelaxingTwice):
    """What relaxes candidates, and when it gives one up."""

    give_up: GiveUp = 1.0
    relax_below: RelaxBelow = 0.0
    rattle: RattleOrNot = None
    keep_symmetry: KeepSymmetry = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        fields = super().fields()
        if self.rattle is None:
            del fields["rattle"]
        limits = {"give_up": self.give_up or None, "relax_below": self.relax_below or None}
        return fields | limits


@dataclass(frozen=True)
class Placing:
    """What candidates compete with."""

    reference_file: ReferenceFile = None
    hull: HullMode = "auto"

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        return {"references": _text(self.reference_file), "hull": self.hull}


@dataclass(frozen=True)
class Competing(Placing):
    """What the candidates of a campaign compete with."""

    hull: HullMode = "filled"


@dataclass(frozen=True)
class Samples:
    """Crystals of another generator."""

    samples: SampleFile = None
    samples_of: SamplesOf = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of a spec."""
        return {"samples": _text(self.samples), "samples_of": self.samples_of}


@dataclass(frozen=True)
class Common:
    """What every command takes."""

    seed: Seed = 0
    device: Device = "auto"
    json: Json = None
    debug: Debug = False

    def refuse_unwritable(self) -> None:
        """Find out before the work, not after hours of it, whether its result can be written."""
        refuse_unwritable_files(self.json)


@dataclass(frozen=True)
class Settled(Common):
    """What a command takes in which nothing is drawn."""

    seed: Annotated[
        int, typer.Option(help="Taken as by every command; nothing here hangs on chance.")
    ] = 0


@dataclass(frozen=True)
class Training(Common):
    """What a training run takes; its recipe has a seed."""

    seed: Annotated[int | None, typer.Option(help="Instead of the seed of the recipe.")] = None


def refuse_unwritable_files(*files: Path | None) -> None:
    """Raise `SpecError` for output files that cannot be written; "-" is stdout."""
    from explorer.outputs import refuse_unwritable  # noqa: PLC0415

    for file in files:
        if file is not None and str(file) != "-":
            refuse_unwritable(file)


def spec_of(**asked: Any) -> CampaignSpec:
    """Check what was asked; raises `SpecError` in one line."""
    from explorer.campaign import CampaignSpec  # noqa: PLC0415

    return CampaignSpec.parse(**asked)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def show_progress(line: str, *, last: bool = False) -> None:
    """Show how far the work is: on one line of a terminal, or line by line in a log."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def tell(
    result: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    json: Path | None,
    table: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Print a result as a table, and write it as JSON where asked to; "-" is stdout.

    The table can be one of its own, where the result holds more than can be read.
    """
    from explorer.outputs import as_json, replacing  # noqa: PLC0415
    from explorer.text_table import as_table  # noqa: PLC0415

    shown = as_table(result if table is None else table)
    if json is None:
        print(shown)
    elif str(json) == "-":
        print(as_json(result, ascii_only=not _speaks_unicode(sys.stdout)))
    else:
        refuse_unwritable_files(json)
        with replacing(json) as part:
            part.write_text(as_json(result) + "\n", encoding="utf-8")
        print(shown)


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().startswith("utf")
