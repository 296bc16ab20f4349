"""Chemical elements by symbol: their order in formulas and the features that the network reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import numpy as np

_BETWEEN = re.compile(r"[-–—,;+\s]+")
"""What people write between symbols."""
_ISOTOPES = ("D", "T")


@dataclass(frozen=True)
class ElementTable:
    """Elements Z = 1 to 118; row k holds Z = k + 1."""

    symbol: np.ndarray
    """Symbols, (118,) str."""
    electronegativity: np.ndarray
    """Pauling electronegativity; 10 where none is known, (118,)."""
    mass: np.ndarray
    """Atomic mass in u, (118,)."""
    covalent_radius: np.ndarray
    """Covalent radius in angstrom; 0.2 where none is known, (118,)."""
    features: np.ndarray
    """Standardized periodic-table features, (118, F) float32."""

    @property
    def rank(self) -> np.ndarray:
        """Place of each element in a formula, by electronegativity, then symbol, (118,)."""
        order = sorted(range(118), key=lambda k: (self.electronegativity[k], self.symbol[k]))
        ranks = np.empty(118, int)
        ranks[order] = np.arange(118)
        return ranks


@cache
def elements() -> ElementTable:
    """Read the table that lies beside this file; read once, then shared."""
    with np.load(Path(__file__).with_name("elements.npz")) as stored:
        return ElementTable(**{name: stored[name] for name in stored.files})


@cache
def _number_of_symbol() -> dict[str, int]:
    return {str(symbol): k + 1 for k, symbol in enumerate(elements().symbol)}


@cache
def formula_rank() -> np.ndarray:
    """Place of each element in a formula, by electronegativity, then symbol, (118,)."""
    return elements().rank


@cache
def element_distance() -> np.ndarray:
    """How far elements are apart in the periodic table, by atomic number, (119, 119).

    Of the standardized features; 0 is no element, and no distance from any.
    """
    features = elements().features.astype(float)
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    return np.pad(apart, ((1, 0), (1, 0)))


def atomic_number(symbol: str) -> int:
    """Atomic number of ``symbol``.

    Raises
    ------
    ValueError
        If there is no such element; the message names the nearest symbol.
    """
    numbers = _number_of_symbol()
    if symbol in numbers:
        return numbers[symbol]
    raise ValueError(f"expected element symbols such as Al or Cu, got {symbol!r}{_hint(symbol)}")


def _hint(symbol: str) -> str:
    """Say what somebody may have meant."""
    numbers = _number_of_symbol()
    if symbol in _ISOTOPES:
        return "; isotopes are not told apart: write H"
    joined = re.findall(r"[A-Z][a-z]?", symbol)
    if len(joined) > 1 and "".join(joined) == symbol and all(one in numbers for one in joined):
        return f"; did you mean {'-'.join(joined)}?"
    near = get_close_matches(symbol.capitalize(), numbers, n=1, cutoff=0.3)
    return f"; did you mean {near[0]}?" if near else ""


def split_symbols(text: str) -> tuple[str, ...]:
    """Split a chemical system such as ``Al-Ca-Cu``, also with commas or blanks; "" has none.

    Raises
    ------
    ValueError
        If there is text but no symbol.
    """
    parts = tuple(part for part in _BETWEEN.split(text) if part)
    if text.strip() and not parts:
        raise ValueError(f"expected a chemical system such as Al-Ca-Cu, got {text!r}")
    return parts


def symbol_of(number: int) -> str:
    """Symbol of an atomic number from 1 to 118."""
    return str(elements().symbol[number - 1])


def in_formula_order(symbols: set[str] | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Sort symbols by electronegativity, then alphabetically, as formulas are written."""
    rank = formula_rank()
    return tuple(sorted(symbols, key=lambda symbol: rank[atomic_number(symbol) - 1]))
