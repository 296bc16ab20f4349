"""The published baseline Matra-Genoa, trained by ``model/recipes/matra.toml``, as a generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from explorer.baselines import Drawn
from model.checkpoint import LoadedNetwork, kind_of, load_network
from model.constraints import ConstraintError, Constraints
from model.matra import KIND, load_matra
from model.matra_sample import draw_matra


def open_network(folder: str | None, device: str) -> LoadedNetwork:
    """Read our own network or the baseline's, whichever a folder holds; None: the shipped one.

    Raises
    ------
    CheckpointError
        If the folder holds neither, or damaged weights.
    """
    if folder is not None and kind_of(Path(folder)) == KIND:
        return load_matra(Path(folder), device)
    return load_network(folder, device)


def matra(
    loaded: LoadedNetwork,
    constraints: Constraints,
    *,
    n: int,
    seed: int = 0,
    start: int = 0,
    temperature: float = 1.0,
    batch_size: int = 256,
) -> Iterator[Drawn]:
    """Draw crystals ``start`` to ``n - 1``, prompted with the stability and the elements.

    It may use other elements all the same, has no limit of size, and some rows are no crystals.

    Raises
    ------
    ConstraintError
        If more than elements and stability is asked for.
    """
    for field in ("formula", "spacegroups", "sites", "subset", "required", "excluded"):
        if getattr(constraints, field):
            raise ConstraintError(
                field, f"the baseline matra takes elements and a stability alone, got {field}"
            )
    draws = draw_matra(
        loaded,
        seed=seed,
        start=start,
        count=n - start,
        elements=constraints.elements,
        stability=constraints.stability,
        temperature=temperature,
        batch_size=batch_size,
    )
    for draw in draws:
        reason = f"undecodable: {draw.reason}" if draw.reason else ""
        yield Drawn(draw.index, draw.crystal, reason=reason)
