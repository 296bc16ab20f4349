"""Users of one server: each sees their own and what is shared, changes their own, has a quota."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from explorer.administration import read_slots, read_usage
from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.lease import Leases, new_owner
from explorer.marks import Mark
from explorer.store import Store, StoreError
from explorer.structure_files import NamedStructure
from explorer.users import QuotaError, Usage, User

CSCL = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Open a store of its own file, on a server where Ada is the admin."""
    monkeypatch.setenv("HULLSCAPE_ADMINS", "ada, root")
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


@pytest.fixture
def ada(store):
    """Return what the admin meets."""
    return store.of(User.named("ada"))


@pytest.fixture
def bob(store):
    """Return what one user meets."""
    return store.of(User.named("bob"))


@pytest.fixture
def cleo(store):
    """Return what another user meets."""
    return store.of(User.named("cleo"))


def queued(store: Store, n: int = 10) -> str:
    """Queue a campaign of the store's user."""
    return store.create(CampaignSpec(elements=("Cs", "Cl"), n=n))


@pytest.fixture
def secret(store, bob) -> str:
    """Run a private campaign of Bob's, with a candidate that has a star."""
    campaign_id = queued(bob)
    lease = Leases(store.engine, new_owner()).take()
    store.put_candidates(lease, [Candidate(id="000000", index=0, state=State.WAITING)])
    bob.mark(campaign_id, "000000", starred=True)
    return campaign_id


READS = {
    "campaign": lambda it, name: it.campaign(name),
    "candidates": lambda it, name: it.candidates(name),
    "candidate": lambda it, name: it.candidate(name, "000000"),
    "marks": lambda it, name: it.marks(name),
    "targets": lambda it, name: it.targets(name),
    "trace": lambda it, name: it.trace(name, "000000"),
}
WRITES = {
    "pause": lambda it, name: it.command(name, "pause"),
    "rename": lambda it, name: it.rename(name, "mine now"),
    "delete": lambda it, name: it.delete(name),
    "restore": lambda it, name: it.restore(name),
    "share": lambda it, name: it.share(name),
    "mark": lambda it, name: it.mark(name, "000000", starred=False),
}


@pytest.mark.parametrize("ask", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_a_private_campaign_is_to_others_as_if_there_were_none(cleo, secret, ask):
    """Its id, known by whatever means, opens nothing; a wrong one is answered in the same words."""
    with pytest.raises(StoreError) as refused:
        ask(cleo, secret)
    with pytest.raises(StoreError) as unknown:
        ask(cleo, "0" * len(secret))
    assert str(refused.value) == str(unknown.value).replace("0" * len(secret), secret)


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
def test_what_is_shared_may_be_read_until_it_is_private_again(bob, cleo, secret, ask):
    """Reading one that is shared gives what its owner reads."""
    bob.share(secret)
    assert repr(ask(cleo, secret)) == repr(ask(bob, secret))
    bob.share(secret, shared=False)
    with pytest.raises(StoreError, match="no campaign"):
        ask(cleo, secret)


@pytest.mark.parametrize("ask", WRITES.values(), ids=WRITES)
def test_what_is_shared_is_changed_by_its_owner_alone(bob, cleo, secret, ask):
    """The others are told whose it is, and it stays as it was."""
    bob.share(secret)
    before = bob.campaign(secret)
    with pytest.raises(StoreError, match="belongs to bob: take its settings"):
        ask(cleo, secret)
    assert bob.campaign(secret) == before
    assert bob.marks(secret) == {"000000": Mark(starred=True)}


def test_lists_hold_what_one_may_see(store, ada, bob, cleo):
    """Own campaigns and shared ones; deleted ones are for their owner; without user all."""
    of_bob, of_cleo, of_nobody = queued(bob), queued(cleo), queued(store)
    bob.share(queued(bob))
    assert {item.person for item in cleo.campaigns()} == {"bob", "cleo"}
    assert of_bob not in {item.id for item in cleo.campaigns()}
    bob.delete(of_bob)
    assert [item.id for item in bob.campaigns(deleted=True)] == [of_bob]
    assert cleo.campaigns(deleted=True) == []
    assert {item.id for item in store.campaigns()} >= {of_cleo, of_nobody}
    assert ada.campaigns(everyone=True) == store.campaigns()
    assert {item.shared for item in ada.campaigns()} == {True}
    with pytest.raises(StoreError, match="ask for cleo to be added to HULLSCAPE_ADMINS"):
        cleo.campaigns(everyone=True)


def test_an_admin_commands_the_campaigns_of_all(ada, bob, secret):
    """Stopping and sharing included; only admins learn who has what and which runner is where."""
    ada.command(secret, "stop")
    ada.share(secret)
    assert bob.campaign(secret).wanted == "stop"
    assert read_usage(ada) == {"bob": Usage(campaigns=1, open=1, crystals=10)}
    for read in (read_usage, read_slots):
        with pytest.raises(StoreError, match="only admins"):
            read(bob)


def test_slots_tell_which_runner_works_on_what(store, ada, bob):
    """A runner that left is no longer alive and works on nothing."""
    campaign_id = queued(bob)
    runner, gone = (Leases(store.engine, new_owner()) for _ in range(2))
    runner.take_slot("gpu0")
    gone.take_slot("gpu1")
    gone.leave_slot("gpu1")
    lease = runner.take()
    first, second = read_slots(ada)
    assert (first.name, first.alive, first.campaign) == ("gpu0", True, campaign_id)
    assert (second.name, second.alive, second.campaign) == ("gpu1", False, "")
    runner.release(lease)
    assert read_slots(ada)[0].campaign == ""


def test_a_user_has_no_more_campaigns_open_than_the_quota(monkeypatch, ada, bob, cleo):
    """The message says how to go on; stopping makes room, resuming takes it."""
    monkeypatch.setenv("HULLSCAPE_MAX_OPEN", "2")
    first = queued(bob)
    queued(bob)
    with pytest.raises(QuotaError, match=r"you have 2 campaigns open.*wait for one to finish"):
        queued(bob)
    assert len(bob.campaigns()) == 2
    bob.command(first, "stop")
    queued(bob)
    with pytest.raises(QuotaError, match="2 campaigns open"):
        bob.command(first, "resume")
    assert bob.campaign(first).state == CampaignState.STOPPED
    assert queued(cleo)
    assert len({queued(ada) for _ in range(3)}) == 3


def test_a_user_asks_for_no_more_crystals_than_the_quota(monkeypatch, store, bob):
    """Whole campaigns count until they are deleted; coming back they count again."""
    monkeypatch.setenv("HULLSCAPE_MAX_CRYSTALS", "100")
    first = queued(bob, 70)
    with pytest.raises(QuotaError, match="ask for at most 30 now, or delete a campaign"):
        queued(bob, 31)
    queued(bob, 30)
    bob.delete(first)
    queued(bob, 50)
    with pytest.raises(QuotaError, match="for at most 20 now"):
        bob.restore(first)
    assert queued(store, 1000)


def test_a_quota_that_is_no_number_is_named(monkeypatch, bob):
    """A slip in the configuration is not taken for no limit."""
    monkeypatch.setenv("HULLSCAPE_MAX_OPEN", "two")
    with pytest.raises(StoreError, match="HULLSCAPE_MAX_OPEN: expected a whole number, got 'two'"):
        queued(bob)


def test_targets_go_with_the_campaign(bob, cleo):
    """What a user looks for is as private as what they find."""
    spec = CampaignSpec(elements=("Cs", "Cl"), targets="targets.cif")
    campaign_id = bob.create(spec, [NamedStructure("wanted", CSCL)])
    assert [item.name for item in bob.targets(campaign_id)] == ["wanted"]
    with pytest.raises(StoreError, match="no campaign"):
        cleo.targets(campaign_id)
