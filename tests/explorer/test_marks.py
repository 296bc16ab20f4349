"""Stars, tags and notes on candidates; campaigns renamed, deleted and brought back."""

from __future__ import annotations

import pytest

from explorer.campaign import CampaignSpec, CampaignState, SpecError
from explorer.candidate import Candidate, State
from explorer.headless import DATABASE, spec_to_run
from explorer.lease import Leases, new_owner
from explorer.marks import MAX_NAME, MAX_NOTE, MAX_TAG, MAX_TAGS, Mark
from explorer.store import Store, StoreError


@pytest.fixture
def store(tmp_path):
    """Open a store of its own file."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


@pytest.fixture
def campaign_id(store):
    """Make a campaign of two candidates that nobody runs."""
    name = store.create(CampaignSpec(elements=("Cs", "Cl"), name="salt"))
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    drawn = [Candidate(id=f"00000{i}", index=i, state=State.REJECTED) for i in range(2)]
    store.put_candidates(lease, drawn)
    runner.release(lease)
    return name


def test_a_mark_is_changed_part_by_part(store, campaign_id):
    """What is not given stays; tags keep their order and lose their doubles."""
    store.mark(campaign_id, "000000", starred=True)
    store.mark(campaign_id, "000000", tags=["to make", " layered ", "to make", ""])
    store.mark(campaign_id, "000000", note="Ask Mika.\nCu rich.")
    mark = Mark(starred=True, tags=("to make", "layered"), note="Ask Mika.\nCu rich.")
    assert store.marks(campaign_id) == {"000000": mark}
    assert store.mark(campaign_id, "000000", starred=False).tags == mark.tags


def test_an_empty_mark_is_none(store, campaign_id):
    """Taking everything back leaves nothing to count."""
    store.mark(campaign_id, "000001", starred=True, tags=["x"], note="y")
    assert not store.mark(campaign_id, "000001", starred=False, tags=[], note="")
    assert store.marks(campaign_id) == {}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"tags": ["x" * (MAX_TAG + 1)]}, "a tag of at most 40 characters, got 41"),
        ({"tags": [str(i) for i in range(MAX_TAGS + 1)]}, "at most 20 tags, got 21"),
        ({"tags": ["two\nlines"]}, "a tag of one line"),
        ({"tags": "stable"}, "a list of tags, got the text 'stable'"),
        ({"note": "x" * (MAX_NOTE + 1)}, "a note of at most 10000 characters, got 10001"),
        ({"note": "bell \x07"}, "no text, '.x07'"),
        ({"note": "half \ud800"}, "no text"),
        ({"note": 3}, "a note to be text, got int"),
    ],
)
def test_what_no_mark_can_hold_is_refused_in_one_line(store, campaign_id, given, complaint):
    """The mark stays as it was."""
    before = store.mark(campaign_id, "000000", note="as it was")
    with pytest.raises(StoreError, match=complaint):
        store.mark(campaign_id, "000000", **given)
    assert store.marks(campaign_id) == {"000000": before}


def test_only_candidates_that_exist_are_marked(store, campaign_id):
    """Another campaign's candidate, or none, is named in the complaint."""
    with pytest.raises(StoreError, match="has no candidate 000009"):
        store.mark(campaign_id, "000009", starred=True)
    with pytest.raises(StoreError, match="there is no campaign nowhere"):
        store.mark("nowhere", "000000", starred=True)


def test_a_campaign_takes_another_name(store, campaign_id):
    """Everything else that it was asked stays as it is."""
    before = store.campaign(campaign_id).spec
    store.rename(campaign_id, "  rock\nsalt ")
    assert store.campaign(campaign_id).spec == before.model_copy(update={"name": "rock salt"})
    with pytest.raises(StoreError, match="name of at most 200 characters, got 201"):
        store.rename(campaign_id, "x" * (MAX_NAME + 1))
    with pytest.raises(StoreError, match="no campaign nowhere"):
        store.rename("nowhere", "x")


def test_a_deleted_campaign_is_hidden_until_it_is_restored(store, campaign_id):
    """No runner takes it, no command wakes it, and it comes back queued with all it holds."""
    store.mark(campaign_id, "000000", starred=True)
    store.delete(campaign_id)
    assert store.campaigns() == []
    assert [item.id for item in store.campaigns(deleted=True)] == [campaign_id]
    store.command(campaign_id, "stop")
    assert Leases(store.engine, new_owner()).take() is None
    store.restore(campaign_id)
    (back,) = store.campaigns()
    assert (back.state, back.deleted, back.counts["drawn"]) == (CampaignState.QUEUED, 0.0, 2)
    assert store.marks(campaign_id) == {"000000": Mark(starred=True)}
    assert Leases(store.engine, new_owner()).take().campaign_id == campaign_id


@pytest.mark.parametrize(
    ("command", "state"), [("pause", CampaignState.PAUSED), ("stop", CampaignState.STOPPED)]
)
def test_a_campaign_at_rest_comes_back_at_rest(store, campaign_id, command, state):
    """Deleting and bringing back is no command to go on."""
    store.command(campaign_id, command)
    store.delete(campaign_id)
    store.restore(campaign_id)
    assert store.campaign(campaign_id).state == state
    assert Leases(store.engine, new_owner()).take() is None


def test_deleting_a_campaign_stops_its_runner(store, campaign_id):
    """It hears a stop, what it commits meanwhile is kept, and the campaign comes back queued."""
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    store.delete(campaign_id)
    assert runner.wanted(lease) == "stop"
    store.put_candidates(lease, [Candidate(id="000002", index=2, state=State.REJECTED)])
    runner.release(lease)
    assert not store.campaign(campaign_id).active
    assert runner.take() is None
    store.restore(campaign_id)
    back = store.campaign(campaign_id)
    assert (back.state, back.counts["drawn"]) == (CampaignState.QUEUED, 3)


def test_a_finished_campaign_can_be_deleted_and_stays_finished(store, campaign_id):
    """Putting away is no command to its runner."""
    runner = Leases(store.engine, new_owner())
    runner.release(runner.take(), CampaignState.FINISHED)
    store.delete(campaign_id)
    store.restore(campaign_id)
    assert store.campaign(campaign_id).state == CampaignState.FINISHED
    with pytest.raises(StoreError, match="no campaign nowhere"):
        store.restore("nowhere")
    with pytest.raises(StoreError, match="no campaign nowhere"):
        store.delete("nowhere")


def test_a_renamed_run_goes_on_with_the_options_that_began_it(tmp_path):
    """The name is a label: it decides nothing that `hullscape run --resume` has to insist on."""
    spec = CampaignSpec.parse(elements="Cs-Cl", n=5)
    store = Store(tmp_path / DATABASE)
    store.rename(store.create(spec), "rock salt")
    store.close()
    for asked in (spec, CampaignSpec.parse()):
        found = spec_to_run(asked, tmp_path, resume=True)
        assert found == spec.model_copy(update={"name": "rock salt"})
    with pytest.raises(SpecError, match="was made with n = 5, got 6"):
        spec_to_run(spec.model_copy(update={"n": 6}), tmp_path, resume=True)
