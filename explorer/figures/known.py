"""Known phases of a campaign's chemical system, read once for all sessions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from explorer.campaign import CampaignSpec
from explorer.dft_hull import HullModeError, competing_phases
from explorer.figures.hull_picture import known_picture
from explorer.figures.picture import HullPicture
from explorer.figures.words import counted
from explorer.hull import Hull
from explorer.known_phases import known_file, known_phases
from explorer.phases import PREDICTED, CompetingPhase, Phase, ReferenceFileError
from explorer.references import HULL_WORDS, ReferencePhases
from explorer.structure_files import NamedStructure
from explorer.targets import NO_TARGETS, TargetList, default_targets, given_targets

LARGEST_SYSTEM = 6  # a hull of more elements takes too long to build for a figure
LISTED_PAIRS = 6  # pairs of elements without a known compound that are named


@dataclass(frozen=True)
class Known:
    """What is known of a chemical system before the campaign.

    Attributes
    ----------
    picture
        Known phases and tie lines; its message says why there is no hull.
    phases
        Those whose structure is at hand, by id.
    hull
        Of the known phases; None when there is none.
    competing
        What the hull is made of, and in which mode.
    targets
        The phases that the retrieval curve counts when a campaign was given none.
    """

    picture: HullPicture
    phases: dict[str, Phase]
    hull: Hull | None = None
    targets: TargetList = NO_TARGETS
    competing: ReferencePhases | None = None

    @property
    def competition(self) -> str:
        """How many known phases candidates compete with, and what follows from that."""
        elements = self.picture.elements
        if self.competing is None or not elements:
            return ""
        phases = [phase for phase in self.competing.phases if phase.published]
        guessed = sum(phase.source == PREDICTED for phase in self.competing.phases)
        predicted = f" and with {guessed} predicted ones of pairs of elements" if guessed else ""
        told = _counted(elements, phases, self.competing.bare_pairs)
        return (
            f"Hull: {HULL_WORDS[self.competing.mode]}. Candidates compete with {told}{predicted}; "
            "a known phase that is not among these makes them look too stable."
        )


def _counted(elements: Sequence[str], phases: Sequence[CompetingPhase], bare: Sequence[str]) -> str:
    """Count known phases in words: forms of one element, else compounds, and what lacks any.

    Polymorphs are one compound.
    """
    system = "–".join(elements)
    if len(elements) == 1:
        return f"{_number(len(phases), 'known form')} of {system}"
    of_formula = {phase.formula: phase.chemsys.count("-") + 1 for phase in phases}
    sizes = [size for size in of_formula.values() if size > 1]
    compounds = _number(len(sizes), "known compound")
    if len(elements) == 2 or not sizes:
        return f"{compounds} of {system}"
    pairs = [pair.replace("-", "–") for pair in bare]
    more = [f"{len(pairs) - LISTED_PAIRS} pairs more"] if len(pairs) > LISTED_PAIRS else []
    lacking = f", none of {', '.join(pairs[:LISTED_PAIRS] + more)}" if pairs else ""
    return f"{compounds} ({sizes.count(len(elements)) or 'none'} of {system}{lacking})"


def _number(count: int, noun: str) -> str:
    return counted(count, noun) if count else f"no {noun}"


def without_structure(competing: ReferencePhases, at_hand: Container[str]) -> str:
    """Say how many known phases of the whole system are corners of the hull by energy alone.

    Candidates compete with them, but nothing can be found to equal them.
    """
    count = sum(
        phase.published
        and phase.chemsys.split("-") == sorted(competing.elements)
        and phase.id not in at_hand
        for phase in competing.phases
    )
    if not count:
        return ""
    more = "1 known phase more is" if count == 1 else f"{count} known phases more are"
    return f"{more} on the hull by published energy alone, without a structure to find."


NOTHING = Known(HullPicture(()), {})


def known_of(spec: CampaignSpec | None) -> Known:
    """Return what is known of a campaign's system; slow the first time, then cached."""
    if spec is None or not spec.elements:
        return NOTHING
    system = spec.chemical_system
    file = spec.references or known_file(spec.potential, system, spec.hull)
    return _known(system, spec.potential, file and str(file), spec.hull)


def targets_of(spec: CampaignSpec | None, given: Sequence[NamedStructure]) -> TargetList:
    """Return what a campaign looks for: what it was given, else the known phases of its system."""
    if spec is not None and spec.targets:
        return given_targets(spec, given)
    return known_of(spec).targets


@lru_cache(maxsize=32)
def _known(system: str, potential: str, file: str | None, hull_mode: str) -> Known:
    elements = tuple(system.split("-"))
    try:
        references = known_phases(potential, system, hull_mode, file)
        competing = competing_phases(references, hull_mode)
    except (ReferenceFileError, HullModeError) as error:
        return Known(HullPicture(elements, message=str(error)), {})
    phases = {phase.id: phase for phase in references.phases}
    targets = replace(default_targets(references), remark=without_structure(competing, phases))
    if len(elements) > LARGEST_SYSTEM:
        picture = HullPicture(elements, corners=(0.0,) * len(elements), level=str(references.level))
        return Known(picture, phases, None, targets, competing)
    hull = Hull(competing)
    return Known(known_picture(hull), phases, hull, targets, competing)
