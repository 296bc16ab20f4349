"""Users on the page: whose campaigns are listed and commanded, quotas at the form, admins."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace

import panel as pn
import pytest
from chromium import opened, served, wait_for
from handmade import HOSTILE, candidate, put
from playwright.sync_api import expect

from explorer.campaign import CampaignState
from explorer.lease import Leases, new_owner
from explorer.store import Store
from explorer.ui.administration_view import AdministrationView, slots_html
from explorer.ui.campaigns_view import CampaignsView
from explorer.ui.login import LoginError, current_user
from explorer.ui.page import Session
from explorer.ui.run_bar import RunBar
from explorer.ui.workbench import Workbench
from explorer.users import User

BOB, CLEO, ADA = User("bob"), User("cleo"), User("ada", admin=True)


async def nothing(*_: object) -> None:
    """Do nothing, as a runner that is never needed."""


def listed(store: Store, user: User | None) -> CampaignsView:
    """Return the list of campaigns as a user finds it."""
    view = CampaignsView(Workbench(store.of(user)), nothing, nothing)
    asyncio.run(view.refresh())
    return view


def actions(view: CampaignsView) -> dict[str, list[str]]:
    """Return what the list offers to do with each campaign, by its name."""
    return {row["name"]: [action for action, _ in row["actions"]] for row in view.list.rows}


def ask(view: CampaignsView, action: str, campaign_id: str) -> None:
    """Send what a button of the list sends."""
    asyncio.run(view._act(SimpleNamespace(new=[action, campaign_id, "", 1])))


@pytest.fixture
def campaigns(store) -> dict[str, str]:
    """Store a campaign of Bob, a shared one of Cleo's and a private one of hers, by name."""
    ids = {
        "bobs": put(store.of(BOB), candidate(1), name="bobs"),
        "shared": put(store.of(CLEO), candidate(2), name="shared"),
        "secret": put(store.of(CLEO), state=CampaignState.STOPPED, name="secret"),
    }
    store.of(CLEO).share(ids["shared"])
    return ids


def test_a_user_finds_their_own_campaigns_and_what_is_shared(store, campaigns):
    """Others' settings may be used, no more; one's own may be shared."""
    view = listed(store, BOB)
    offered = actions(view)
    assert offered == {"bobs": ["reuse", "rename", "share", "delete"], "shared": ["reuse"]}
    assert next(r for r in view.list.rows if r["name"] == "shared")["facts"].endswith("of cleo")
    assert not view.everyone.visible
    ask(view, "share", campaigns["bobs"])
    assert "unshare" in actions(view)["bobs"]
    assert campaigns["bobs"] in {item.id for item in store.of(CLEO).campaigns()}


def test_what_the_browser_makes_up_is_refused(store, campaigns):
    """A forged request for another's campaign changes nothing and is told."""
    view = listed(store, BOB)
    for action in ("delete", "unshare", "resume", "restore", "reuse"):
        ask(view, action, campaigns["secret"])
        assert "is not shared with you" in view.note.object
    assert store.campaign(campaigns["secret"]).state == CampaignState.STOPPED


def test_an_admin_finds_the_campaigns_of_all_and_stops_any(store, campaigns):
    """When asked for; without login nothing is said of users."""
    queued = store.of(BOB).create(store.campaign(campaigns["bobs"]).spec)
    view = listed(store, ADA)
    assert set(actions(view)) == {"shared"}
    view.everyone.value = True
    asyncio.run(view.refresh())
    assert set(actions(view)) == {"bobs", "shared", "secret"}
    ask(view, "stop", queued)
    assert store.campaign(queued).state == CampaignState.STOPPED
    assert all("share" not in offered for offered in actions(listed(store, None)).values())


def test_the_buttons_of_another_users_campaign_are_off(store, campaigns):
    """Looking at what is shared offers no Pause; its owner has one."""
    shared = store.of(CLEO).create(store.campaign(campaigns["shared"]).spec)
    store.of(CLEO).share(shared)
    for user, off in ((BOB, True), (CLEO, False), (ADA, False)):
        bench = Workbench(store.of(user), campaign_id=shared)
        bar = RunBar(bench, nothing, nothing)
        bench.take(bench.look())
        assert bench.error == ""
        assert [bar.buttons[name].disabled for name in ("pause", "stop")] == [off, off]


def test_a_campaign_stays_on_the_page_whatever_becomes_of_it(store, campaigns):
    """Deleted, or not in the list of who looks at it, it is still what the chooser shows."""
    everyone = campaigns["secret"]  # Ada's list has it only when she asks for those of all
    for user, name in ((CLEO, campaigns["shared"]), (BOB, campaigns["shared"]), (ADA, everyone)):
        bench = Workbench(store.of(user))
        bar = RunBar(bench, nothing, nothing)
        bench.campaign_id = name
        bench.take(bench.look())
        bar.offer(bench.store.campaigns())
        assert bar.chooser.value == name
        store.of(CLEO).delete(name)
        bar.offer(bench.store.campaigns())
        bench.take(bench.look())
        assert bench.campaign_id == bar.chooser.value == name
        told = "under Deleted ones" if user in (CLEO, ADA) else "deleted by cleo"
        assert told in bar.banner.object
        store.of(CLEO).restore(name)


def test_a_renamed_campaign_has_its_new_name_in_the_chooser(store, campaigns):
    """The browser knows what is chosen by its label, and went on showing the old one."""
    name = campaigns["bobs"]
    bench = Workbench(store.of(BOB), campaign_id=name)
    bar = RunBar(bench, nothing, nothing)
    shown = bar.chooser.get_root().data
    for words in ("bobs", "a better name"):
        bench.store.rename(name, words)
        bar.offer(bench.store.campaigns())
        assert shown.value.startswith(words)
        assert shown.value in shown.options


def test_a_link_to_a_private_campaign_shows_nothing_of_it(store, campaigns):
    """The page says what it says of an id that does not exist."""
    bench = Workbench(store.of(BOB), campaign_id=campaigns["secret"])
    bench.take(bench.look())
    assert "there is no campaign" in bench.error
    assert (bench.campaign, bench.candidates) == (None, {})


def test_a_quota_is_told_at_the_form(store, campaigns, monkeypatch):
    """Too many crystals at their field; nothing is queued and the page stays where it is."""
    monkeypatch.setenv("HULLSCAPE_MAX_CRYSTALS", "20")
    session = Session(store.of(BOB))
    session.draft.param.update(elements=["Ca", "Cu"], n=100)
    session.draft.check({})
    asyncio.run(session.run())
    field = session.constraints.inputs["n"]
    assert field.error_state
    assert "ask for at most 19 now" in field.helper_text
    assert "ask for at most 19 now" in session.constraints.reason.object
    assert session.bench.campaign_id == ""
    assert len(store.of(BOB).campaigns()) == 2


def test_the_users_and_runners_are_shown_to_admins_alone(store):
    """Names are text, whatever they hold; a runner that left is gone."""
    put(store.of(User(HOSTILE)), candidate(1))
    runner = Leases(store.engine, new_owner())
    runner.take_slot("gpu0")
    views = [AdministrationView(store.of(user)) for user in (ADA, BOB, None)]
    for view in views:
        asyncio.run(view.refresh())
    assert [view.__panel__().visible for view in views] == [True, False, False]
    assert "&lt;img" in views[0].users.object
    assert "<img" not in views[0].users.object
    assert re.search(r"gpu0.*heard of \d s ago", views[0].runners.object)
    assert "No runner has begun" in slots_html(())
    runner.leave_slot("gpu0")
    asyncio.run(views[0].refresh())
    assert "gone" in views[0].runners.object
    assert (views[1].users.object, views[1].runners.object) == ("", "")


@pytest.fixture
def login(tmp_path, monkeypatch):
    """Configure a login as `panel serve` does; outside a session nobody is logged in."""
    file = tmp_path / "users.json"
    file.write_text('{"bob": "sun"}')
    before = pn.config.basic_auth, pn.config.cookie_secret
    yield file
    pn.config.basic_auth, pn.config.cookie_secret = before


def test_without_a_login_there_is_one_user_and_with_one_there_is_no_way_around(login):
    """A request that does not come from the login gets no page; one password for all is none."""
    assert current_user() is None
    pn.config.basic_auth, pn.config.cookie_secret = str(login), "secret"
    with pytest.raises(LoginError, match="nobody is logged in"):
        current_user()
    pn.config.basic_auth = "one password"
    with pytest.raises(LoginError, match=r"one password for all.*JSON file of users"):
        current_user()


def log_in(page, user: str, password: str) -> None:
    """Fill the form of the login."""
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def heights(buttons) -> set[float]:
    """Return where the lines of some buttons begin, in pixels."""
    return {buttons.nth(k).bounding_box()["y"] for k in range(buttons.count())}


def test_bob_logs_in_and_finds_his_campaigns_and_not_those_of_others(tmp_path):
    """In the browser, through a link to Cleo's campaign; nothing is asked of another host."""
    store = Store(tmp_path / "campaigns.db")
    own = put(store.of(BOB), candidate(1), state=CampaignState.PAUSED, name="his own")
    for number in range(8):
        put(store.of(BOB), name=f"campaign {number}, {'a name with many words, ' * 6}")
    secret = put(store.of(CLEO), candidate(2), name="not for him")
    store.close()
    users = tmp_path / "users.json"
    long = "robert.with.many.names@institute.of.crystals.example"
    users.write_text(json.dumps({"bob": "sun", "cleo": "moon", long: "star"}))
    options = ["--basic-auth", str(users), "--cookie-secret", "a secret of the test"]
    template = ["assets/login.html"]
    options += ["--basic-login-template", *template, "--logout-template", *template]
    with served(tmp_path, *options) as address, opened(f"{address}?campaign={secret}") as page:
        log_in(page, "bob", "moon")
        page.get_by_role("alert").filter(has_text="not the password").wait_for()
        log_in(page, "bob", "sun")
        page.get_by_text("is not shared with you").first.wait_for()
        page.goto(address)
        page.get_by_role("link", name="his own").wait_for()
        assert page.get_by_text("not for him").count() == 0
        for width in (1280, 800):
            page.set_viewport_size({"width": width, "height": 900})
            buttons = page.locator(f"li[data-id='{own}'] .actions button")
            expect(buttons).to_have_count(5)
            # Delete is not on a line of its own
            wait_for(lambda of=buttons: len(heights(of)) == 1, 30, f"one line at {width} pixels")
        page.get_by_label("Find campaigns").fill("WORDS 3,")
        wait_for(lambda: page.locator("li[data-id]").count() == 1, 10, "the one that says so")
        page.keyboard.press("Escape")
        wait_for(lambda: page.locator("li[data-id]").count() == 9, 10, "all again")
        page.get_by_role("link", name="Log out").click()
        page.get_by_role("button", name="Log in again").click()
        page.get_by_label("User").wait_for()
        page.set_viewport_size({"width": 360, "height": 640})
        log_in(page, long, "star")
        out = page.get_by_role("link", name="Log out")
        out.wait_for()
        page.get_by_text("No campaign yet").wait_for()  # and not that they are being read
        theme = page.locator("header button").last
        for control in (out, theme):  # however long a name is
            box = control.bounding_box()
            assert box["x"] + box["width"] <= 360
