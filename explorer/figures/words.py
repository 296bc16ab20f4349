"""How formulas, space groups and energies are written, the same in every figure and view."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from pymatgen.core import Composition
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from explorer.formulas import without_brackets
from explorer.track_record import DRAWN, KINDS, Record
from model.spacegroups import crystal_system

if TYPE_CHECKING:
    from explorer.candidate import Candidate

MINUS = "\N{MINUS SIGN}"
SUBSCRIPTS = str.maketrans("0123456789.-", "₀₁₂₃₄₅₆₇₈₉.₋")
# Counts, and ranges of counts, stand behind an element or a bracket; fractions as in "0.5 CaAl2"
# stand before.
COUNT = re.compile(r"(?<=[A-Za-z)])\d+(?:\.\d+)?(?:-\d+)?")
SCREW_AXIS = re.compile(r"_(\d)")
NOT_KNOWN = "–"
PARTS = {"spacegroup": "space group"}
"""Parts of a likelihood that people call something else."""


def escape(text: object) -> str:
    """Make a string from data harmless wherever HTML is read."""
    return html.escape(str(text), quote=True)


def formula_label(formula: str) -> str:
    """Write formulas with subscripts and, as those of candidates are, without brackets."""
    return COUNT.sub(lambda match: match[0].translate(SUBSCRIPTS), without_brackets(formula))


def in_lines(text: str, letters: int) -> str:
    """Break a figure's title into lines of at most so many letters: Plotly cuts what is longer."""
    return "<br>".join(textwrap.wrap(text, letters))


def counted(count: int, noun: str) -> str:
    """A number with its noun, "1 crystal" or "2,000 crystals"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@cache
def spacegroup_symbol(number: int) -> str:
    """Short Hermann-Mauguin symbol with its screw axes, such as I4/mmm for 139, P2₁/c for 14."""
    symbol = sg_symbol_from_int_number(number)
    if crystal_system(number) == "monoclinic":  # P12_1/c1: only the unique axis b says something
        symbol = f"{symbol[0]}{symbol[2:-1]}"
    return SCREW_AXIS.sub(lambda match: match[1].translate(SUBSCRIPTS), symbol)


def unbroken(text: str) -> str:
    """Keep a text on one line, also at the hyphen of Fm-3m, where a line would break."""
    return text.replace(" ", "\N{NO-BREAK SPACE}").replace("-", "-\N{WORD JOINER}")


def spacegroup_label(number: int | None) -> str:
    """Symbol and number, "I4/mmm (139)"; a dash when there is none."""
    return f"{spacegroup_symbol(number)} ({number})" if number else NOT_KNOWN


def energy_label(energy: float | None, signed: bool = False) -> str:
    """Three decimals and the unit, "0.042 eV/atom"; a dash when there is no energy."""
    if energy is None or not math.isfinite(energy):
        return NOT_KNOWN
    return f"{energy_number(energy, signed)} eV/atom"


def energy_number(energy: float, signed: bool = False) -> str:
    """Three decimals with a true minus sign, for a column whose heading has the unit."""
    value = round(energy, 3) + 0.0  # no "-0.000"
    return (f"{value:+.3f}" if signed else f"{value:.3f}").replace("-", MINUS)


@cache
def fractions(formula: str, elements: tuple[str, ...]) -> tuple[float, ...]:
    """Atomic fraction of each of `elements` in a formula; they add up to 1 inside the system."""
    composition = Composition(formula)
    return tuple(float(composition.get_atomic_fraction(symbol)) for symbol in elements)


def geometry_words(template: str) -> str:
    """Say whose geometry a crystal was drawn with, "as in CaAl2Ni2"; "" for its own."""
    return f"as in {formula_label(template)}" if template else ""


def rattled_words(lowered: float | None) -> str:
    """Say what a relaxed crystal did when it was rattled; "" where that is not known."""
    if lowered is None:
        return ""
    if lowered:
        return f"left for this form, {energy_label(lowered)} lower"
    return "came back to this form"


def reaction_label(candidate: Candidate) -> str:
    """Write how a candidate decays, or what it forms from where it lies below the hull."""
    left, arrow, right = (candidate.reaction or "").partition(" -> ")
    above = candidate.energy_above_hull
    if not arrow or above is None or without_brackets(left) == without_brackets(right):
        return ""
    return formula_label(f"{left} {'→' if above >= 0 else '←'} {right}")


def destabilised_label(candidate: Candidate) -> str:
    """Write which stable phases a candidate would push off the hull, and by how much."""
    told = candidate.destabilises
    return f"{formula_label(told)} eV/atom" if told else ""


def odds_label(log_odds: float | None) -> str:
    """Return log-odds as a probability, "73 % within 0.075 eV/atom of the hull"; "" for none."""
    if log_odds is None:
        return ""
    percent = 100 / (1 + math.exp(-log_odds))
    told = "> 99" if percent > 99 else "< 1" if percent < 1 else f"{percent:.0f}"
    return f"{told} % within 0.075 eV/atom of the hull"


def likelihood_label(whole: float, parts: Mapping[str, float] | None = None) -> str:
    """Return a log-likelihood and its parts, such as "−42.10 (skeleton −9.12, lattice −8.01)"."""
    if math.isnan(whole):
        return NOT_KNOWN
    told = ", ".join(
        f"{PARTS.get(name, name)} {_hundredths(value)}" for name, value in (parts or {}).items()
    )
    return f"{_hundredths(whole)} ({told})" if told else _hundredths(whole)


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)  # + 0.0: no "−0.00"


def expected_label(record: Record | None) -> str:
    """Say where DFT is expected to place a crystal, and how sure that is; "" where nobody knows."""
    if record is None:
        return ""
    low, high = energy_number(record.low), energy_number(record.high)
    return f"about {energy_label(record.expected)} by DFT ({low} to {high})"


def record_label(record: Record | None, drawn: Record | None = None) -> str:
    """Say where DFT is expected to place a crystal, and what it says of crystals like that.

    Where it counts as one with exchanged elements, also what it says if it is like a drawn one.
    """
    if record is None:
        return ""
    low, high = energy_number(record.low), energy_number(record.high)
    others = ""
    if drawn is not None and record.kind != DRAWN:
        shares = f"{drawn.stable:.0%} and {drawn.near:.0%}"
        others = f", {shares} if it is like {KINDS[DRAWN]}"
    return (
        f"about {energy_label(record.expected)} by DFT, four of five from {low} to {high}; "
        f"{record.stable:.0%} stable and {record.near:.0%} within 0.1 if it is like "
        f"{KINDS[record.kind]}{others}"
    ).replace("%", "\N{NO-BREAK SPACE}%")
