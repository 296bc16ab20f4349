"""Reference phases of a potential that brings none: relaxed when first asked for, and kept."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path

import pytest
from toy_potentials import (
    ELEMENTS,
    EmtPotential,
    PickyPotential,
    ShiftedPotential,
    emt,
    install_package,
)

from explorer.campaign import CampaignSpec, CampaignState, SpecError
from explorer.figures.known import known_of
from explorer.hull import Hull, LevelError
from explorer.laboratory import Library, check_references, open_laboratory
from explorer.lease import Leases, new_owner
from explorer.phases import ReferenceFileError, form_id
from explorer.potentials import Potential
from explorer.reference_cache import ReferenceCache, cached_file, cached_sets
from explorer.reference_commands import clear_references, list_references
from explorer.reference_supply import supply
from explorer.references import ReferencePhases
from explorer.runner import run_campaign
from explorer.store import Store

SYSTEM = ("Al", "Cu")
PHASES = [phase for phase in ReferencePhases.shipped(SYSTEM).phases if phase.published]
SHIPPED = {phase.id for phase in PHASES}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache folder of its own, also in the processes that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = (str(Path(__file__).parent), str(Path(__file__).parents[2]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def toy(checkpoint: str = "0" * 12) -> Potential:
    """Return a potential without faults for which nothing is shipped."""
    return EmtPotential("emt", "1", checkpoint, frozenset(SYSTEM), "none")


def ask(chosen: Potential, elements: tuple[str, ...] = SYSTEM) -> tuple[Path, list[str]]:
    """Ask for the phases of a system; return where they are and what was said."""
    said: list[str] = []
    system = "-".join(elements)
    return supply([system], chosen, chosen.name, workers=1, say=said.append), said


def by_hand(chosen: Potential, say: Callable[[str], None] = print) -> ReferenceCache:
    """Return a file with the shipped energies, as if the potential had found the same."""
    cache = ReferenceCache.of(chosen.level, {"made": "by hand"}, say)
    for phase in PHASES:
        cache.put(phase)
    cache.remember(chosen.name, [SYSTEM])
    return cache


def kept() -> set[str]:
    """Return the phases that lie in the cache folder."""
    phases = [phase for cache in cached_sets() for phase in cache.phases(SYSTEM)]
    return {phase.id for phase in phases if phase.published}


KILLED = """
import os, signal
from test_reference_supply import kept, toy
from explorer.reference_supply import supply

def enough():
    if len(kept()) >= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return False

if __name__ == "__main__":
    supply(["Al-Cu"], toy(), "emt", workers=1, say=print, should_stop=enough)
"""


def test_phases_are_relaxed_once_whatever_happens_meanwhile(tmp_path: Path) -> None:
    """After SIGKILL only the rest is relaxed; who asks again computes nothing."""
    program = tmp_path / "supply_it.py"
    program.write_text(KILLED, encoding="utf-8")
    killed = subprocess.run([sys.executable, str(program)], check=False)
    assert killed.returncode == -signal.SIGKILL
    done = kept()
    assert 2 <= len(done) < len(SHIPPED)
    assert cached_file("emt", SYSTEM) is None, "what is not whole does not count"
    path, said = ask(toy())
    assert said[0] == f"relaxing 1 of {len(SHIPPED - done)} reference phases of Al-Cu with emt 1"
    assert ask(toy()) == (path, [])
    assert ask(toy(), ("Cu",)) == (path, [])
    found = ReferencePhases.from_file(path, SYSTEM)
    assert {phase.id for phase in found.phases if phase.published} == SHIPPED == kept()
    forms = {phase.id for phase in found.phases if not phase.published}
    static = {phase.id for phase in found.phases if phase.geometry == "static"}
    assert forms == {form_id(name) for name in static}
    assert (found.level, found.missing_elements) == (toy().level, ())
    assert all(phase.remark for phase in found.phases if phase.geometry == "static")
    copper = found.elemental["Cu"].structure
    assert copper.volume / len(copper) == pytest.approx(3.59**3 / 4, rel=0.03)
    listed = list_references(CampaignSpec(elements=SYSTEM), "emt", None)
    assert {row["id"] for row in listed} == SHIPPED | forms


def test_an_element_without_energy_is_said_before_there_is_a_hull() -> None:
    """Which, and why; it is tried again the next time, as its fault may be gone."""
    picky = PickyPotential("picky", "1", "0" * 12, ELEMENTS, "none")
    with pytest.raises(SpecError, match=r"energy for Al \(.*no neighbours.*Cu \(.*choose other"):
        check_references(Library("picky", None, "Al-Cu"), picky, workers=1)
    (cache,) = cached_sets()
    failed = [phase.id for phase in cache.phases(SYSTEM, failed=True)]
    assert failed
    assert cache.settled(failed) == set()


def test_energies_of_two_potentials_never_meet() -> None:
    """Other weights are another file, another level, and no point on the hull."""
    caches = [by_hand(toy()), by_hand(toy("1" * 12))]
    assert caches[0].path != caches[1].path
    assert [cache.level() for cache in caches] == [toy().level, toy("1" * 12).level]
    hull = Hull(ReferencePhases.from_file(caches[0].path, SYSTEM))
    with pytest.raises(LevelError):
        hull.place("AlCu", -3.0, caches[1].level())
    assert cached_file("emt", SYSTEM) == caches[1].path, "the one that was asked for last"


def test_two_that_write_at_once_agree() -> None:
    """Each phase is there once, with the energy of whoever came first."""
    many = [replace(PHASES[0], id=f"p{k}") for k in range(40)]

    def write(energy: float) -> None:
        cache = ReferenceCache.of(toy().level, {}, print)
        for phase in many if energy < 0 else reversed(many):
            cache.put(replace(phase, energy_per_atom=energy))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, (-1.0, 1.0)))
    (cache,) = cached_sets()
    found = cache.phases(SYSTEM)
    assert sorted(phase.id for phase in found) == sorted(phase.id for phase in many)
    write(2.0)
    assert [p.energy_per_atom for p in cache.phases(SYSTEM)] == [p.energy_per_atom for p in found]


def test_a_search_in_any_elements_is_refused() -> None:
    """There are too many phases to relax them all beforehand."""
    with pytest.raises(SpecError, match="choose elements, or give references"):
        check_references(Library("emt", None, ""), emt(), workers=1)


def test_on_the_hull_of_dft_only_elements_are_relaxed() -> None:
    """The other known phases are there to be recognised, without an energy to compete with."""
    on_scale = ShiftedPotential("emt", "1", "0" * 12, frozenset(SYSTEM), "MP2020")
    library = Library("emt", None, "Al-Cu", "auto")
    said: list[str] = []
    check_references(library, on_scale, workers=1, say=said.append)
    elements = {phase.id for phase in PHASES if "-" not in phase.chemsys}
    assert kept() == elements
    assert said[0].startswith(f"relaxing 1 of {len(elements)} reference phases of 2 systems")
    of_all = replace(library, system="", file=None)
    check_references(of_all, on_scale, say=said.append)
    assert kept() == elements, "a search in any elements needs those of the potential"
    found = of_all.references("Al-Cu")
    assert {phase.id for phase in found.phases} == SHIPPED
    assert {phase.id for phase in found.phases if isfinite(phase.energy_per_atom)} == elements
    assert library.hull("AlCu").place("AlCu", -3.5, on_scale.level).energy_above_hull is not None
    spec = CampaignSpec(elements=SYSTEM, potential="emt", hull="auto")
    known = known_of(spec)
    assert known.hull is not None
    assert set(known.phases) == SHIPPED
    plain = replace(library, mode="potential", file=None, _hulls={})
    with pytest.raises(ReferenceFileError, match="no reference phases of 'emt'"):
        plain.references("Al-Cu")
    check_references(replace(plain, system="Al-Cu"), on_scale, workers=1)
    assert all(isfinite(phase.energy_per_atom) for phase in plain.references("Al-Cu").phases)


@pytest.mark.parametrize("damage", [b"no database at all", None], ids=["foreign", "torn"])
def test_a_damaged_file_is_set_aside(damage: bytes | None) -> None:
    """It is said where it went, and another one is begun."""
    path = by_hand(toy()).path
    path.write_bytes(damage or path.read_bytes()[:9000])
    assert cached_file("emt", SYSTEM) is None
    said: list[str] = []
    again = by_hand(toy(), said.append)
    assert again.path == path
    assert re.search(r"is damaged .* set aside as .*damaged-\d+", said[0])
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    assert kept() == SHIPPED


def test_cached_sets_are_listed_and_cleared() -> None:
    """Both kinds of sets are listed; only the cached ones can be deleted."""
    path = by_hand(toy()).path
    shipped, cached = list_references(CampaignSpec(), "chgnet", None)
    assert (shipped["set"], shipped["phases"], shipped["forms"]) == ("shipped", 22315, 1364)
    assert (cached["asked_as"], cached["phases"], cached["forms"]) == (["emt"], len(SHIPPED), 0)
    with pytest.raises(SpecError, match="expected one of emt"):
        clear_references("emty")
    path.write_bytes(b"damaged")
    assert list_references(CampaignSpec(), "chgnet", None)[1]["potential"] == "cannot be read"
    assert clear_references(None) == {"deleted": [str(path)]}
    assert cached_sets() == []


MODULE = """
from ase.calculators.emt import EMT

def make():
    return EMT()

make.elements = ("Al", "Cu")
make.correction = "none"
"""


@pytest.fixture
def own_potential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a package that offers a calculator."""
    entries = "[hullscape.potentials]\ntheirs = their_package:make\n"
    install_package(tmp_path, "their_package", MODULE, entries)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "theirs"


def test_a_campaign_relaxes_what_it_needs_and_obeys_meanwhile(
    own_potential: str, tmp_path: Path
) -> None:
    """Its message tells how far it is; stopped there it draws nothing, and goes on when told to."""
    store = Store(tmp_path / "campaigns.db")
    spec = CampaignSpec.parse(
        elements="Al-Cu", max_atoms=4, n=2, potential=own_potential, relax_known=True, max_steps=5
    )
    assert "are at hand" in known_of(spec).picture.message
    campaign_id = store.create(spec)
    leases = Leases(store.engine, new_owner())
    messages: list[str] = []

    def told() -> bool:
        messages.append(store.campaign(campaign_id).message)
        return messages[-1].startswith("relaxing")

    laboratory = partial(open_laboratory, device="cpu", workers=1)
    for should_stop in (told, lambda: False):
        lease = leases.take(campaign_id)
        run_campaign(store, leases, lease, laboratory=laboratory, should_stop=should_stop)
        if should_stop is told:
            stopped = store.campaign(campaign_id)
    assert messages[-1] == f"relaxing 1 of {len(SHIPPED)} reference phases of Al-Cu with theirs 1.2"
    assert (stopped.state, stopped.counts["drawn"]) == (CampaignState.QUEUED, 0)
    campaign = store.campaign(campaign_id)
    assert (campaign.state, campaign.counts["drawn"]) == (CampaignState.FINISHED, 2), campaign
    candidates, _ = store.candidates(campaign_id)
    placed = [one for one in candidates if one.energy_above_hull is not None]
    assert all(one.level.potential == "theirs 1.2" for one in placed)
    assert campaign.provenance["references"] == cached_file(own_potential, SYSTEM).stem
    known = known_of(spec)
    assert not known.picture.message
    assert {phase.id for phase in known.competing.phases} == SHIPPED
    store.close()
