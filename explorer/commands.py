"""What the subcommands do: each takes what was asked, works, and returns what to tell."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer import isolation
from explorer.baseline_transformer import sampling
from explorer.campaign import Campaign, CampaignSpec, SpecError
from explorer.candidate import Candidate, Relaxation
from explorer.crystals import (
    NamedStructure,
    gate,
    read_structures,
    to_structure,
    write_structures,
)
from explorer.database import refuse_missing
from explorer.encode import EncodingError, encode
from explorer.headless import DATABASE, run_in_folder
from explorer.laboratory import choose_device
from explorer.logs import log_to_stderr
from explorer.outputs import is_stream, refuse_full_folder, refuse_unwritable, replacing
from explorer.potentials import potential
from explorer.relax import Relaxer
from explorer.relax_worker import ENGINES
from explorer.relaxed_files import write_relaxed
from explorer.runner import Runner, run_until_told
from explorer.store import Store
from explorer.strangers import reading_seconds
from explorer.structure_files import is_poscar
from model.checkpoint import load_network
from model.crystal import WyckoffCrystal
from model.sample import Draw, likelihood_ratio, log_likelihood, sample, stability_score
from model.tokens import STABILITY, TokenError, crystal_to_row
from model.train import Recipe, Trainer

SECONDS_BETWEEN_LINES = 2.0
ONE_STRUCTURE = (".cif", ".vasp")
WRITABLE = (".parquet", ".extxyz", ".zip", ".json", ".csv", ".cif", ".vasp", "")


class Progress(Protocol):
    """Shows a line about how far the work is."""

    def __call__(self, line: str, *, last: bool = False) -> None:
        """Show it; `last` when nothing follows."""


class Ticker:
    """Shows progress now and then, not at every step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def tick(self, line: str) -> None:
        """Show a line unless the last one is too fresh."""
        if time.monotonic() >= self._next:
            self._progress(line)
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def done(self, line: str) -> None:
        """Show the last line."""
        self._progress(line, last=True)


def sample_to_file(
    spec: CampaignSpec, output: Path, *, device: str, progress: Progress
) -> dict[str, Any]:
    """Draw crystals and write those that decode; returns the counts and the pace."""
    network = load_network(spec.checkpoint, choose_device(device))
    spec.refuse_unknown(network.known_elements, "the model")
    refuse_output(output, spec.n)
    began, ticker, draws = time.perf_counter(), Ticker(progress), []
    for draw in sample(
        network,
        spec.constraints(),
        seed=spec.seed,
        count=spec.n,
        **sampling(spec.constraints(), **spec.drawing()),
    ):
        draws.append(draw)
        ticker.tick(f"drawn {len(draws)}/{spec.n}")
    seconds = time.perf_counter() - began
    ticker.done(f"drawn {len(draws)}/{spec.n} in {seconds:.1f} s")
    decoded = [draw for draw in draws if draw.crystal is not None]
    _write_draws(output, decoded)
    return {
        "drawn": len(draws),
        "decoded": len(decoded),
        "reasons": dict(Counter(draw.reason for draw in draws if draw.crystal is None)),
        "seconds": round(seconds, 3),
        "crystals_per_second": round(len(draws) / max(seconds, 1e-9), 2),
        "checkpoint": network.checkpoint_id,
        "seed": spec.seed,
        **spec.drawing(),
        "constraints": spec.constraints().to_dict(),
        "output": str(output),
    }


def _write_draws(output: Path, draws: Sequence[Draw]) -> None:
    named = [NamedStructure(f"{draw.index:06d}", to_structure(draw.crystal)) for draw in draws]
    with replacing(output) as part:
        write_structures(part, named)
        if output.suffix == ".parquet":
            pq.write_table(_with_likelihood(pq.read_table(part), draws), part, compression="zstd")


def _with_likelihood(table: pa.Table, draws: Sequence[Draw]) -> pa.Table:
    more = {
        "index": [draw.index for draw in draws],
        "spacegroup_asked": [draw.crystal.spacegroup for draw in draws],
        "log_likelihood": [draw.log_likelihood for draw in draws],
        **{
            f"log_likelihood_{part}": [draw.parts[part] for draw in draws]
            for part in ("spacegroup", "skeleton", "lattice", "coordinates")
        },
        "template": [draw.template for draw in draws],
        "wyckoff": [json.dumps(draw.crystal.to_dict()) for draw in draws],
    }
    for name, values in more.items():
        table = table.append_column(name, pa.array(values))
    return table


def relax_file(
    spec: CampaignSpec,
    file: Path,
    output: Path,
    *,
    device: str,
    workers: int | None,
    engine: str,
    keep_symmetry: bool = False,
    progress: Progress,
) -> dict[str, Any]:
    """Relax the structures of a file; returns how many converged, and the pace."""
    if engine not in ENGINES:
        raise SpecError(f"expected the engine {' or '.join(ENGINES)}, got {engine!r}")
    if keep_symmetry and spec.rattle:
        raise SpecError("expected --keep-symmetry or --rattle, got both: rattling breaks symmetry")
    chosen = potential(spec.potential, choose_device(device))
    named = read_foreign(file)
    refuse_output(output, len(named))
    began, ticker = time.perf_counter(), Ticker(progress)
    done: dict[int, Relaxation] = {}
    with Relaxer(
        chosen,
        fmax=spec.fmax,
        max_steps=spec.max_steps,
        workers=workers,
        engine=engine,
        keep_symmetry=keep_symmetry,
        rattle=spec.rattle,
        first=potential(spec.first, chosen.device) if spec.first else None,
    ) as relaxer:
        for place, relaxation in relaxer.relax(enumerate(item.structure for item in named)):
            done[place] = relaxation
            ticker.tick(f"relaxed {len(done)}/{len(named)}")
    seconds = time.perf_counter() - began
    ticker.done(f"relaxed {len(done)}/{len(named)} in {seconds:.1f} s")
    results = [(item.name, done[place]) for place, item in enumerate(named) if place in done]
    if holds_one(output) and results[0][1].structure is None:
        raise SpecError(f"{results[0][0]} cannot be relaxed: {results[0][1].reason}")
    write_relaxed(output, results)
    report = _relaxation_report(results, seconds, str(chosen.level))
    return report | {
        "engine": engine,
        "first": spec.first,
        "output": str(output),
    }


def read_foreign(file: Path) -> list[NamedStructure]:
    """Read a stranger's structures in a child process, which may crash or hang in our place."""
    try:
        return isolation.run(read_structures, file, seconds=reading_seconds(file))
    except isolation.IsolationError as error:
        raise SpecError(f"cannot read {file}: reading it {error}") from error


def _relaxation_report(
    results: Sequence[tuple[str, Relaxation]], seconds: float, level: str
) -> dict[str, Any]:
    failed = Counter(relaxed.reason for _, relaxed in results if not relaxed.converged)
    return {
        "n": len(results),
        "converged": sum(relaxed.converged for _, relaxed in results),
        "failed": sum(failed.values()),
        "reasons": dict(failed),
        "failures": [
            {"id": name, "reason": relaxed.reason, "written": relaxed.structure is not None}
            for name, relaxed in results
            if not relaxed.converged
        ],
        "steps": sum(relaxed.steps for _, relaxed in results),
        "lowered_by_rattling": sum(bool(relaxed.lowered) for _, relaxed in results),
        "seconds": round(seconds, 3),
        "structures_per_minute": round(60 * len(results) / max(seconds, 1e-9), 2),
        "potential": level,
    }


def run_campaign_in_folder(
    spec: CampaignSpec,
    folder: Path,
    *,
    device: str,
    workers: int | None,
    resume: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Run a whole campaign in a folder; returns its summary."""
    if resume and spec == CampaignSpec.parse() and not _holds_run(folder):
        raise SpecError(
            f"there is no run in {folder} to go on with: expected a folder that 'hullscape "
            "run' made, or what to search for, such as --elements Al-Ca-Cu"
        )
    ticker, states = Ticker(progress), {}

    def report(changed: Sequence[Candidate]) -> None:
        states.update({candidate.id: str(candidate.state) for candidate in changed})
        ticker.tick(_counts_line(Counter(states.values())))

    campaign = run_in_folder(
        spec,
        folder,
        device=device,
        workers=workers,
        resume=resume,
        report=report,
        say=progress,
    )
    counts = campaign.counts
    ticker.done(f"{campaign.state}: {_counts_line(counts)}, drawn {counts['drawn']}")
    told = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return told | {"output": str(folder)}


def _holds_run(folder: Path) -> bool:
    """Whether a folder has a run; one that was killed as it began left an empty database."""
    if not (folder / DATABASE).exists():
        return False
    store = Store(folder / DATABASE)
    known = store.campaigns()
    store.close()
    return bool(known)


def _counts_line(counts: Mapping[str, Any]) -> str:
    names = ("waiting", "relaxed", "failed", "skipped", "known", "duplicate", "rejected")
    return ", ".join(f"{name} {counts.get(name, 0)}" for name in names)


def score_file(
    file: Path, checkpoint: Path | None, *, stability: str, device: str, progress: Progress
) -> list[dict[str, Any]]:
    """Return each structure's log-likelihood, and how much likelier it is among stable ones."""
    if stability not in STABILITY:
        raise SpecError(
            f"expected a stability of {', '.join(STABILITY)}, got {stability!r}", field="stability"
        )
    named = read_foreign(file)
    loaded = load_network(checkpoint, choose_device(device))
    ticker, crystals = Ticker(progress), []
    for item in named:
        crystals.append(_described(item.structure))
        ticker.tick(f"described {len(crystals)}/{len(named)}")
    good = [crystal for crystal in crystals if not isinstance(crystal, str)]
    likely = log_likelihood(loaded, good, stability)
    scores = zip(likely, stability_score(loaded, good), likelihood_ratio(loaded, good), strict=True)
    ticker.done(f"scored {len(good)}/{len(named)}")
    rows = []
    for item, crystal in zip(named, crystals, strict=True):
        bad = isinstance(crystal, str)
        likelihood, score, ratio = (None, None, None) if bad else next(scores)
        rows.append(
            {
                "id": item.name,
                "formula": item.structure.composition.reduced_formula,
                "log_likelihood": None if bad else round(float(likelihood), 4),
                "stability_score": None if bad else round(float(score), 4),
                "likelihood_ratio": None if bad else round(float(ratio), 4),
                "reason": crystal if bad else "",
            }
        )
    return rows


def _described(structure: Structure) -> WyckoffCrystal | str:
    """Return the Wyckoff description that the model reads, or why there is none."""
    reason = gate(structure)
    if reason:
        return reason
    try:
        crystal = encode(structure)
        crystal_to_row(crystal)
    except (EncodingError, TokenError) as error:
        return str(error)
    return crystal


def train_network(
    recipe_file: Path,
    shards: Path,
    run: Path,
    minutes: float,
    seed: int | None,
    *,
    start: Path | None,
    device: str,
) -> dict[str, Any]:
    """Train for some minutes; returns where the run stands."""
    recipe = Recipe.read(recipe_file)
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    missing = [name for name in ("train.npz", "val.npz") if not (shards / name).is_file()]
    if missing:
        raise SpecError(
            f"{shards} has no {missing[0]}: make shards with 'python -m explorer.prepare shards'"
        )
    refuse_unwritable(run / "log.jsonl")
    trainer = Trainer(recipe, shards, run, choose_device(device), start)
    trainer.fit(minutes)
    return {"step": trainer.step, "steps": recipe.steps, "weights": str(run / "weights")}


def work(
    url: str | None, *, slot: str, idle_seconds: float, workers: int | None, device: str
) -> dict[str, Any]:
    """Run the campaigns of a store until told to end; returns which, and how they stand.

    Raises
    ------
    SpecError
        When another worker lives in the slot.
    """
    log_to_stderr()
    store = Store(url)
    runner = Runner(store, slot, device, idle_seconds, workers)
    if not run_until_told(runner):
        raise SpecError(
            f"another worker has the slot {runner.slot}: wait for it to end, or give this one "
            "another name by --slot"
        )
    known = {campaign.id: campaign for campaign in store.campaigns()}
    worked = [_in_a_row(known[name]) for name in runner.taken if name in known]
    return {"slot": runner.slot, "worked_on": worked}


def list_campaigns(url: str | None) -> list[dict[str, Any]]:
    """Return the campaigns of a store, newest first."""
    refuse_missing(url)
    log_to_stderr()
    return [_in_a_row(campaign) for campaign in Store(url).campaigns()]


def _in_a_row(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.id,
        "state": str(campaign.state),
        "system": campaign.spec.chemical_system or "any",
        "n": campaign.spec.n,
        "drawn": campaign.counts["drawn"],
        "relaxed": campaign.counts["relaxed"],
        "failed": campaign.counts["failed"],
        "message": campaign.message,
    }


def refuse_output(output: Path, structures: int) -> None:
    """Refuse a file that cannot be written, or that cannot hold so many, before the work."""
    if output.suffix not in WRITABLE:
        raise SpecError(
            f"cannot write {output}: expected a name that ends in {', '.join(WRITABLE[:-1])}, or "
            f"a folder's without a dot, got {output.suffix!r}"
        )
    if is_stream(output) and not output.suffix:
        raise SpecError(f"cannot write {output}: a device or pipe tells no format; name a file")
    if structures > 1 and holds_one(output):
        raise SpecError(
            f"cannot write {structures} structures to {output}: {output.suffix or 'a POSCAR'} "
            "holds one; write a .zip of CIFs, a folder, .parquet or .extxyz"
        )
    if not output.suffix and not holds_one(output):
        refuse_full_folder(output)
    refuse_unwritable(output)


def holds_one(output: Path) -> bool:
    """Whether a file of that name holds a single structure."""
    return output.suffix in ONE_STRUCTURE or is_poscar(output)
