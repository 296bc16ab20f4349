"""What known prototypes alone would have found: baselines beside a campaign's retrieval curve.

They are drawn under the campaign's constraints and compared with its targets as drawn, which takes
seconds; nothing is relaxed, and nothing is stored. The comparison runs in a child process, see
`explorer.novelty`, so that a server goes on answering.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from explorer.campaign import CampaignSpec
from explorer.generators import open_source
from explorer.retrieval import Curve, RetrievalCurve
from explorer.structure_files import NamedStructure

METHODS = ("similarity", "substitution")
MOST = 5000
"""Crystals drawn by each baseline; its curve ends there."""


@dataclass(frozen=True)
class Question:
    """What a campaign looks for, and under which constraints; asked once for each campaign."""

    campaign_id: str
    spec: CampaignSpec = field(compare=False)
    targets: tuple[NamedStructure, ...] = field(compare=False)


@lru_cache(maxsize=256)
def baselines(question: Question) -> dict[str, Curve]:
    """Return the curve of each baseline, by crystals drawn; without those that cannot be asked.

    The campaign's own generator is none.
    """
    if not question.targets or not question.spec.elements:
        return {}
    curves = {}
    for method in METHODS:
        if method != question.spec.generator:
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
    source = open_source(spec.model_copy(update={"generator": method}), None)
    formulas = {target.structure.composition.reduced_formula for target in targets}
    found = RetrievalCurve(targets)
    for drawn in source.generate(spec.constraints(), n=min(spec.n, MOST), seed=spec.seed):
        structure = drawn.structure
        fits = structure is not None and structure.composition.reduced_formula in formulas
        found.add(drawn.index, structure if fits else None, relaxed=False)
    return found.curve()
