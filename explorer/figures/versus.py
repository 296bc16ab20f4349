"""Campaigns under one budget: how many crystals came through, and what was asked differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from pathlib import Path

from explorer.campaign import TRANSFORMER, Campaign
from explorer.candidate import Candidate, State
from explorer.figures.asked import FIELDS, value_words
from explorer.figures.picture import ON_HULL
from explorer.figures.retrieval import curve_of
from explorer.figures.words import formula_label
from explorer.retrieval import Curve
from explorer.targets import NO_TARGETS, TargetList

FEWEST, MOST = 2, 4
"""Campaigns on the same axes."""
NEAR = 0.1
"""eV/atom, the usual meaning of "metastable"."""
UNDECIDED = {State.DRAWN, State.WAITING}
SPENT = {State.RELAXED, State.FAILED}


class Budget(StrEnum):
    """What of each campaign counts."""

    CRYSTALS = "Same crystals"
    RELAXATIONS = "Same relaxations"
    ALL = "All of each"


@dataclass(frozen=True)
class Contender:
    """One campaign of a comparison.

    Attributes
    ----------
    campaign
    candidates
        Those that count, in the order of drawing.
    targets
        What it looks for.
    """

    campaign: Campaign
    candidates: tuple[Candidate, ...]
    targets: TargetList = NO_TARGETS

    @property
    def title(self) -> str:
        """The campaign's name, else what it searches, with its generator or its file."""
        spec = self.campaign.spec
        whose = spec.samples_of or _file(spec.samples) or spec.generator
        return spec.name or f"{formula_label(spec.composition)}, {whose}"

    @property
    def curve(self) -> Curve:
        """Targets found against crystals drawn and against relaxations."""
        return curve_of(self.candidates, self.targets.names)

    @property
    def energies(self) -> list[float]:
        """Energies above the hull of the relaxed crystals, eV/atom, ascending."""
        placed = (c.energy_above_hull for c in self.candidates if c.state == State.RELAXED)
        return sorted(energy for energy in placed if energy is not None and isfinite(energy))


def seeds_told(contenders: Sequence[Contender]) -> list[str]:
    """Return "seed 3" for each campaign whose title another one has with another seed, else ""."""
    seeds: dict[str, set[int]] = {}
    for contender in contenders:
        seeds.setdefault(contender.title, set()).add(contender.campaign.spec.seed)
    return [f"seed {c.campaign.spec.seed}" if len(seeds[c.title]) > 1 else "" for c in contenders]


@dataclass(frozen=True)
class Funnel:
    """How many crystals came how far.

    Attributes
    ----------
    drawn, valid, unique, novel
        As in `explorer.campaign.Campaign.counts`.
    relaxed, failed
        Relaxations that converged, and those that did not.
    near, on_hull
        Relaxed crystals up to `NEAR` eV/atom above the hull, and on or below it.
    sun
        On or below the hull, unique and novel.
    lowest
        Energy above the hull of the lowest, eV/atom; None without any.
    """

    drawn: int
    valid: int
    unique: int
    novel: int
    relaxed: int
    failed: int
    near: int
    on_hull: int
    sun: int
    lowest: float | None


def funnel(contender: Contender) -> Funnel:
    """Count the candidates of a contender."""
    drawn = contender.candidates
    unique = [c for c in drawn if c.state not in {State.REJECTED, State.DUPLICATE}]
    energies = contender.energies
    new = [c.energy_above_hull for c in unique if c.state == State.RELAXED and c.novel]
    return Funnel(
        drawn=len(drawn),
        valid=sum(c.state != State.REJECTED for c in drawn),
        unique=len(unique),
        novel=sum(c.novel is True for c in unique),
        relaxed=sum(c.state == State.RELAXED for c in drawn),
        failed=sum(c.state == State.FAILED for c in drawn),
        near=sum(energy <= NEAR for energy in energies),
        on_hull=sum(energy <= ON_HULL for energy in energies),
        sun=sum(energy is not None and energy <= ON_HULL for energy in new),
        lowest=energies[0] if energies else None,
    )


def under(contenders: Sequence[Contender], budget: Budget) -> list[Contender]:
    """Cut all contenders to the budget that the shortest of them has spent.

    Only the first crystals up to one without a verdict count, so that a campaign that still runs
    is compared by what is decided; `Budget.ALL` cuts nothing.
    """
    if budget == Budget.ALL or not contenders:
        return list(contenders)
    decided = [_decided(contender.candidates) for contender in contenders]
    if budget == Budget.CRYSTALS:
        size = min(len(some) for some in decided)
        cut = [some[:size] for some in decided]
    else:
        size = min(sum(c.state in SPENT for c in some) for some in decided)
        cut = [_first_relaxations(some, size) for some in decided]
    return [replace(c, candidates=some) for c, some in zip(contenders, cut, strict=True)]


def _decided(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    ends = (k for k, candidate in enumerate(candidates) if candidate.state in UNDECIDED)
    return tuple(candidates[: next(ends, len(candidates))])


def _first_relaxations(candidates: Sequence[Candidate], size: int) -> tuple[Candidate, ...]:
    """Return the crystals up to the relaxation of that number."""
    spent = 0
    for place, candidate in enumerate(candidates):
        if spent == size:
            return tuple(candidates[:place])
        spent += candidate.state in SPENT
    return tuple(candidates)


@dataclass(frozen=True)
class Difference:
    """What two campaigns were not given alike.

    Attributes
    ----------
    what
        In words.
    values
        One for each campaign: "" where nothing was given, None where it does not apply or is not
        known yet.
    scale
        Whether energies above the hull cannot be compared across it.
    """

    what: str
    values: tuple[str | None, ...]
    scale: bool = False


ENERGY_SCALE = ("elements", "hull", "potential", "references")
ASKED = (
    *("formula", "required", "excluded", "subset", "spacegroups", "sites", "max_atoms"),
    *("stability", "generator", "samples", "samples_of", "n", "first", "relax_below", "give_up"),
    *("fmax", "max_steps", "rattle", "keep_symmetry", "relax_known", "seed"),
)
OF_THE_MODEL = (
    *("checkpoint", "search", "temperature", "top_p", "geometry_temperature", "again"),
    *("templates", "unknown", "prototypes", "variants", "retry_every", "best_of"),
)
"""Nothing to the other generators."""
WRITTEN_DOWN = {
    "hull": "Competing energies",
    "potential": "Energy level",
    "references": "Competing phases",
}
"""By the runner, once it has begun; energy scales too."""


def differences(contenders: Sequence[Contender]) -> list[Difference]:
    """Return what the campaigns do not share, what decides the energy scale first."""
    specs = [contender.campaign.spec for contender in contenders]
    facts = [contender.campaign.provenance for contender in contenders]
    drawn_by_model = [spec.generator == TRANSFORMER for spec in specs]
    found = [
        Difference(FIELDS[name], tuple(value_words(name, getattr(s, name)) for s in specs), scale)
        for names, scale in ((ENERGY_SCALE, True), (ASKED, False))
        for name in names
    ]
    found += [
        Difference(what, tuple(fact.get(name) for fact in facts), scale=True)
        for name, what in WRITTEN_DOWN.items()
    ]
    for name in OF_THE_MODEL:
        values = (value_words(name, getattr(spec, name)) for spec in specs)
        kept = (v if model else None for v, model in zip(values, drawn_by_model, strict=True))
        found.append(Difference(FIELDS[name], tuple(kept)))
    if len({frozenset(contender.targets.names) for contender in contenders}) > 1:
        found.append(Difference("Looked for", tuple(c.targets.words for c in contenders)))
    unequal = [item for item in found if len(set(item.values) - {None}) > 1]
    return sorted(unequal, key=lambda item: not item.scale)


def _file(path: str | None) -> str:
    return Path(path).name if path else ""
