"""The trained network behind the interface of the generators."""

from __future__ import annotations

from collections.abc import Iterator

from explorer.baselines import Drawn
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.sample import sample


def transformer(
    loaded: LoadedNetwork,
    constraints: Constraints,
    *,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    search: str = "independent",
    geometry_temperature: float | None = None,
    again: float | None = None,
) -> Iterator[Drawn]:
    """Draw ``n`` crystals with the trained network; raises as `model.sample.sample` does."""
    draws = sample(
        loaded,
        constraints,
        seed=seed,
        count=n,
        temperature=temperature,
        top_p=top_p,
        search=search,
        geometry_temperature=geometry_temperature,
        again=again,
        batch_size=256,
    )
    for draw in draws:
        yield Drawn(draw.index, draw.crystal, reason=draw.reason)
