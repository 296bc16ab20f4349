"""Campaigns that differ in their seed alone: how far chance carries their retrieval apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_

import numpy as np

from explorer.candidate import Candidate
from explorer.figures.versus import Contender

Steps = tuple[np.ndarray, np.ndarray]
"""Corners of a step curve that begins at 0: both of shape (K,), the first ascending."""
CHANCE = {"seed": 0, "name": "", "n": 1}
"""What may differ: crystal i of a seed is the same however many are drawn."""


def seeds_alike(contenders: Sequence[Contender]) -> list[list[int]]:
    """Return the places of campaigns that asked the same of other seeds, two or more together.

    They must look for the same targets, and have been drawn and judged by the same instruments.
    """
    alike: dict[tuple, list[int]] = {}
    for place, contender in enumerate(contenders):
        spec, facts = contender.campaign.spec, dict(contender.campaign.provenance)
        facts.pop("device", None)  # where it ran
        asked = spec.model_copy(update=CHANCE)
        key = (asked, tuple(sorted(facts.items())), contender.targets.names)
        alike.setdefault(key, []).append(place)
    return [places for places in alike.values() if len(_seeds(contenders, places)) > 1]


def band(curves: Iterable[Steps]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where step curves lie together, to the end of the shortest.

    Returns
    -------
    x, least, most
        Shape (K,) each: corners of the lower and the upper bound, which are step curves too.
    """
    known = list(curves)
    end = min(x[-1] for x, _ in known)
    corners = np.unique(np.concatenate([x for x, _ in known]))
    corners = corners[corners <= end]
    heights = np.array([y[np.searchsorted(x, corners, side="right") - 1] for x, y in known])
    return corners, heights.min(axis=0), heights.max(axis=0)


def seed_words(contenders: Sequence[Contender]) -> str:
    """Say for each such group how many targets its seeds found; "" where there is none.

    Where the likeliest crystals come first, seeds may draw the same ones: then what they share is
    told, since a narrow band would look like luck that does not matter.
    """
    told = []
    for places in seeds_alike(contenders):
        members = [contenders[place] for place in places]
        total = members[0].curve.total
        found = [int(one.curve.found_by_crystals[-1]) for one in members]
        if total and all(one.candidates for one in members):
            told.append(
                f"{len(_seeds(contenders, places))} seeds of {members[0].title} found {min(found)} "
                f"to {max(found)} of {total}, {np.mean(found):.1f} on average.{_shared(members)}"
            )
    return " ".join(told)


def _shared(members: Sequence[Contender]) -> str:
    """Say how many of the first crystals all these campaigns drew alike; "" for none."""
    first = min(len(one.candidates) for one in members)
    drawn = [Counter(filter(None, map(_drawn_as, one.candidates[:first]))) for one in members]
    same = reduce(and_, drawn).total()
    return f" {same} of the first {first} crystals are the same for each seed." if same else ""


def _drawn_as(candidate: Candidate) -> tuple[str, int | None, float] | None:
    """Return what two draws of one crystal have in common; None without a likelihood."""
    likelihood = candidate.log_likelihood
    if not np.isfinite(likelihood):
        return None
    return candidate.formula, candidate.spacegroup_asked, round(likelihood, 4)


def _seeds(contenders: Sequence[Contender], places: Sequence[int]) -> set[int]:
    return {contenders[place].campaign.spec.seed for place in places}
