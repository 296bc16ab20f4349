"""All campaigns of the store: open, resume, take the settings, rename, delete and bring back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import Campaign
from explorer.candidate import Candidate
from explorer.figures.known import known_of
from explorer.figures.thumbnail import hull_thumbnail
from explorer.figures.versus import FEWEST, MOST
from explorer.figures.words import escape
from explorer.store import Store, StoreError
from explorer.ui.campaign_list import CampaignList, campaign_row, question
from explorer.ui.theme import card, heading, words
from explorer.ui.watched import BATCH
from explorer.ui.workbench import Workbench, lowest

NONE_YET = (
    "No campaign yet: the first one that you run stands here, also after this page is closed."
)
NOT_READ = "The campaigns are being read …"
NONE_DELETED = "No deleted campaign."
DRAWN = 80  # points of a thumbnail
COMPARE = f"Compare: tick {FEWEST} to {MOST} campaigns to see them on the same axes"
WIDE = """
:host { width: calc(100% - 24px) !important; max-width: 1120px; margin: 0 auto 24px !important;
  padding: 16px 22px 12px !important; max-height: none !important; }
"""


class LowestFound:
    """The candidates nearest to the hull of each campaign, read once and kept up to date."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, tuple[int, list[Candidate], str]] = {}

    def of(self, campaign: Campaign) -> tuple[Candidate | None, str]:
        """Read what is new of a campaign; return its lowest candidate and its thumbnail."""
        since, best, thumbnail = self._seen.get(campaign.id, (0, [], ""))
        while since < campaign.sequence:
            fresh, since = self._store.candidates(campaign.id, since, structures=False, limit=BATCH)
            changed = {candidate.id for candidate in fresh}
            best = lowest([*fresh, *(c for c in best if c.id not in changed)], DRAWN)
            thumbnail = ""
            if not fresh:
                break
        thumbnail = thumbnail or hull_thumbnail(known_of(campaign.spec).picture, best)
        self._seen[campaign.id] = (since, best, thumbnail)
        return best[0] if best else None, thumbnail


class CampaignsView(Viewer):
    """The list on the page where a search starts.

    Parameters
    ----------
    bench : Workbench
    wake : callable
        Coroutine function that starts a runner when none is alive.
    reuse : callable
        Coroutine function of a campaign whose settings are to fill the form.
    """

    def __init__(
        self,
        bench: Workbench,
        wake: Callable[[], Any],
        reuse: Callable[[Campaign], Any],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.bench, self._wake, self._reuse = bench, wake, reuse
        self._lowest = LowestFound(bench.store)
        self._deleted = ""
        self.list = CampaignList(
            empty=NOT_READ, sizing_mode="stretch_width", margin=0,
            styles={"container-type": "inline-size"},
        )  # fmt: skip
        self.compare = pmui.Button(
            label="Compare", icon="compare_arrows", variant="text", size="small", align="center",
            margin=(0, 8, 0, 0), disabled=True, description=COMPARE,
        )  # fmt: skip
        self.bin = pmui.Checkbox(label="Deleted ones", size="small", margin=0, align="center")
        user = bench.store.user
        self.everyone = pmui.Checkbox(
            label="Of all users", size="small", margin=0, align="center",
            visible=user is not None and user.admin,
        )  # fmt: skip
        self.note = words(sizing_mode="stretch_width", align="center")
        self.undo = pmui.Button(label="Undo", icon="undo", variant="text", size="small", margin=0)
        self.told = pn.Row(
            self.note, self.undo, visible=False, margin=(0, 0, 6, 0), sizing_mode="stretch_width"
        )
        self.list.param.watch(self._act, "request")
        self.list.param.watch(self._offer, "ticked")
        self.compare.on_click(lambda _: bench.param.update(versus=",".join(self.list.ticked)))
        for box in (self.bin, self.everyone):
            box.param.watch(self._turn, "value")
        self.undo.on_click(self._restore_last)

    def _offer(self, *_: Any) -> None:
        ticked = len(self.list.ticked)
        self.compare.disabled = not FEWEST <= ticked <= MOST
        self.compare.label = f"Compare {ticked}" if ticked else "Compare"

    async def refresh(self) -> None:
        """Read the list again, beside the event loop."""
        deleted = self.bin.value
        rows = await asyncio.to_thread(self._rows, deleted)
        if deleted == self.bin.value:
            listed = {row["id"] for row in rows}
            self.list.ticked = [name for name in self.list.ticked if name in listed]
            self.list.param.update(rows=rows, empty=NONE_DELETED if deleted else NONE_YET)

    def _rows(self, deleted: bool) -> list[dict[str, Any]]:
        store, everyone = self.bench.store, self.everyone.value
        campaigns = store.campaigns(deleted=deleted, everyone=everyone)
        asked = {
            item.id: (item.spec.name, item.spec.composition, question(item)) for item in campaigns
        }
        alike = Counter(asked.values())
        return [
            campaign_row(item, *self._lowest.of(item), store.user, alike[asked[item.id]] > 1)
            for item in campaigns
        ]

    async def _turn(self, *_: Any) -> None:
        self.told.visible = False
        await self.refresh()

    async def _act(self, event: Any) -> None:
        await self._answer(*event.new[:3])

    async def _answer(self, action: str, campaign_id: str, text: str = "") -> None:
        if action == "open":
            self.bench.campaign_id = campaign_id
            return
        self.told.visible = False
        try:
            await self._do(action, campaign_id, text)
        except StoreError as error:
            self._tell(f"<p class='problem' role='alert'>{escape(error)}</p>")
        await self.refresh()

    async def _do(self, action: str, campaign_id: str, text: str) -> None:
        store = self.bench.store
        if action in {"resume", "pause", "stop"}:
            await asyncio.to_thread(store.command, campaign_id, action)
            if action == "resume":
                await self._wake()
        elif action == "reuse":
            await self._reuse(await asyncio.to_thread(store.campaign, campaign_id))
            self._tell("<p role='status'>The form holds these settings: change what you like.</p>")
        elif action == "rename":
            await asyncio.to_thread(store.rename, campaign_id, text)
        elif action in {"share", "unshare"}:
            await asyncio.to_thread(store.share, campaign_id, action == "share")
        elif action == "restore":
            await asyncio.to_thread(store.restore, campaign_id)
            await self._wake()
        elif action == "delete":
            await asyncio.to_thread(store.delete, campaign_id)
            self._deleted = campaign_id
            title = campaign_row(store.campaign(campaign_id), None)["title"]
            self._tell(f"<p role='status'>{escape(title)} was deleted.</p>", undo=True)

    def _tell(self, html: str, undo: bool = False) -> None:
        self.note.object = html
        self.undo.visible = undo
        self.told.visible = True

    async def _restore_last(self, *_: Any) -> None:
        await self._answer("restore", self._deleted)

    def __panel__(self) -> pn.Column:
        return card(
            heading("Campaigns", self.compare, self.everyone, self.bin),
            self.told,
            self.list,
            name="campaigns",
            extra=WIDE,
        )
