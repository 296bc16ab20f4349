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
    start: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    search: str = "independent",
    geometry_temperature: float | None = None,
    again: float | None = None,
    batch_size: int = 256,
) -> Iterator[Drawn]:
    """Draw crystals ``start`` to ``n - 1`` with the trained network.

    Raises as `model.sample.sample` does.
    """
    draws = sample(
        loaded,
        constraints,
        seed=seed,
        start=start,
        count=n - start,
        temperature=temperature,
        top_p=top_p,
        search=search,
        geometry_temperature=geometry_temperature,
        again=again,
        batch_size=batch_size,
    )
    for draw in draws:
        yield Drawn(
            draw.index,
            draw.crystal,
            reason=draw.reason,
            log_likelihood=draw.log_likelihood,
            log_parts={name: value for name, value in draw.parts.items() if name != "elements"},
        )
