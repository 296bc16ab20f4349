"""What known prototypes alone would have found: baselines beside a campaign's retrieval curve.

They are drawn under the campaign's constraints and compared with its targets as drawn, which takes
seconds; nothing is relaxed, and nothing is stored. All of it runs in a child process that others
have precedence over, so that a server goes on answering.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from explorer.campaign import CampaignSpec
from explorer.isolation import Here, IsolationError, Sandbox
from explorer.novelty import Matcher
from explorer.retrieval import Curve, RetrievalCurve
from explorer.structure_files import NamedStructure

log = logging.getLogger("hullscape")
METHODS = ("similarity", "substitution")
MOST = 5000
"""Crystals drawn by each baseline; its curve ends there."""
PATIENCE = 300.0
"""Seconds of processor time after which there is no curve."""
BEHIND = 4
"""How nice the child is: the server comes first, but others that compute on every core for hours
leave it enough that its seconds do not become minutes (at 10 eight became 175)."""


@dataclass(frozen=True)
class Question:
    """What a campaign looks for, and under which constraints; asked once for each campaign."""

    campaign_id: str
    spec: CampaignSpec = field(compare=False)
    targets: tuple[NamedStructure, ...] = field(compare=False)

    @property
    def methods(self) -> tuple[str, ...]:
        """The baselines that are asked; the campaign's own generator is none."""
        if not self.targets or not self.spec.elements:
            return ()
        return tuple(method for method in METHODS if method != self.spec.generator)


def baselines(question: Question) -> dict[str, Curve]:
    """Return the curve of each baseline, by crystals drawn; without those that cannot be asked.

    Where the child fails there is no curve, and the next page that asks tries again.
    """
    if not question.methods:
        return {}
    try:
        return _answer(question)
    except IsolationError as error:
        log.warning("no baselines beside %s: %s", question.campaign_id, error)
        return {}


@lru_cache(maxsize=256)
def _answer(question: Question) -> dict[str, Curve]:
    with Sandbox() as child:
        return child.run(curves_of, question, seconds=PATIENCE)


def curves_of(question: Question) -> dict[str, Curve]:
    """Return what `baselines` does, computed in this very process, a disposable one."""
    with suppress(OSError):
        os.nice(BEHIND)
    curves = {}
    for method in question.methods:
        with suppress(ValueError):  # it takes no such constraints
            curves[method] = baseline(question.spec, question.targets, method)
    return curves


def baseline(spec: CampaignSpec, targets: tuple[NamedStructure, ...], method: str) -> Curve:
    """Count what a generator finds under the constraints of a campaign, as drawn.

    Raises
    ------
    ValueError
        When the generator cannot draw under these constraints.
    """
    from explorer.generators import open_source  # noqa: PLC0415 - imports torch

    source = open_source(spec.model_copy(update={"generator": method}), None)
    formulas = {target.structure.composition.reduced_formula for target in targets}
    found = RetrievalCurve(targets, Matcher(sandbox=Here()))
    for drawn in source.generate(spec.constraints(), n=min(spec.n, MOST), seed=spec.seed):
        structure = drawn.structure
        fits = structure is not None and structure.composition.reduced_formula in formulas
        found.add(drawn.index, structure if fits else None, relaxed=False)
    return found.curve()
