"""The `hullscape` command: what the page does, without a page.

Results go to files, tables and `--json`; progress goes to stderr. What is wrong with the input is
said in one line before any work starts, with exit code 2.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from explorer import __doc__ as motto
from explorer import cli_evaluate, cli_references
from explorer.cli_groups import grouped
from explorer.cli_options import (
    Asked,
    Checkpoint,
    Common,
    Competing,
    Count,
    Drawing,
    Engine,
    KeepSymmetry,
    Method,
    Rattle,
    RelaxingMany,
    RelaxingTwice,
    Samples,
    Searching,
    Settled,
    StoreUrl,
    Targets,
    Training,
    Workers,
    show_progress,
    spec_of,
    tell,
)

INTERRUPTED = 130
"""Exit code of a command that was stopped; a run can go on."""
TERMINATED = 143
"""Exit code after SIGTERM, as shells have it."""
HUNG_UP = 141
"""Exit code when the reader of the output has gone, as shells have it."""
FOREVER = 1e9
"""Seconds without work after which a worker that nobody tells to leave does so: decades."""

RELAXED_FILE = (
    "File to write: .extxyz, .parquet or .json (with energies, forces and stress), .zip of CIFs, "
    ".csv for LeMat-GenBench, .cif or POSCAR of one, or a new folder of CIFs."
)

app = typer.Typer(
    help=motto,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_references.app, name="references")
app.add_typer(cli_evaluate.app, name="evaluate")


@app.command()
@grouped
def sample(
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="File to write: .parquet (with likelihoods), .extxyz, .json, .zip of CIFs, .csv "
            "for LeMat-GenBench, .cif or POSCAR of one, or a new folder of CIFs.",
        ),
    ],
    asked: Asked,
    n: Count = 100,
    drawing: Drawing,
    common: Common,
) -> None:
    """Draw crystals and write them to a file, without relaxing them."""
    from explorer.commands import sample_to_file  # noqa: PLC0415 - imports torch

    spec = spec_of(
        **asked.fields(),
        n=n,
        **drawing.fields(),
        seed=common.seed,
    )
    tell(sample_to_file(spec, output, device=common.device, progress=show_progress), common.json)


@app.command()
@grouped
def relax(
    file: Annotated[Path, typer.Argument(help="Structures: parquet, CIF, extxyz, POSCAR, JSON.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help=RELAXED_FILE)],
    relaxing: RelaxingTwice,
    engine: Engine = "batched",
    keep_symmetry: KeepSymmetry = False,
    rattle: Rattle = 0.0,
    workers: Workers = None,
    common: Settled,
) -> None:
    """Relax positions and cell of the structures in a file."""
    from explorer.commands import relax_file  # noqa: PLC0415 - imports torch

    spec = spec_of(**relaxing.fields(), rattle=rattle, seed=common.seed)
    told = relax_file(
        spec,
        file,
        output,
        device=common.device,
        workers=workers,
        engine=engine,
        keep_symmetry=keep_symmetry,
        progress=show_progress,
    )
    tell(told, common.json)


@app.command()
@grouped
def run(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    asked: Asked,
    n: Count = 100,
    drawing: Searching,
    generator: Method = "transformer",
    sampled: Samples,
    relaxing: RelaxingMany,
    relax_known: Annotated[
        bool, typer.Option("--relax-known", help="Relax what matches a known phase too.")
    ] = False,
    targets: Targets = None,
    placing: Competing,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the folder's run.")] = False,
    common: Common,
) -> None:
    """Draw, screen, relax and place crystals on the hull: a whole campaign in a folder."""
    from explorer.commands import run_campaign_in_folder  # noqa: PLC0415 - imports torch

    spec = spec_of(
        **asked.fields(),
        n=n,
        **drawing.fields(),
        generator=generator,
        **sampled.fields(),
        **relaxing.fields(),
        relax_known=relax_known,
        targets=str(targets) if targets else None,
        **placing.fields(),
        seed=common.seed,
    )
    told = run_campaign_in_folder(
        spec, output, device=common.device, workers=workers, resume=resume, progress=show_progress
    )
    tell(told, common.json)
    if told["state"] != "finished":
        raise StoppedError("stopped before the end: --resume goes on")


@app.command()
@grouped
def score(
    file: Annotated[Path, typer.Argument(help="Structures: parquet, CIF, extxyz, POSCAR, JSON.")],
    *,
    stability: Annotated[str, typer.Option(help="Likelihood among low, high or any.")] = "any",
    checkpoint: Checkpoint = None,
    common: Settled,
) -> None:
    """Tell how likely the model finds structures, and whether more so among stable ones."""
    from explorer.commands import score_file  # noqa: PLC0415 - imports torch

    told = score_file(
        file, checkpoint, stability=stability, device=common.device, progress=show_progress
    )
    tell(told, common.json)


@app.command()
@grouped
def train(
    recipe: Annotated[Path, typer.Argument(help="TOML file, such as model/recipes/*.toml.")],
    *,
    shards: Annotated[Path, typer.Option(help="Folder with train.npz and val.npz.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the training run.")],
    start: Annotated[
        Path | None, typer.Option(help="Weights that a new run begins with, as a folder.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so long; run again to go on.")] = 1e9,
    common: Training,
) -> None:
    """Train a network, going on from the last state of the run."""
    from explorer.commands import train_network  # noqa: PLC0415 - imports torch

    told = train_network(
        recipe, shards, output, minutes, common.seed, start=start, device=common.device
    )
    tell(told, common.json)


@app.command()
@grouped
def export(
    campaign: Annotated[str, typer.Argument(help="Folder of a run, or id of a campaign.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="zip or folder to write.")],
    chosen: Annotated[
        list[str] | None, typer.Option("--id", help="Candidate; may be repeated. None for all.")
    ] = None,
    max_above_hull: Annotated[
        float | None, typer.Option(help="Only those up to this energy above the hull, eV/atom.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="cif, extxyz, csv (these three when not given), poscar, json, optimade, lemat, "
            "vasp, report, or all; with commas or repeated.",
        ),
    ] = None,
    starred: Annotated[bool, typer.Option("--starred", help="Only starred candidates.")] = False,
    store: StoreUrl = None,
    common: Settled,
) -> None:
    """Write candidates in the formats of others, with their provenance and a README."""
    from explorer.export_campaign import export_campaign  # noqa: PLC0415

    told = export_campaign(
        campaign, output, store, chosen or (), max_above_hull, formats or (), starred
    )
    tell(told, common.json)


@app.command()
@grouped
def worker(
    *,
    store: StoreUrl = None,
    slot: Annotated[str, typer.Option(help="A name for this machine or GPU.")] = "",
    idle: Annotated[
        float, typer.Option(help="Leave after so many seconds without work.", show_default="never")
    ] = FOREVER,
    workers: Workers = None,
    common: Settled,
) -> None:
    """Run the campaigns of the page's database on this machine until interrupted."""
    from explorer.commands import work  # noqa: PLC0415 - imports torch

    told = work(store, slot=slot, idle_seconds=idle, workers=workers, device=common.device)
    tell(told, common.json)


@app.command(name="list")
@grouped
def list_(*, store: StoreUrl = None, common: Settled) -> None:
    """List the campaigns of the page's database."""
    from explorer.commands import list_campaigns  # noqa: PLC0415

    tell(list_campaigns(store), common.json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad input (one line on stderr), 1 anything unexpected."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" not in given:
        _silence_libraries()
    # At its end Python would go through all that torch and pymatgen made once more, for a second.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # no Å on a terminal is no reason to fail
    command = typer.main.get_command(app)
    try:
        with _orderly_end():
            code = command.main(args=given, prog_name="hullscape", standalone_mode=False)
            if sys.stdout is not None:  # as it is where somebody closed it
                sys.stdout.flush()
        if code == INTERRUPTED:  # what typer makes of Ctrl-C
            _complain("interrupted", INTERRUPTED)
    except StoppedError as error:
        code = _complain(str(error), INTERRUPTED)
    except BrokenPipeError:
        code = _hung_up()
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        code = _complain(*_verdict(error))
    sys.exit(code if isinstance(code, int) else 0)


class StoppedError(Exception):
    """A run that was stopped before its end; it says how to go on."""


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: with files whole and no process left behind."""

    def leave(*_: object) -> None:
        raise SystemExit(_complain("terminated", TERMINATED))

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _hung_up() -> int:
    """Return the exit code where nobody reads any more what is told, as in `hullscape ... | head`.

    Python would complain of it once more when it flushes at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return HUNG_UP


def _silence_libraries() -> None:
    """Keep the warnings of libraries off stderr, here and in the processes started from here."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("SPGLIB_WARNING", "OFF")  # it says that it tries a smaller tolerance


def _verdict(error: Exception) -> tuple[str, int]:
    """Return what to say of an error, and the exit code."""
    if hasattr(error, "format_message"):  # the command line itself: click's errors, or typer's
        return error.format_message() + _given(error), 2
    text = " ".join(str(error).split())
    from explorer.schema import StoreError  # noqa: PLC0415 - only when something went wrong

    if isinstance(error, ValueError | OSError | StoreError):
        return text or type(error).__name__, 2
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)", 1


def _given(error: Exception) -> str:
    """Return what was given for an option that takes something else; "" where that is told."""
    flaws = getattr(error.__cause__ or error.__context__, "errors", None)
    return f", got {flaws()[0]['input']!r}" if flaws else ""


def _complain(text: str, code: int) -> int:
    print(f"hullscape: {text}", file=sys.stderr)
    return code
