"""What relaxes: the cores or the GPU of this machine, or a cluster by its scheduler's address."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from explorer.hopeless import Ceiling
from explorer.logs import say
from explorer.potential_base import need
from explorer.potentials import Potential
from explorer.relax import Relaxer
from explorer.relaxation import FMAX, MAX_STEPS

if TYPE_CHECKING:
    from explorer.cluster import ClusterRelaxer

SCHEDULER = "HULLSCAPE_SCHEDULER"
"""Environment variable: the address of a dask.distributed scheduler, "tcp://host:8786"."""
RESOURCES = "HULLSCAPE_RESOURCES"
"""Environment variable: what a task takes of a worker of the cluster, "GPU=1"."""


def open_relaxer(
    chosen: Potential,
    fmax: float = FMAX,
    max_steps: int = MAX_STEPS,
    workers: int | None = None,
    *,
    first: Potential | None = None,
    ceiling: Ceiling | None = None,
    rattle: float = 0.0,
    keep_symmetry: bool = False,
    say: Callable[[str], None] = say,
) -> Relaxer | ClusterRelaxer:
    """Return what relaxes: the cluster that HULLSCAPE_SCHEDULER names, or else this machine.

    Parameters
    ----------
    chosen, fmax, max_steps, first, ceiling, rattle, keep_symmetry
        As in `explorer.relax.Relaxer`. A cluster begins every structure and gives none up.
    workers
        Processes on this machine; a cluster has its own.
    say
        Hears what a cluster waits for, and "" when it goes on.

    Raises
    ------
    ValueError
        When HULLSCAPE_RESOURCES cannot be read, the package for clusters is missing, or a cluster
        is to begin with another potential or to leave crystals as drawn.
    """
    address = os.environ.get(SCHEDULER, "").strip()
    if not address:
        return Relaxer(
            chosen,
            fmax=fmax,
            max_steps=max_steps,
            workers=workers,
            first=first,
            ceiling=ceiling,
            rattle=rattle,
            keep_symmetry=keep_symmetry,
        )
    if first is not None:
        raise ValueError(f"{SCHEDULER}: a cluster relaxes with one potential, got {first.name} too")
    if ceiling is not None and math.isfinite(ceiling.below):
        raise ValueError(
            f"{SCHEDULER}: a cluster relaxes every crystal, got a limit of {ceiling.below:g} "
            "eV/atom above the hull as drawn: leave out relax_below"
        )
    need("distributed", "cluster")
    from explorer.cluster import ClusterRelaxer  # noqa: PLC0415 - an optional package

    resources = read_resources(os.environ.get(RESOURCES, ""))
    how = {"rattle": rattle, "keep_symmetry": keep_symmetry}
    return ClusterRelaxer(address, chosen, fmax, max_steps, **how, resources=resources, say=say)


def read_resources(text: str) -> dict[str, float]:
    """Read what a task takes of a worker, such as "GPU=1" or "GPU=1 MEMORY=8e9".

    Raises
    ------
    ValueError
        With what was expected.
    """
    try:
        pairs = (word.split("=") for word in text.replace(",", " ").split())
        return {name: float(amount) for name, amount in pairs}
    except ValueError:
        raise ValueError(
            f"{RESOURCES}: expected NAME=NUMBER, such as GPU=1, got {text!r}"
        ) from None
