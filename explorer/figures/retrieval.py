"""The retrieval curve: targets found, against crystals drawn and against relaxations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import holoviews as hv
import numpy as np

from explorer.candidate import Candidate, State
from explorer.figures.words import counted
from explorer.retrieval import Curve

# Inline: a notebook without a network would otherwise show nothing in the place of the figure.
hv.extension("bokeh", logo=False, inline=True)

DRAWN, SPENT, CEILING = "#1f83c4", "#d9690f", "#8492a3"
BASELINES = {
    "similarity": ("prototypes by similarity", "#7c6bb0", "solid"),
    "substitution": ("prototypes by frequency", "#6b7885", "dashed"),
}
"""What each baseline is called, and how its line looks."""
ALONE: Mapping[str, Curve] = MappingProxyType({})
NOTHING = Curve(*(np.zeros(1, int) for _ in range(4)), total=0)
NO_LINE = Curve(*(np.zeros(0, int) for _ in range(4)), total=0)
DRAWN_LINE, SPENT_LINE, ALL_LINE = "by crystals drawn", "by relaxations", "all targets"
AXES = (
    hv.Dimension(("crystals", "crystals drawn, or relaxations")),
    hv.Dimension(("found", "targets found")),
)


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
    looks = {label: (colour, dash, 1.5) for label, colour, dash in BASELINES.values()}
    looks |= {DRAWN_LINE: (DRAWN, "solid", 2.5), SPENT_LINE: (SPENT, "dashed", 2.5)}
    looks |= {ALL_LINE: (CEILING, "dotted", 1.5)}
    lines = []
    for label, points in points_of(curve, baselines).items():
        colour, dash, width = looks[label]
        line = hv.Curve(points, *AXES, label=label)
        # Without tools: the wheel scrolls the page.
        lines.append(line.opts(color=colour, line_width=width, line_dash=dash, default_tools=[]))
    x_range, y_range = ranges_of(curve)
    return hv.Overlay(lines).opts(
        responsive=True,
        min_height=230,
        toolbar=None,
        show_grid=True,
        show_legend=False,  # the page writes it in its own type, outside the axes
        fontsize={"labels": "12px", "ticks": "11px"},
        xticks=whole_ticks(x_range[1]),
        yticks=whole_ticks(max(curve.total, 1)),
        xlim=x_range,
        ylim=y_range,
    )


def points_of(
    curve: Curve, baselines: Mapping[str, Curve]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the corners (x, targets found) of each line by its label, those below first."""
    end = ranges_of(curve)[0][1]
    lines = {ALL_LINE: (np.array([0, end]), np.full(2, curve.total))}
    for method, (label, _, _) in BASELINES.items():
        if method in baselines:
            other = baselines[method]
            lines[label] = _steps(other.crystals, other.found_by_crystals)
    lines[DRAWN_LINE] = _steps(curve.crystals, curve.found_by_crystals)
    lines[SPENT_LINE] = _steps(curve.relaxations, curve.found_by_relaxations)
    return lines


def curve_words(curve: Curve, baselines: Mapping[str, Curve] = ALONE) -> str:
    """Tell what the figure shows to who does not see it."""
    drawn, spent = int(curve.crystals[-1]), int(curve.relaxations[-1])
    told = [
        f"{curve.found_by_crystals[-1]} of {counted(curve.total, 'target')} found within "
        f"{counted(drawn, 'crystal')} drawn and {counted(spent, 'relaxation')}"
    ]
    for method, (label, _, _) in BASELINES.items():
        other = baselines.get(method, NO_LINE)
        found = other.found_by_crystals[other.crystals <= drawn]
        told += [f"{label} found {found[-1]}"] if len(found) else []
    return "; ".join(told)


def ranges_of(curve: Curve) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return both axes, to the last crystal and a little above all targets."""
    return (0, int(max(curve.crystals[-1], 1))), (0, max(curve.total, 1) * 1.08)


def _steps(x: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a step curve: most of a long campaign finds nothing new."""
    jumps = np.flatnonzero(np.diff(found)) + 1
    kept = np.concatenate([np.arange(min(len(x), 1)), np.repeat(jumps, 2), np.arange(len(x))[-1:]])
    heights = found[kept]
    heights[1:-1:2] = found[jumps - 1]
    return x[kept], heights


def whole_ticks(end: int, most: int = 6) -> list[int]:
    """Return round whole numbers from 0 to `end`, at most about `most`: nothing is half found."""
    sizes = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    step = next(size for size in sizes if end / size <= most)
    return list(range(0, end + 1, step))
