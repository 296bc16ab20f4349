"""The `hullscape` command: what the page does, without a page.

Results go to files, tables and `--json`; progress goes to stderr. What is wrong with the input is
said in one line before any work starts, with exit code 2.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer import __doc__ as motto

app = typer.Typer(
    help=motto,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
references = typer.Typer(help="Known phases that candidates compete with.", no_args_is_help=True)
app.add_typer(references, name="references")

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
TopP = Annotated[float, typer.Option("--top-p", help="Nucleus of the sampling, up to 1.")]
Potential = Annotated[str, typer.Option(help="chgnet, matgl:NAME_OR_PATH or sevennet.")]
Fmax = Annotated[float, typer.Option(help="Largest force when converged, eV/Å.")]
MaxSteps = Annotated[int, typer.Option(help="Relaxation steps for each crystal.")]
Seed = Annotated[int, typer.Option(help="Same seed, same crystals.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result as JSON here too.")]
ReferenceFile = Annotated[
    Path | None, typer.Option("--references", help="Reference phases other than those shipped.")
]
Checkpoint = Annotated[Path | None, typer.Option(help="Folder of a network other than shipped.")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="Database URL or SQLite file.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


@app.command()
def sample(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    elements: Elements = "",
    formula: Formula = None,
    spacegroup: Spacegroups = None,
    site: Sites = None,
    max_atoms: MaxAtoms = 64,
    stability: Stability = "low",
    subset: Subset = False,
    n: Count = 100,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    checkpoint: Checkpoint = None,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Draw crystals and write them to a file, without relaxing them."""
    from explorer.commands import sample_to_file  # noqa: PLC0415 - imports torch

    spec = _spec(
        elements=elements,
        formula=formula,
        spacegroups=_numbers(spacegroup or ()),
        sites=site or (),
        max_atoms=max_atoms,
        stability=stability,
        subset=subset,
        n=n,
        temperature=temperature,
        top_p=top_p,
        checkpoint=str(checkpoint) if checkpoint else None,
        seed=seed,
    )
    _tell(sample_to_file(spec, output, device=device, progress=_progress), json)


@app.command()
def relax(
    file: Annotated[Path, typer.Argument(help="Structures: parquet, CIF, extxyz, POSCAR, JSON.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="extxyz or other file to write.")],
    potential: Potential = "chgnet",
    fmax: Fmax = 0.05,
    max_steps: MaxSteps = 200,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Relax positions and cell of the structures in a file."""
    from explorer.commands import relax_file  # noqa: PLC0415 - imports torch

    spec = _spec(potential=potential, fmax=fmax, max_steps=max_steps, seed=seed)
    _tell(relax_file(spec, file, output, device=device, progress=_progress), json)


@app.command()
def run(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    elements: Elements = "",
    formula: Formula = None,
    spacegroup: Spacegroups = None,
    site: Sites = None,
    max_atoms: MaxAtoms = 64,
    stability: Stability = "low",
    subset: Subset = False,
    n: Count = 100,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    potential: Potential = "chgnet",
    fmax: Fmax = 0.05,
    max_steps: MaxSteps = 200,
    relax_known: Annotated[
        bool, typer.Option("--relax-known", help="Relax what matches a known phase too.")
    ] = False,
    reference_file: ReferenceFile = None,
    checkpoint: Checkpoint = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the folder's run.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Draw, screen, relax and place crystals on the hull: a whole campaign in a folder."""
    from explorer.commands import run_campaign_in_folder  # noqa: PLC0415 - imports torch

    spec = _spec(
        elements=elements,
        formula=formula,
        spacegroups=_numbers(spacegroup or ()),
        sites=site or (),
        max_atoms=max_atoms,
        stability=stability,
        subset=subset,
        n=n,
        temperature=temperature,
        top_p=top_p,
        potential=potential,
        fmax=fmax,
        max_steps=max_steps,
        relax_known=relax_known,
        references=str(reference_file) if reference_file else None,
        checkpoint=str(checkpoint) if checkpoint else None,
        seed=seed,
    )
    told = run_campaign_in_folder(spec, output, device=device, resume=resume, progress=_progress)
    _tell(told, json)


@app.command()
def worker(
    *,
    store: StoreUrl = None,
    slot: Annotated[str, typer.Option(help="A name for this machine or GPU.")] = "",
    idle: Annotated[float, typer.Option(help="Leave after so many seconds without work.")] = 1e9,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Run the campaigns of the page's database on this machine until interrupted."""
    from explorer.runner import main as run_worker  # noqa: PLC0415

    options = ["--slot", slot, "--idle", str(idle), "--device", device]
    raise typer.Exit(run_worker([*options, "--store", store] if store else options))


@app.command(name="list")
def list_(store: StoreUrl = None, json: Json = None, debug: Debug = False) -> None:
    """List the campaigns of the page's database."""
    from explorer.commands import list_campaigns  # noqa: PLC0415

    _tell(list_campaigns(store), json)


@references.command(name="build")
def references_build(
    *,
    structures: Annotated[Path, typer.Option(help="Parquet table of published structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    potential: Potential = "chgnet",
    resume: Annotated[bool, typer.Option(help="Use what an interrupted run computed.")] = True,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Compute the known phases of every chemical system of a table with a potential."""
    from explorer.commands import build_references  # noqa: PLC0415 - imports torch

    told = build_references(
        structures, potential, output, resume=resume, device=device, progress=_progress
    )
    _tell(told, json)


@references.command(name="import")
def references_import(
    files: Annotated[list[Path], typer.Argument(help="Structure files of your own phases.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet file to write.")],
    potential: Potential = "chgnet",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Make a reference set of your own structures, with energies of a potential."""
    from explorer.commands import import_references  # noqa: PLC0415 - imports torch

    _tell(import_references(files, potential, output, device=device, progress=_progress), json)


@references.command(name="list")
def references_list(
    elements: Elements = "",
    *,
    potential: Potential = "chgnet",
    reference_file: ReferenceFile = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """List the known phases of a chemical system, or how many each shipped set holds."""
    from explorer.commands import list_references  # noqa: PLC0415

    _tell(list_references(_spec(elements=elements), potential, reference_file), json)


def _spec(**fields: Any) -> Any:
    from explorer.campaign import CampaignSpec  # noqa: PLC0415

    return CampaignSpec.parse(**fields)


def _numbers(texts: Sequence[str]) -> tuple[int, ...]:
    """Read space groups, given one by one or with commas."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    wrong = [part for part in parts if not part.removeprefix("-").isdecimal()]
    if wrong:
        raise ValueError(f"expected a space group from 1 to 230, such as 139, got {wrong[0]!r}")
    return tuple(int(part) for part in parts)


def _progress(line: str, *, last: bool = False) -> None:
    """Show how far the work is: on one line of a terminal, or line by line in a log."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _tell(result: Mapping[str, Any] | Sequence[Mapping[str, Any]], json: Path | None) -> None:
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad input (one line on stderr), 1 anything unexpected."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    try:
        code = command.main(args=given, prog_name="hullscape", standalone_mode=False)
    except typer.Abort:
        code = _complain("interrupted", 130)
    except KeyboardInterrupt:
        code = _complain("interrupted", 130)
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        code = _complain(*_verdict(error))
    sys.exit(code if isinstance(code, int) else 0)


def _verdict(error: Exception) -> tuple[str, int]:
    """Return what to say of an error, and the exit code."""
    if hasattr(error, "format_message"):  # the command line itself: click's errors, or typer's
        return error.format_message(), 2
    text = " ".join(str(error).split())
    from explorer.schema import StoreError  # noqa: PLC0415 - only when something went wrong

    if isinstance(error, ValueError | OSError | StoreError):
        return text or type(error).__name__, 2
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)", 1


def _complain(text: str, code: int) -> int:
    print(f"hullscape: {text}", file=sys.stderr)
    return code
