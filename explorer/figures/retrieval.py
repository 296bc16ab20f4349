"""The retrieval curve: targets found, against crystals drawn and against relaxations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import holoviews as hv
import numpy as np
from bokeh.models import BasicTicker

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
NO_LINE = Curve(*(np.zeros(0, int) for _ in range(4)), total=0)
AXES = ("crystals drawn, or relaxations", "targets found")


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
    lines = [
        _steps(other.crystals, other.found_by_crystals, label, colour, dash, line_width=1.5)
        for method, (label, colour, dash) in BASELINES.items()
        if (other := baselines.get(method)) is not None
    ]
    lines += [
        _steps(curve.crystals, curve.found_by_crystals, "by crystals drawn", DRAWN, "solid"),
        _steps(curve.relaxations, curve.found_by_relaxations, "by relaxations", SPENT, "dashed"),
    ]
    ceiling = hv.Curve([(0, curve.total), (horizon, curve.total)], *AXES, label="all targets")
    return hv.Overlay(
        [ceiling.opts(color=CEILING, line_width=1.5, line_dash="dotted", framewise=True), *lines]
    ).opts(
        responsive=True,
        min_height=230,
        toolbar=None,
        show_grid=True,
        show_legend=False,  # the page writes it in its own type, outside the axes
        fontsize={"labels": "12px", "ticks": "11px"},
        xticks=_whole_numbers(),
        yticks=_whole_numbers(),
        xlim=(0, horizon),
        ylim=(0, max(curve.total, 1) * 1.08),
        framewise=True,
    )


def live_figure(pipe: hv.streams.Pipe) -> hv.DynamicMap:
    """Draw what is sent through a pipe: new numbers move the lines and the axes that are there.

    To draw everything anew takes five times as long, for each page that watches.

    Parameters
    ----------
    pipe
        Of pairs: the curve, and the baselines that are known by now.
    """

    def draw(data: tuple[Curve, Mapping[str, Curve]]) -> hv.Overlay:
        curve, baselines = data
        return retrieval_figure(curve, dict.fromkeys(BASELINES, NO_LINE) | dict(baselines))

    return hv.DynamicMap(draw, streams=[pipe])


def _steps(
    x: np.ndarray, found: np.ndarray, label: str, colour: str, dash: str, line_width: float = 2.5
) -> hv.Curve:
    """Return a step curve, of its corners alone: most of a long campaign finds nothing new."""
    corner = np.ones(len(x), bool)
    corner[1:-1] = found[1:-1] != found[:-2]
    return hv.Curve((x[corner], found[corner]), *AXES, label=label).opts(
        color=colour,
        line_width=line_width,
        line_dash=dash,
        interpolation="steps-post",
        framewise=True,
    )


def _whole_numbers() -> BasicTicker:
    """Return round whole numbers, about six: nothing is half found."""
    return BasicTicker(min_interval=1, num_minor_ticks=0)
