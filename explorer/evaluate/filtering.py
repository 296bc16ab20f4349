"""What is left of the crystals drawn, filter after filter, and what each filter costs.

The table is that of Matra-Genoa's large generation run (De Breuck et al., arXiv 2501.16051, Table
I), made from a campaign of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.candidate import Candidate, State
from explorer.novelty import Matcher, MatchError, Pool

THRESHOLDS = ("0.1", "0")
"""eV/atom above the hull."""
TRIED = {State.RELAXED, State.FAILED}


@dataclass(frozen=True)
class Stage:
    """One line of the table: what a crystal must be to be counted."""

    name: str
    words: str
    passes: Callable[[Candidate], bool]


STAGES = (
    Stage("generated", "drawn", lambda _: True),
    Stage("decodable", "the row is a crystal", lambda one: one.initial is not None),
    Stage(
        "sound",
        "a sensible cell, no atoms closer than 0.7 Å",
        lambda one: one.state not in {State.DRAWN, State.REJECTED},
    ),
    Stage("unique", "equals no earlier crystal", lambda one: one.state != State.DUPLICATE),
    Stage("new", "equals no known phase as drawn", lambda one: one.state != State.KNOWN),
    Stage("tried", "its relaxation was begun", lambda one: one.state in TRIED),
    Stage("relaxed", "the relaxation converged", lambda one: one.state == State.RELAXED),
    Stage("still new", "equals no known phase once relaxed", lambda one: one.novel is True),
)
"""In this order; a crystal counts where it passes all of them so far."""


def evaluate_filtering(
    candidates: Sequence[Candidate], *, seconds_sampling: float, seconds_relaxing: float
) -> dict[str, Any]:
    """Count what is left of a campaign's crystals after each filter.

    Parameters
    ----------
    candidates : sequence of Candidate
        All of a campaign; waiting ones count as not tried.
    seconds_sampling, seconds_relaxing : float
        Spent on drawing and screening, and on relaxing.

    Returns
    -------
    dict
        ``stages``: for each its ``words``, ``count``, ``of_generated`` and ``of_previous``. After
        `STAGES` come those within 0.1 and 0 eV/atom of the hull that equal no earlier one of them.
        ``seconds`` of sampling and relaxing; ``extrapolated_per_hour``, what an hour of the
        same work would give, with its ``basis``.

    Raises
    ------
    ValueError
        If there is no candidate.
    """
    if not candidates:
        raise ValueError("expected the candidates of a campaign, got none")
    counts: dict[str, tuple[int, str]] = {}
    left = list(candidates)
    for stage in STAGES:
        left = [candidate for candidate in left if stage.passes(candidate)]
        counts[stage.name] = len(left), stage.words
    for limit in THRESHOLDS:
        words = f"within {limit} eV/atom of the hull once relaxed, no two of them the same"
        counts[f"within {limit}"] = len(set(distinct_near_hull(left, float(limit)).values())), words
    seconds = seconds_sampling + seconds_relaxing
    return {
        "stages": _stages(counts),
        "seconds": {
            "sampling": round(seconds_sampling, 1),
            "relaxing": round(seconds_relaxing, 1),
        },
        "extrapolated_per_hour": _per_hour(counts, seconds),
    }


def _stages(counts: dict[str, tuple[int, str]]) -> dict[str, dict[str, Any]]:
    table, generated, previous = {}, counts["generated"][0], counts["generated"][0]
    for name, (count, words) in counts.items():
        table[name] = {
            "words": words,
            "count": count,
            "of_generated": round(count / generated, 4),
            "of_previous": round(count / previous, 4) if previous else None,
        }
        previous = count
    return table


def _per_hour(counts: dict[str, tuple[int, str]], seconds: float) -> dict[str, Any]:
    basis = f"extrapolated from {seconds:.0f} s of sampling and relaxing at the same pace"
    if seconds <= 0:
        return {"basis": "no time was measured"}
    return {"basis": basis} | {
        name: round(count * 3600 / seconds) for name, (count, _) in counts.items()
    }


def distinct_near_hull(candidates: Sequence[Candidate], limit: float) -> dict[str, str]:
    """Name, for each crystal that relaxed to near the hull, the first such crystal it equals."""
    pool, groups = Pool(Matcher()), {}
    for candidate in candidates:
        above = candidate.energy_above_hull
        if candidate.state != State.RELAXED or above is None or above > limit:
            continue
        try:
            first = pool.match(candidate.relaxed)
        except MatchError:
            continue  # what cannot be compared would be counted twice
        groups[candidate.id] = first or candidate.id
        if first is None:
            pool.add(candidate.id, candidate.relaxed)
    return groups
