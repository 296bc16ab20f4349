"""How formulas are spelled, so that one composition has one spelling wherever it stands."""

from __future__ import annotations

import re
from functools import cache

from pymatgen.core import Composition

BRACKET = re.compile(r"\(((?:[A-Z][a-z]?\d*)+)\)(\d+)")
ATOMS = re.compile(r"([A-Z][a-z]?)(\d*)")


@cache
def spelled(formula: str) -> str:
    """Return a reduced formula, elements by electronegativity, without brackets.

    As pymatgen has it, which also knows that peroxides are Li2O2 and no LiO; but it writes brackets
    around any two elements with a common factor: Ca(AlCu)2, Li(FeO2)2.
    """
    return without_brackets(Composition(formula).reduced_formula)


def without_brackets(text: str) -> str:
    """Multiply out the brackets of all formulas in a text: Ca(AlCu)2 becomes CaAl2Cu2."""
    return BRACKET.sub(_opened, text)


def _opened(group: re.Match[str]) -> str:
    atoms = ATOMS.findall(group[1])
    return "".join(f"{symbol}{int(count or 1) * int(group[2])}" for symbol, count in atoms)
