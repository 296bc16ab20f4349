"""Screening: what is worth a relaxation, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pymatgen.core import Structure

from explorer.baselines import Drawn
from explorer.candidate import Candidate, State
from explorer.crystals import gate, spacegroup_of
from explorer.formulas import spelled
from explorer.novelty import KnownPhases, Lookup, Matcher, MatchError, Pool
from explorer.references import ReferencePhases
from explorer.strangers import bare
from explorer.structure_files import NamedStructure


class Screen:
    """Judges drawn crystals one after another, remembering those of the campaign.

    Parameters
    ----------
    references
        The known phases of the campaign's system, or a function from a chemical system to its
        known phases (for campaigns over any elements).
    matcher
        When two crystals are the same.
    relax_known
        Whether a crystal that equals a known phase is relaxed all the same.
    targets
        Named structures that the campaign looks for; passed the gate, names unique.
    """

    def __init__(
        self,
        references: ReferencePhases | Lookup,
        matcher: Matcher | None = None,
        relax_known: bool = False,
        targets: Iterable[NamedStructure] = (),
    ) -> None:
        self.matcher = matcher or Matcher()
        self.relax_known = relax_known
        self._known = KnownPhases(references, self.matcher)
        self._seen = Pool(self.matcher)
        self._targets = Pool(self.matcher)
        for name, structure in targets:
            self._targets.add(name, structure)

    def remember(self, candidates: Iterable[Candidate]) -> None:
        """Take in candidates that were judged before, in the order of their draw."""
        for candidate in candidates:
            if candidate.initial is not None and candidate.state not in _NOT_POOLED:
                self._add(candidate)

    def judge(self, draw: Drawn) -> Candidate:
        """Return the drawn crystal as a candidate: REJECTED, DUPLICATE, KNOWN or WAITING."""
        candidate = _candidate(draw)
        try:
            structure = draw.structure
        except (ValueError, ArithmeticError) as error:
            return _rejected(candidate, f"undecodable: {error}")
        if structure is None:
            return _rejected(candidate, draw.reason or "undecodable")
        reason = gate(structure)
        candidate = replace(candidate, initial=structure)
        if reason:
            return _rejected(candidate, reason)
        if draw.given is not None:
            candidate = replace(candidate, initial=(structure := bare(structure)))
        candidate = replace(candidate, spacegroup_generated=spacegroup_of(structure))
        return self._compare(self._look_up(candidate, structure))

    def recognise(self, candidate: Candidate) -> Candidate:
        """Decide again, on its relaxed structure, whether a candidate is a known phase or a target.

        Targets that it equalled as drawn stay found.
        """
        if candidate.relaxed is None or gate(candidate.relaxed):
            return candidate
        candidate = self._look_up(candidate, candidate.relaxed)
        try:
            matched = self._known.match(candidate.relaxed)
        except MatchError:
            return replace(candidate, novel=None, matched=None)
        return replace(candidate, novel=matched is None, matched=matched)

    def _look_up(self, candidate: Candidate, structure: Structure) -> Candidate:
        """Add the targets that a structure equals, and whether its composition is known."""
        known = self._known.has_composition(structure)
        candidate = replace(candidate, composition_known=known)
        try:
            names = self._targets.matches(structure)
        except MatchError:
            return candidate  # what cannot be compared equals nothing
        return replace(candidate, targets=tuple(dict.fromkeys((*candidate.targets, *names))))

    def _compare(self, candidate: Candidate) -> Candidate:
        """Look for the crystal among the earlier ones, then among the known phases."""
        try:
            earlier = self._seen.match(candidate.initial)
            known = None if earlier else self._known.match(candidate.initial)
        except MatchError as error:
            # A crystal that no matcher can handle may still be worth relaxing.
            waiting = replace(candidate, state=State.WAITING, reason=str(error))
            return self._add(waiting)
        if earlier:
            # Its novelty is that of the earlier one, which may change when that one is relaxed.
            twin = replace(candidate, state=State.DUPLICATE, matched=earlier, novel=None)
            return replace(twin, reason="same crystal as an earlier one")
        if known and not self.relax_known:
            found = replace(candidate, state=State.KNOWN, reason="known phase")
            return self._add(replace(found, novel=False, matched=known))
        return self._add(
            replace(candidate, state=State.WAITING, novel=known is None, matched=known)
        )

    def _add(self, candidate: Candidate) -> Candidate:
        self._seen.add(candidate.id, candidate.initial)
        return candidate


_NOT_POOLED = {State.REJECTED, State.DUPLICATE}


def _candidate(draw: Drawn) -> Candidate:
    given = "" if draw.given is None else spelled(draw.given.composition.reduced_formula)
    return Candidate(
        id=f"{draw.index:06d}",
        index=draw.index,
        crystal=draw.crystal,
        formula=given if draw.crystal is None else spelled(draw.crystal.formula),
        spacegroup_asked=None if draw.crystal is None else draw.crystal.spacegroup,
        log_likelihood=draw.log_likelihood,
        log_parts=draw.log_parts,
        template=draw.template,
        sample=draw.name,
    )


def _rejected(candidate: Candidate, reason: str) -> Candidate:
    return replace(candidate, state=State.REJECTED, reason=reason)
