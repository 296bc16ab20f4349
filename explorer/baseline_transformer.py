"""The trained network behind the interface of the generators."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from explorer.baseline_substitution import proposals
from explorer.baselines import Drawn
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.sample import sample
from model.templates import Templates, load_templates


def transformer(
    loaded: LoadedNetwork,
    constraints: Constraints,
    *,
    n: int,
    seed: int = 0,
    start: int = 0,
    batch_size: int = 256,
    **how: Any,
) -> Iterator[Drawn]:
    """Draw crystals ``start`` to ``n - 1`` with the trained network.

    How it draws and what it raises is told at `model.sample.sample`; ``how`` is what `sampling`
    takes.
    """
    draws = sample(
        loaded,
        constraints,
        seed=seed,
        start=start,
        count=n - start,
        batch_size=batch_size,
        **sampling(constraints, **how),
    )
    for draw in draws:
        yield Drawn(
            draw.index,
            draw.crystal,
            reason=f"undecodable: {draw.reason}" if draw.reason else "",
            log_likelihood=draw.log_likelihood,
            log_parts={name: value for name, value in draw.parts.items() if name != "elements"},
            template=draw.template,
        )


def sampling(
    constraints: Constraints,
    *,
    templates: bool = False,
    prototypes: bool = False,
    variants: bool = False,
    **how: Any,
) -> dict[str, Any]:
    """Return the keywords of `model.sample.sample` for the drawing of a campaign.

    Parameters
    ----------
    templates : bool
        Whether known geometries are tried first: the shipped ones.
    prototypes : bool
        Whether known prototypes are proposed, the chemically most similar first.
    variants : bool
        Whether ordered variants count as known, both as geometries and as prototypes.
    """
    return how | {
        "templates": _templates(variants) if templates else None,
        "proposed": proposals(constraints, variants) if prototypes else (),
    }


@cache
def _templates(variants: bool) -> Templates:
    """Return the shipped geometries, the same object each time: it remembers what it looked up."""
    return load_templates().with_variants() if variants else load_templates()
