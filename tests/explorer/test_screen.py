"""Screening and novelty: every drawn crystal gets its verdict and its reason."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.baseline_transformer import transformer
from explorer.baselines import Drawn
from explorer.candidate import Candidate, State
from explorer.crystals import to_structure
from explorer.isolation import Sandbox
from explorer.novelty import KnownPhases, Matcher, MatchError, Pool
from explorer.phases import phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases
from explorer.screen import Screen
from model.checkpoint import load_network
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal

LEVEL = EnergyLevel("toy 1", "0123456789ab", "none")


def cubic(group: int, a: float, *sites: tuple[str, str]) -> WyckoffCrystal:
    """Return a cubic crystal whose sites have no freedom."""
    return WyckoffCrystal(group, tuple(Site(w, e, ()) for w, e in sites), (a, a, a, 90, 90, 90))


SALT = cubic(225, 5.6, ("a", "Na"), ("b", "Cl"))
SALT_AGAIN = cubic(225, 5.7, ("a", "Cl"), ("b", "Na"))
CAESIUM_CHLORIDE_TYPE = cubic(221, 3.5, ("a", "Na"), ("b", "Cl"))
BLENDE = cubic(216, 6.4, ("a", "Na"), ("c", "Cl"))
COLLIDING = WyckoffCrystal(
    225, (Site("a", "Na", ()), Site("f", "Cl", (0.05,))), (5.0, 5.0, 5.0, 90, 90, 90)
)


@pytest.fixture(scope="module")
def matcher() -> Iterator[Matcher]:
    """The usual tolerances, in a child of this module's own."""
    with Sandbox() as sandbox:
        yield Matcher(sandbox=sandbox)


def known() -> ReferencePhases:
    """Return a reference set that holds rock salt."""
    phase = phase_from_structure("salt", to_structure(SALT), -3.0, "toy", e_above_hull=0.0)
    return ReferencePhases(LEVEL, (phase,), ("Cl", "Na"))


def draw(index: int, crystal: WyckoffCrystal | None, reason: str = "") -> Drawn:
    """Return a draw as a generator with a model yields it."""
    return Drawn(index, crystal, reason=reason, log_likelihood=-12.5)


def judged(screen: Screen, *crystals: WyckoffCrystal) -> list[Candidate]:
    """Judge crystals in a row."""
    return [screen.judge(draw(i, crystal)) for i, crystal in enumerate(crystals)]


def test_new_crystals_wait(matcher: Matcher) -> None:
    """A crystal that nobody knows waits for relaxation and is novel."""
    (candidate,) = judged(Screen(known(), matcher), CAESIUM_CHLORIDE_TYPE)
    assert candidate.state == State.WAITING
    assert candidate.novel is True
    assert candidate.id == "000000"
    assert candidate.formula == "NaCl"
    assert (candidate.spacegroup_asked, candidate.spacegroup_generated) == (221, 221)
    assert candidate.log_likelihood == -12.5


def test_what_is_new_in_its_form_alone_is_told_from_a_new_composition(matcher: Matcher) -> None:
    """Another form of a published composition, whose phase need not be stable, is no new compound.

    One that was only predicted does not count.
    """
    antimony = cubic(225, 6.6, ("a", "Na"), ("b", "Cl"), ("c", "Sb"))  # Na Cl Sb2
    predicted = phase_from_structure("guess", to_structure(antimony), -3.0, "predicted")
    unstable = phase_from_structure("salt", to_structure(SALT), -2.0, "mp", e_above_hull=0.3)
    phases = ReferencePhases(LEVEL, (unstable, predicted), ("Cl", "Na", "Sb"))
    screen = Screen(phases, matcher)
    other = cubic(225, 6.6, ("a", "Na"), ("b", "Sb"), ("c", "Cl"))
    guessed = cubic(216, 6.6, ("a", "Na"), ("b", "Sb"), ("c", "Cl"), ("d", "Sb"))
    found = judged(screen, CAESIUM_CHLORIDE_TYPE, other, guessed)
    assert [each.novel for each in found] == [True, True, True]
    assert [each.composition_known for each in found] == [True, False, False]
    earlier = replace(found[0], relaxed=found[0].initial, composition_known=None)
    assert screen.recognise(earlier).composition_known is True  # drawn by an earlier version


def test_known_phases_are_recognised_and_not_relaxed(matcher: Matcher) -> None:
    """Rock salt in another setting and size is still rock salt."""
    (candidate,) = judged(Screen(known(), matcher), SALT_AGAIN)
    assert candidate.state == State.KNOWN
    assert (candidate.novel, candidate.matched) == (False, "salt")
    assert candidate.reason == "known phase"


def test_known_phases_wait_when_told_so(matcher: Matcher) -> None:
    """Who wants known phases relaxed keeps the knowledge of what they are."""
    (candidate,) = judged(Screen(known(), matcher, relax_known=True), SALT)
    assert candidate.state == State.WAITING
    assert (candidate.novel, candidate.matched) == (False, "salt")


def test_duplicates_name_the_earlier_candidate(matcher: Matcher) -> None:
    """The second of two equal crystals is a duplicate, of a known one too."""
    candidates = judged(Screen(known(), matcher), BLENDE, BLENDE, SALT, SALT_AGAIN)
    assert [c.state for c in candidates] == [
        State.WAITING,
        State.DUPLICATE,
        State.KNOWN,
        State.DUPLICATE,
    ]
    assert [c.matched for c in candidates] == [None, "000000", "salt", "000002"]
    assert [c.novel for c in candidates] == [True, None, False, None]


def test_the_rejected_say_why(matcher: Matcher) -> None:
    """What no generator could make and colliding atoms end here, with categorical reasons."""
    screen = Screen(known(), matcher)
    for reason in ("PyXtal found no place for all atoms", "undecodable: unfinished row"):
        failed = screen.judge(draw(0, None, reason))
        assert (failed.state, failed.reason) == (State.REJECTED, reason)
    assert screen.judge(draw(0, None)).reason == "undecodable"
    colliding = screen.judge(draw(1, COLLIDING))
    assert colliding.state == State.REJECTED
    assert colliding.reason == "atoms closer than 0.7 Å"
    flat = WyckoffCrystal(1, (Site("a", "Na", (0.1, 0.2, 0.3)),), (4, 4, 4, 10, 10, 160))
    assert screen.judge(draw(2, flat)).state == State.REJECTED


def test_a_screen_remembers_an_earlier_run(matcher: Matcher) -> None:
    """After a restart, duplicates of stored candidates are still found."""
    stored = judged(Screen(known(), matcher), BLENDE, COLLIDING)
    screen = Screen(known(), matcher)
    screen.remember(stored)
    again = screen.judge(draw(2, BLENDE))
    assert again.state == State.DUPLICATE
    assert again.matched == "000000"


def test_a_resumed_screen_judges_like_an_undisturbed_one(matcher: Matcher) -> None:
    """What relaxation taught about an earlier candidate does not change its duplicates."""
    undisturbed = Screen(known(), matcher)
    first, twin = judged(undisturbed, BLENDE, BLENDE)
    relaxed = undisturbed.recognise(replace(first, relaxed=to_structure(SALT)))
    resumed = Screen(known(), matcher)
    resumed.remember([relaxed])
    assert resumed.judge(draw(1, BLENDE)).to_dict() == twin.to_dict()


def test_any_system_through_a_function(matcher: Matcher) -> None:
    """A campaign over any elements asks for the known phases of each crystal's own system."""
    asked = []

    def lookup(system: str) -> ReferencePhases:
        asked.append(system)
        return known()

    candidates = judged(Screen(lookup, matcher), SALT, cubic(221, 3.0, ("a", "Cu"), ("b", "Zn")))
    assert [c.state for c in candidates] == [State.KNOWN, State.WAITING]
    assert asked == ["Cl-Na", "Cu-Zn"]


def test_a_relaxed_crystal_is_recognised_again(matcher: Matcher) -> None:
    """What relaxes into a known phase is no longer novel."""
    screen = Screen(known(), matcher)
    (candidate,) = judged(screen, CAESIUM_CHLORIDE_TYPE)
    fields = {**candidate.__dict__, "relaxed": to_structure(SALT)}
    again = screen.recognise(Candidate(**fields))
    assert (again.novel, again.matched) == (False, "salt")


def test_a_crystal_that_no_matcher_can_handle_still_waits() -> None:
    """A time-out is a reason, not an error, and leaves novelty undecided."""
    with Sandbox() as sandbox:
        sandbox.run(abs, 1)
        screen = Screen(known(), Matcher(seconds=0.0, sandbox=sandbox))
        (candidate,) = judged(screen, SALT)
    assert candidate.state == State.WAITING
    assert candidate.novel is None
    assert "took longer" in candidate.reason


def test_the_first_equal_crystal_is_found(matcher: Matcher) -> None:
    """Supercells and other origins are the same crystal; other formulas are not compared."""
    salt, blende = to_structure(SALT), to_structure(BLENDE)
    big = salt * (2, 1, 1)
    big.translate_sites(range(len(big)), [0.1, 0.2, 0.3])
    other = to_structure(cubic(225, 5.6, ("a", "K"), ("b", "Cl")))
    assert matcher.first_match(big, [other, blende, salt, salt]) == 2
    assert matcher.first_match(big, [other, blende]) is None
    assert matcher.first_match(big, []) is None


def test_oxidation_states_do_not_make_another_crystal(matcher: Matcher) -> None:
    """A target from a CIF with Na+ and Cl- equals the crystal that the model draws."""
    salt, charged = to_structure(SALT), to_structure(SALT)
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    assert matcher.first_match(salt, [charged]) == 0
    pool = Pool(matcher)
    pool.add("charged", charged)
    assert pool.match(salt) == "charged"


def test_a_pool_finds_all_that_are_equal(matcher: Matcher) -> None:
    """Targets may equal each other; one crystal then finds both."""
    pool = Pool(matcher)
    for name, crystal in (("a", SALT), ("b", BLENDE), ("c", SALT_AGAIN)):
        pool.add(name, to_structure(crystal))
    assert pool.match(to_structure(SALT)) == "a"
    assert pool.matches(to_structure(SALT_AGAIN)) == ["a", "c"]
    assert pool.matches(to_structure(CAESIUM_CHLORIDE_TYPE)) == []


def test_every_known_phase_recognises_itself(matcher: Matcher) -> None:
    """Each shipped phase of a system matches itself, or a lower phase that it equals."""
    found = ReferencePhases.shipped("Ca-O-Ti")
    phases = KnownPhases(found, matcher)
    rng = np.random.default_rng(0)
    for phase in found.phases:
        moved = phase.structure.copy()
        moved.translate_sites(range(len(moved)), rng.random(3))
        assert phases.match(moved) is not None, phase.id


def test_a_failing_comparison_is_a_match_error(matcher: Matcher) -> None:
    """What breaks inside the child is told in words."""
    lattice = Lattice.cubic(4)
    broken = Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [float("nan")] * 3])
    with pytest.raises(MatchError, match="could not be compared"):
        matcher.reduced(broken)


def test_the_parts_of_a_likelihood_add_up_and_are_kept(matcher: Matcher) -> None:
    """From the draw through the screen into the store's form and back."""
    (drawn,) = transformer(load_network(), Constraints.parse("Cl-Na"), n=1)
    candidate = Screen(known(), matcher).judge(drawn)
    assert set(candidate.log_parts) == {"spacegroup", "skeleton", "lattice", "coordinates"}
    assert sum(candidate.log_parts.values()) == pytest.approx(candidate.log_likelihood)
    again = Candidate.from_dict(json.loads(json.dumps(candidate.to_dict())))
    assert again.log_parts == candidate.log_parts
