"""The retrieval curve: targets found, against crystals drawn and against relaxations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import holoviews as hv
import numpy as np

from explorer.candidate import Candidate, State
from explorer.retrieval import Curve

hv.extension("bokeh", logo=False)

DRAWN, SPENT, CEILING = "#1f83c4", "#d9690f", "#8492a3"
BASELINES = {
    "similarity": ("prototypes by similarity", "#7c6bb0", "solid"),
    "substitution": ("prototypes by frequency", "#6b7885", "dashed"),
}
"""What each baseline is called, and how its line looks."""
ALONE: Mapping[str, Curve] = MappingProxyType({})
NOTHING = Curve(*(np.zeros(1, int) for _ in range(4)), total=0)


def curve_of(candidates: Sequence[Candidate], targets: Collection[str]) -> Curve:
    """Count the targets that candidates were found to equal, before or after relaxation.

    The runner has compared them with the targets already, so nothing is matched again here.

    Parameters
    ----------
    candidates : sequence of Candidate
        In the order in which they were drawn.
    targets : collection of str
        Names of the structures that count.
    """
    wanted, seen = set(targets), set()
    drawn, spent = [0], [0]
    for candidate in candidates:
        seen |= wanted.intersection(candidate.targets)
        drawn.append(len(seen))
        if candidate.state in {State.RELAXED, State.FAILED}:
            spent.append(len(seen))
    return Curve(
        *(np.arange(len(drawn)), np.array(drawn)),
        *(np.arange(len(spent)), np.array(spent)),
        total=len(wanted),
    )


def finders(candidates: Sequence[Candidate], targets: Collection[str]) -> dict[str, Candidate]:
    """Return the first candidate, in the order given, that equals each target that was found."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        for name in candidate.targets:
            first.setdefault(name, candidate)
    return {name: first[name] for name in targets if name in first}


def retrieval_figure(curve: Curve, baselines: Mapping[str, Curve] = ALONE) -> hv.Overlay:
    """Draw both curves as steps, under a dotted line at the number of targets.

    Baselines, by generator, are thin lines against crystals drawn, as far as the campaign is.
    """
    horizon = int(max(curve.crystals[-1], 1))
    top = max(curve.total, 1)
    axes = ("crystals drawn, or relaxations", "targets found")
    lines = [
        hv.Curve(points, *axes, label=label).opts(
            color=colour, line_width=2.5, line_dash=dash, interpolation="steps-post"
        )
        for points, label, colour, dash in (
            ((curve.crystals, curve.found_by_crystals), "by crystals drawn", DRAWN, "solid"),
            ((curve.relaxations, curve.found_by_relaxations), "by relaxations", SPENT, "dashed"),
        )
    ]
    for method, (label, colour, dash) in BASELINES.items():
        if method in baselines:
            other = baselines[method]
            points = (other.crystals, other.found_by_crystals)
            lines.insert(
                0,
                hv.Curve(points, *axes, label=label).opts(
                    color=colour, line_width=1.5, line_dash=dash, interpolation="steps-post"
                ),
            )
    ceiling = hv.Curve([(0, curve.total), (horizon, curve.total)], *axes, label="all targets")
    return hv.Overlay(
        [ceiling.opts(color=CEILING, line_width=1.5, line_dash="dotted"), *lines]
    ).opts(
        responsive=True,
        min_height=230,
        toolbar=None,
        show_grid=True,
        show_legend=False,  # the page writes it in its own type, outside the axes
        fontsize={"labels": "12px", "ticks": "11px"},
        xticks=whole_ticks(horizon),
        yticks=whole_ticks(top),
        xlim=(0, horizon),
        ylim=(0, top * 1.08),
    )


def whole_ticks(end: int, most: int = 6) -> list[int]:
    """Return round whole numbers from 0 to `end`, at most about `most`: nothing is half found."""
    sizes = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    step = next(size for size in sizes if end / size <= most)
    return list(range(0, end + 1, step))
