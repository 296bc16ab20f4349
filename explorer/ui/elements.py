"""Which elements a campaign can be asked about, and what is asked of each. No widgets here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from explorer.potentials import PotentialError, available, potential
from explorer.ui.periodic_table import MAY, MUST, NEVER, element_cells

ANY_ELEMENT = ""
"""In the place of a symbol: why a potential takes no element at all."""


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
    """Return {symbol: reason} of the elements that cannot be chosen with a potential.

    One that cannot be used has its reason at `ANY_ELEMENT` too.
    """
    symbols = [cell["symbol"] for cell in element_cells()]
    try:
        known = potential(name).elements
    except PotentialError as error:
        return dict.fromkeys([ANY_ELEMENT, *symbols], str(error))
    unseen = set(symbols) - model_elements()
    blocked = dict.fromkeys(unseen, "the model has seen no crystal of it")
    return blocked | {s: f"{name} was not trained on it" for s in symbols if s not in known}


def states_of(fields: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
    """Return what the fields of a form ask of each element, and whether any others may join."""
    elements, required = fields["elements"], fields["required"]
    chosen = elements or required
    may = fields["subset"] or bool(required)
    states = {s: MUST if not may or s in required else MAY for s in chosen}
    others = not elements and bool(required or fields["excluded"])
    return states | dict.fromkeys(fields["excluded"], NEVER), others


def fields_of_states(states: Mapping[str, str], others: bool) -> dict[str, Any]:
    """Return the fields that ask this of the elements; inverse of `states_of`.

    Where others may join there is nothing to say of an element that may appear.
    """
    must, may, never = (
        sorted(symbol for symbol, state in states.items() if state == wanted)
        for wanted in (MUST, MAY, NEVER)
    )
    return {
        "elements": [] if others else sorted(must + may),
        "required": must if others or may else [],
        "subset": bool(may) and not others,
        "excluded": never,
    }
