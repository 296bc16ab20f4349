"""The page: state and views put together, and the pulse that reads the store."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import CustomJS

from explorer.campaign import Campaign, CampaignSpec, SpecError
from explorer.figures.crystal import get_ready
from explorer.runner import ensure_runner
from explorer.store import Store, StoreError
from explorer.ui.administration_view import AdministrationView
from explorer.ui.campaign_views import FORM, CampaignViews, news_of
from explorer.ui.campaigns_view import CampaignsView
from explorer.ui.constraints_view import ConstraintsView
from explorer.ui.draft import PRESETS, Draft, given_samples
from explorer.ui.elements import blocked_elements, potential_names
from explorer.ui.good_guest import (
    SEARCH,
    leave_nothing,
    mind_own_business,
    send_at_once,
    settle,
)
from explorer.ui.login import current_user, login_words
from explorer.ui.number_keys import NumberKeys
from explorer.ui.pulse import TURNS, Pulse
from explorer.ui.results_view import ResultsView
from explorer.ui.run_bar import RunBar
from explorer.ui.saved import read_query, write_query
from explorer.ui.theme import BAR, HEADER_GROUND, PAGE, THEME, words
from explorer.ui.versus_view import VersusView
from explorer.ui.welcome import welcome
from explorer.ui.window import CONNECTED, Window
from explorer.ui.workbench import News, Workbench
from explorer.users import QuotaError

LIST_EVERY = 6  # looks between two readings of the list of campaigns
STATIC = Path(__file__).parent / "static"
LOGO = Path(__file__).parents[2] / "assets" / "logo.svg"
# Bokeh's first try, at once, is waited for.
LOST = """
if (cb_obj.timeout == null || cb_obj.attempts > 0) { window.hullscapeServer.lost() }
"""
FOUND = "window.hullscapeServer.found()"
GROUND = {name: THEME[name]["palette"]["background"]["default"] for name in ("light", "dark")}
TEMPLATE = f"""
{{% extends "base.html" %}}
{{% block preamble %}}
{{{{ super() }}}}
<script>
{{% raw %}}
if (/[?&]dark=true/i.test(location.search)) {{ document.documentElement.dataset.dark = "" }}
{(STATIC / "come_back.js").read_text(encoding="utf-8")}
{{% endraw %}}
</script>
{{% endblock %}}
{{% block loader_css %}}
{{{{ super() }}}}
:root {{ --ground: {GROUND["light"]}; }}
:root[data-dark] {{ --ground: {GROUND["dark"]}; }}
:root:not([data-connected]) {{ background: var(--ground); }}
:root:not([data-connected]) body::before {{ content: ""; position: fixed; inset: 0 0 auto;
  height: {BAR}; background: {HEADER_GROUND}; z-index: -1; }}
#loader {{ top: {BAR}; background: color-mix(in srgb, var(--ground) 50%, transparent); }}
.spinner {{ border-color: #8884; border-top-color: {THEME["dark"]["palette"]["primary"]["main"]}; }}
{{% endblock %}}
"""
"""The page's HTML: what loads it again after an outage, its look until it is there."""
# Panel writes each change of the address into the browser's history and never reads it back.
GO_BACK = """
if (!window.hullscapeHistory) {
  window.hullscapeHistory = true
  window.addEventListener("popstate", () => location.reload())
}
"""
BODY = {"sizing_mode": "stretch_width", "margin": 0}


@cache
def shared_store() -> Store:
    """Return the one store of this server process."""
    return Store()


class Session:
    """One browser tab: its state, its views, and its pulse."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bench = Workbench(store)
        self.draft = Draft()
        self.draft.take(PRESETS["Al-Ca-Cu"] | {"elements": []})
        self.constraints = ConstraintsView(
            self.draft, potential_names(), blocked_elements, self.run
        )
        self.run_bar = RunBar(self.bench, self.wake, self.reuse)
        self.views: CampaignViews | None = None
        self.results = pn.Column(**BODY)
        self.campaigns = CampaignsView(self.bench, self.wake, self.reuse)
        self.versus = VersusView(self.bench)
        self.versus.begun = False
        self.versus_page = pn.Column(self.versus, **BODY)
        self.administration = AdministrationView(store)
        lists = (self.campaigns, self.administration)
        self.welcome = pn.Column(welcome(self.draft), *lists, ResultsView(self.bench), **BODY)
        self.window = Window()
        self._looks = 0
        self._looking = False
        self._recalling = False
        self._begun = False  # whether the browser has the page
        self.bench.param.watch(self._arrange, ["campaign_id", "versus", "error"])
        self._arrange()

    def _arrange(self, *_: Any) -> None:
        self._looks = 0  # the list of campaigns is read at the next look
        compared = bool(self.bench.versus)
        lost = bool(self.bench.error) and self.bench.campaign is None
        shown = bool(self.bench.campaign_id) and not lost
        if shown and self.views is None:
            self._make_views()
        self.results.visible = shown
        self.versus_page.visible = compared
        self.welcome.visible = not shown and not compared

    def _make_views(self) -> None:
        """Make a campaign's cards, half of all that a page is: where a search starts are none.

        All at once, since Bokeh makes two views of a card when another follows it too soon; and
        what they show comes once they are there, since a table that is not drawn yet cannot change.
        """
        self.views = CampaignViews(self.bench)
        if self._begun:
            self.views.await_browser(self.look)
        self.results.objects = [self.views, self.views.compare]

    async def run(self) -> None:
        """Queue a campaign of the form's spec, make sure that somebody works, and look at it."""
        spec: CampaignSpec = self.draft.spec
        targets = self.draft.upload.structures
        samples = self.draft.samples.structures if spec.generator == "file" else ()
        try:
            campaign_id = await asyncio.to_thread(self.store.create, spec, targets, samples)
        except QuotaError as error:
            self.draft.param.update(problem=str(error), problem_field=error.field)
            return
        except StoreError as error:
            self.bench.error = str(error)
            return
        self.bench.campaign_id = campaign_id
        self._looks = 0
        await self.wake()
        await self.look()

    async def reuse(self, campaign: Campaign) -> None:
        """Fill the form with what a campaign asked, and with copies of what it was given."""
        targets = await asyncio.to_thread(self.store.targets, campaign.id)
        samples = await asyncio.to_thread(self.store.samples, campaign.id)
        self.draft.take_spec(campaign.spec, targets, samples)

    async def wake(self) -> None:
        """Start a runner unless one is alive."""
        await asyncio.to_thread(ensure_runner, self.store)

    async def look(self, news: News | None = None) -> None:
        """Read what is new, unless that is done, and hand it to the views in one batch."""
        if self._looking or (self.views is not None and self.views.awaited):
            return
        self._looking = True
        try:
            if news is None or news.campaign_id != self.bench.campaign_id:
                news = await news_of(self.bench)
            with TURNS.measured(), pn.io.hold():
                self.bench.take(news)
            if self._looks == 0 and self.bench.campaign is not None:
                await self._recall(self.bench.campaign)
            if self._looks % LIST_EVERY == 0:
                self.run_bar.offer(await asyncio.to_thread(self.store.campaigns))
                await self.versus.refresh()
                if self.welcome.visible:
                    await self.campaigns.refresh()
                    await self.administration.refresh()
            self._looks += 1
            if not news.runner_alive:
                await self.wake()
        finally:
            self._looking = False

    async def _recall(self, campaign: Campaign) -> None:
        """Fill an untouched form with what the campaign asked, so that it can be changed.

        The address names the campaign already. A step of the browser's history for each time that
        this is done would leave no way back from the campaign: going back does it again. A link
        that fills the form carries no file: crystals to judge come from the store.
        """
        draft = self.draft
        if draft.samples.name:
            return
        if not draft.elements and not draft.formula:
            self._recalling = True
            try:
                await self.reuse(campaign)
            finally:
                self._recalling = False
        elif draft.generator == "file":
            samples = await asyncio.to_thread(self.store.samples, campaign.id)
            draft.samples = given_samples(campaign.spec, samples)

    def page(self) -> pmui.Page:
        """Return the page; the pulse starts when the browser has it."""
        page = pmui.Page(
            title="Hullscape",
            logo=LOGO if LOGO.is_file() else None,
            header=[
                words("<span>Search a chemical space, live</span>", HEADER),
                *login_words(self.store.user),
            ],
            sidebar=[self.constraints],
            sidebar_width=FORM,
            sidebar_resizable=False,
            main=[
                pn.Column(
                    self.window,
                    NumberKeys(),
                    self.run_bar,
                    self.welcome,
                    self.results,
                    self.versus_page,
                    **BODY,
                )
            ],
            theme_config=THEME,
            sx=PAGE,
            busy_indicator=None,
            template=TEMPLATE,
        )
        mind_own_business(page)
        page.param.watch(lambda event: self.bench.param.update(dark=event.new), "dark_theme")
        if pn.state.location is not None:
            pn.state.location.sync(self.bench, {"campaign_id": "campaign", "versus": "compare"})
            pn.state.location.sync(page, {"dark_theme": "dark"})
            self._follow_link(pn.state.location)
            pn.state.curdoc.js_on_event("connection_lost", CustomJS(code=LOST))
            pn.state.curdoc.js_on_event("client_reconnected", CustomJS(code=FOUND))
            pn.state.curdoc.js_on_event("document_ready", CustomJS(code=CONNECTED + GO_BACK))
            self.window.connects = True
            leave_nothing(pn.state.curdoc)
        pn.state.onload(lambda: self._fit(page))
        pn.state.onload(self._begin)
        return page

    def _follow_link(self, location: Any) -> None:
        """Fill the form from the page's address, and keep the address up to date with it."""
        try:
            values = read_query(location.search)
        except SpecError as error:
            values = {}
            self.constraints.start.tell(f"The link cannot be read: {error}")
        if values:
            self.draft.take(values)
            # Now, since an answer that comes while the browser connects may not reach it: Run would
            # stay off.
            self.draft.check(self.constraints.table.blocked)

        def note(*_: Any) -> None:
            if not self._recalling:
                location.search = write_query(self.draft, location.search)

        self.draft.param.watch(note, list(self.draft.FIELDS))

    def _fit(self, page: pmui.Page) -> None:
        """Close the form where there is no room beside it, once the browser takes changes."""

        def fit(*_: Any) -> None:
            page.sidebar_open = not self.window.narrow

        def uncover(*_: Any) -> None:
            """Let a campaign be seen where the form would lie over it."""
            if self.window.narrow:
                fit()

        self.window.param.watch(fit, "narrow")
        self.bench.param.watch(uncover, "campaign_id")
        fit()

    async def _begin(self) -> None:
        """Start reading once the browser is there: Panel drops changes made while it connects."""
        send_at_once(pn.state.curdoc)
        SEARCH.keep()
        self._begun = self.versus.begun = True
        await self.look()
        self.window.restore(self.bench)
        Pulse(partial(news_of, self.bench), self.look).start()
        get_ready()


# In a narrow window the buttons of the header have its room.
HEADER = """
:host { color: #b9c6d8; font-size: 13px; margin-left: 18px; }
@media (max-width: 700px) { :host { display: none !important; } }
"""


def open_page() -> pmui.Page:
    """Return the page of a new session, for whoever has logged in.

    Raises
    ------
    StoreError
        When the store cannot be opened; as `LoginError` when nobody has, and somebody should.
    """
    settle()
    return Session(shared_store().of(current_user())).page()
