"""What known phases tell of a crystal, as numbers for a stability network.

Letters in shapes: B crystals, F facts, I inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from model.crystal import WyckoffCrystal
from model.phases import KnownPhases, describe
from model.shards import LOW_LIMIT

PER_EV = 5.0
"""Inputs of a network per eV/atom, for differences of energies."""
FAR = 3.0
"""Chemical distance from which on neighbours are equally far."""
GAPS = (-0.6, 1.0)
"""eV/atom; differences from the hull are told within these bounds."""
INPUTS = 16
"""Numbers that a network reads."""


class Fact(IntEnum):
    """Columns of facts; energies in eV/atom."""

    HULL = 0
    """Formation energy of the best mixture of phases of other compositions."""
    SIDES = 1
    """The same of phases that lack an element."""
    OWN_PHASES = 2
    """Known compositions with all the elements."""
    SIDE_PHASES = 3
    """Known compositions that lack an element."""
    POLYMORPH = 4
    """Lowest formation energy of a known crystal of the composition; NaN without."""
    NEIGHBOURS = 5
    """Known crystals of the skeleton with other elements."""
    DISTANCE = 6
    """To the nearest of them, infinite without."""
    THEIR_ENERGY = 7
    """Their mean formation energy."""
    THEIR_ABOVE = 8
    """Their mean energy above the hull."""
    THEIR_LOW = 9
    """Share of them below `LOW_LIMIT`."""


def facts_of(crystals: Sequence[WyckoffCrystal], known: KnownPhases) -> np.ndarray:
    """Return what is known beside each crystal, (B, F) float32."""
    facts = np.zeros((len(crystals), len(Fact)), np.float32)
    for row, crystal in zip(facts, crystals, strict=True):
        one = describe(crystal)
        near = known.neighbours(one, LOW_LIMIT)
        row[: Fact.POLYMORPH] = known.competition(one.composition)
        row[Fact.POLYMORPH] = known.polymorph(one)
        row[Fact.NEIGHBOURS :] = near
    return facts


def forget(facts: np.ndarray, own: np.ndarray, polymorph: np.ndarray) -> np.ndarray:
    """Return facts, (B, F), as if less were known, for training.

    A system without a known phase of its own is what a search is for, and seldom in training.

    Parameters
    ----------
    own, polymorph : ndarray of bool, shape (B,)
        Where the phases with all the elements, or those of the composition, are unknown.
    """
    less = facts.copy()
    less[own, Fact.HULL] = less[own, Fact.SIDES]
    less[own, Fact.OWN_PHASES] = 0
    less[own | polymorph, Fact.POLYMORPH] = np.nan
    return less


def inputs(facts: Tensor, energy: Tensor) -> Tensor:
    """Return what a network reads, (B, I).

    Parameters
    ----------
    facts : Tensor, shape (B, F)
    energy : Tensor, shape (B,)
        The formation energy that the network foresees, eV/atom.
    """
    hull, sides, own, side, polymorph, count, distance, theirs, above, low = facts.unbind(dim=1)
    paired, near = ~polymorph.isnan(), count > 0
    over = torch.where(paired, polymorph - hull, 0.0).clamp(-1, 1)
    lowest = torch.where(paired, torch.minimum(hull, polymorph), hull)
    gap, gap_of_lowest = (energy - hull).clamp(*GAPS), (energy - lowest).clamp(*GAPS)
    columns = (
        hull,
        sides - hull,
        own.log1p(),
        (own + side).log1p() / 4,
        paired,
        PER_EV * over,
        near,
        distance.clamp(max=FAR) * near,
        count.log1p() / 4,
        PER_EV * above,
        low,
        PER_EV * (theirs - hull).clamp(-1, 1) * near,
        lowest,
        PER_EV * gap,
        PER_EV * gap.relu(),
        PER_EV * gap_of_lowest,
    )
    return torch.stack([column.to(facts.dtype) for column in columns], dim=1)
