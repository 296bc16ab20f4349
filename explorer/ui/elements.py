"""Which elements a campaign can be asked about: what the model has seen and the potential knows."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib import resources

from explorer.potentials import PotentialError, available, potential
from explorer.ui.periodic_table import element_cells


def potential_names() -> list[str]:
    """Return the potentials that work on this machine."""
    return available()


@cache
def model_elements() -> frozenset[str]:
    """Return what the shipped network was trained on, read without loading torch."""
    description = resources.files("model") / "weights" / "network.json"
    return frozenset(json.loads(description.read_text("utf-8"))["known_elements"])


@lru_cache(maxsize=8)
def blocked_elements(name: str) -> dict[str, str]:
    """Return {symbol: reason} of the elements that cannot be chosen with a potential."""
    symbols = [cell["symbol"] for cell in element_cells()]
    try:
        known = potential(name).elements
    except PotentialError as error:
        return dict.fromkeys(symbols, str(error))
    unseen = set(symbols) - model_elements()
    blocked = dict.fromkeys(unseen, "the model has seen no crystal of it")
    return blocked | {s: f"{name} was not trained on it" for s in symbols if s not in known}
