"""What `hullscape evaluate` does: checks what was asked, opens the network, judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from explorer.campaign import CampaignSpec, SpecError
from explorer.commands import Progress
from explorer.evaluate.generation import evaluate_generation
from explorer.evaluate.retrieval import evaluate_retrieval
from explorer.evaluate.roundtrip import evaluate_roundtrip
from explorer.laboratory import choose_device
from model.checkpoint import load_network


def retrieval(
    spec: CampaignSpec,
    *,
    systems: Path | None,
    candidates: Path | None,
    max_e_above_hull: float,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Count the targets that are found again within n crystals for each system."""
    _refuse_missing(Path(spec.targets or ""), systems, candidates)
    loaded = None if candidates else load_network(spec.checkpoint, choose_device(device))
    return evaluate_retrieval(
        Path(spec.targets or ""),
        systems=systems,
        n=spec.n,
        max_e_above_hull=max_e_above_hull,
        loaded=loaded,
        candidates=candidates,
        stability=spec.stability,
        temperature=spec.temperature,
        top_p=spec.top_p,
        seed=spec.seed,
        workers=workers,
        progress=progress,
    )


def generation(
    spec: CampaignSpec, *, known: Path | None, workers: int | None, device: str
) -> dict[str, Any]:
    """Count what is right with n drawn crystals."""
    _refuse_missing(known)
    loaded = load_network(spec.checkpoint, choose_device(device))
    spec.refuse_unknown(loaded.known_elements, "the model")
    return evaluate_generation(
        loaded,
        spec.constraints(),
        n=spec.n,
        temperature=spec.temperature,
        top_p=spec.top_p,
        seed=spec.seed,
        known=known,
        workers=workers,
    )


def roundtrip(file: Path, *, workers: int | None) -> dict[str, Any]:
    """Count the structures of a file that survive encoding."""
    _refuse_missing(file)
    return evaluate_roundtrip(file, workers=workers)


def _refuse_missing(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.exists():
            raise SpecError(f"no such file: {file}")
