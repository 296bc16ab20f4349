"""What crystals hold of the space groups and sites that their campaign asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pymatgen.core import Structure

from explorer.candidate import Candidate, State
from explorer.crystals import gate
from explorer.encode import EncodingError, descriptions, encode
from explorer.figures.words import spacegroup_label
from model.constraints import Constraints
from model.crystal import WyckoffCrystal
from model.site_constraint import SiteConstraint, assigned

MOST_GROUPS = 4
"""Space groups asked for that are named one by one."""
HEADS = ("Asked for", "As drawn", "Relaxed")
ALL = "all of these"
COUNTED = (
    "How many crystals hold what was asked for: of those that could be decoded as they were drawn, "
    "and of those that relaxed. Coordinates count only as drawn: relaxing moves atoms along them."
)
"""What a table of `Audit.lines` shows."""


class Verdict(NamedTuple):
    """What one crystal holds of each thing that was asked for, in the order of `asked_words`.

    None where there is no crystal, or none that can be described.
    """

    drawn: tuple[bool, ...] | None
    relaxed: tuple[bool, ...] | None


@dataclass(frozen=True)
class Held:
    """How many crystals hold one thing that was asked for."""

    asked: str
    drawn: int
    of_drawn: int
    """As they were drawn, and of how many that could be decoded."""
    relaxed: int
    of_relaxed: int
    """Once relaxed, and of how many that relaxed and can be described."""

    @property
    def cells(self) -> tuple[str, str, str]:
        """What stands below `HEADS`, "139:2a=Ca", "48 of 48", "21 of 30"."""
        drawn, relaxed = (
            f"{held} of {of}" if of else "none yet"
            for held, of in ((self.drawn, self.of_drawn), (self.relaxed, self.of_relaxed))
        )
        return self.asked, drawn, relaxed

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "asked": self.asked,
            "as_drawn": {"held": self.drawn, "of": self.of_drawn},
            "relaxed": {"held": self.relaxed, "of": self.of_relaxed},
        }


@dataclass(frozen=True)
class Audit:
    """What the crystals of a campaign hold; false where no space group and no site was asked for.

    Attributes
    ----------
    words
        What was asked for, one by one.
    verdicts
        By candidate id. Only what has relaxed to the end has a verdict on that.
    """

    words: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def lines(self) -> tuple[Held, ...]:
        """One for each thing that was asked for and, where there are several, one for them all."""
        drawn = [each.drawn for each in self.verdicts.values() if each.drawn is not None]
        relaxed = [each.relaxed for each in self.verdicts.values() if each.relaxed is not None]

        def line(words: str, holds_it: Any) -> Held:
            return Held(
                words,
                sum(map(holds_it, drawn)),
                len(drawn),
                sum(map(holds_it, relaxed)),
                len(relaxed),
            )

        each = [line(words, lambda one, k=k: one[k]) for k, words in enumerate(self.words)]
        return (*each, line(ALL, all)) if len(each) > 1 else tuple(each)

    def whole(self, candidate_id: str) -> tuple[bool | None, bool | None]:
        """Tell whether a candidate holds all that was asked for, as drawn and relaxed."""
        verdict = self.verdicts.get(candidate_id, Verdict(None, None))
        drawn, relaxed = (None if told is None else all(told) for told in verdict)
        return drawn, relaxed

    def to_list(self) -> list[dict[str, Any]]:
        """Return the lines as plain JSON values."""
        return [line.to_dict() for line in self.lines]


NOTHING_ASKED = Audit()


def audit(candidates: Iterable[Candidate], asked: Constraints) -> Audit:
    """Look what each candidate holds of what was asked for; empty where that is nothing.

    Parameters
    ----------
    candidates
        With their structures: some 10 ms for each relaxed one. Where nothing was asked for none is
        looked at.
    """
    words = asked_words(asked)
    if not words:
        return NOTHING_ASKED
    return Audit(words, {each.id: verdict(_at_rest(each), asked) for each in candidates})


def asked_words(asked: Constraints) -> tuple[str, ...]:
    """Return the names of what `holds` tells: the space groups if any, then each of the sites."""
    groups = asked.spacegroups
    names = [" or ".join(map(spacegroup_label, groups))] if groups else []
    if len(groups) > MOST_GROUPS:
        names = [f"one of {len(groups)} space groups"]
    return (*names, *map(str, asked.sites))


def verdict(candidate: Candidate, asked: Constraints) -> Verdict:
    """Tell what a candidate holds as drawn and as its relaxation left it.

    Coordinates count as drawn only: relaxing moves atoms along them.
    """
    relaxed = described(candidate.relaxed)
    return Verdict(
        holds(candidate.crystal, asked) if candidate.crystal else None,
        holds(relaxed, asked.without_coordinates()) if relaxed else None,
    )


def _at_rest(candidate: Candidate) -> Candidate:
    """Return a candidate without the structure that a relaxation left on its way."""
    if candidate.state == State.RELAXED:
        return candidate
    return replace(candidate, relaxed=None)


def holds(crystal: WyckoffCrystal, asked: Constraints) -> tuple[bool, ...]:
    """Tell what is held: the space groups if some were asked for, then each of the sites.

    A position has other names in other choices of origin and axes: what counts is the choice in
    which most of the sites are held.
    """
    groups = [crystal.spacegroup in asked.spacegroups] if asked.spacegroups else []
    choices = [_sites_held(crystal, asked.sites)]
    if not all(choices[0]):
        choices += [_sites_held(described, asked.sites) for described in descriptions(crystal)]
    return (*groups, *max(choices, key=sum))


def described(structure: Structure | None) -> WyckoffCrystal | None:
    """Return the sites of a structure; None where there is no structure, or nothing to describe."""
    if structure is None or gate(structure):
        return None
    try:
        return encode(structure, hand=True)
    except EncodingError:
        return None


def _sites_held(crystal: WyckoffCrystal, asked: Sequence[SiteConstraint]) -> list[bool]:
    """Tell which sites are held in the crystal's own description, each by a site of its own."""
    held: list[SiteConstraint] = []
    told = []
    for site in asked:
        if site.forbidden:
            free = all(other.letter != site.letter for other in crystal.sites)
            told.append(free or site.spacegroup != crystal.spacegroup)
            continue
        here = site.spacegroup == crystal.spacegroup
        fits = here and assigned([*held, site], crystal.sites) is not None
        held += [site] if fits else []
        told.append(fits)
    return told
