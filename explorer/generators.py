"""The generators by name, each as one function from constraints to drawn crystals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from explorer.baseline_random import random_crystals
from explorer.baseline_substitution import substitution
from explorer.baseline_transformer import transformer
from explorer.baselines import Drawn
from model.checkpoint import LoadedNetwork

METHODS = ("transformer", "substitution", "similarity", "random", "random-neutral")
"""What `generator` makes."""

Generate = Callable[..., Iterator[Drawn]]
"""Called as ``generate(constraints, n=..., seed=...)``."""


def generator(
    method: str, loaded: LoadedNetwork | None = None, options: Mapping[str, Any] | None = None
) -> Generate:
    """Return the generator of that name.

    Parameters
    ----------
    method : str
        One of `METHODS`: the trained network; known prototypes filled by frequency or by chemical
        similarity; PyXtal's random crystals, of any formula or of neutral ones.
    loaded, options
        The network and how to draw from it: temperature, the keywords of
        `transformer` after the seed.

    Raises
    ------
    ValueError
        If there is no such generator, or no network for the transformer.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of {', '.join(METHODS)}, got {method!r}")
    if method == "transformer":
        if loaded is None:
            raise ValueError("the transformer needs a network, got none")
        return partial(transformer, loaded, **(options or {}))
    return {
        "substitution": substitution,
        "similarity": partial(substitution, similar=True),
        "random": random_crystals,
        "random-neutral": partial(random_crystals, charge_balanced=True),
    }[method]
