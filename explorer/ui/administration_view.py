"""What admins see besides the campaigns: who has how much, and which runner works on what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import panel as pn
from panel.viewable import Viewer

from explorer.administration import Slot, read_slots, read_usage
from explorer.figures.words import escape
from explorer.store import Store
from explorer.ui.campaigns_view import WIDE
from explorer.ui.theme import LINE, card, heading, words
from explorer.users import Usage

TABLE = """
table { border-collapse: collapse; width: 100%; margin: 4px 0 12px; }
th { text-align: left; font-weight: 600; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid LINE; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
""".replace("LINE", LINE)


class AdministrationView(Viewer):
    """Users and runners of the server; empty for everybody but admins."""

    def __init__(self, store: Store, **params: object) -> None:
        super().__init__(**params)
        self._store = store
        self.shown = store.user is not None and store.user.admin
        self.users, self.runners = words(extra=TABLE), words(extra=TABLE)

    async def refresh(self) -> None:
        """Read both again, beside the event loop."""
        if self.shown:
            self.users.object = usage_html(await asyncio.to_thread(read_usage, self._store))
            self.runners.object = slots_html(await asyncio.to_thread(read_slots, self._store))

    def __panel__(self) -> pn.Column:
        box = card(
            heading("Users and runners"),
            self.users,
            self.runners,
            name="administration",
            extra=WIDE,
        )
        box.visible = self.shown
        return box


def usage_html(usage: Mapping[str, Usage]) -> str:
    """Return a table of what each user has."""
    rows = "".join(
        f"<tr><td>{escape(name) or 'before the login'}</td><td class='number'>{has.campaigns}</td>"
        f"<td class='number'>{has.open}</td><td class='number'>{has.crystals}</td></tr>"
        for name, has in usage.items()
    )
    head = "".join(f"<th class='number'>{word}</th>" for word in ("Campaigns", "Open", "Crystals"))
    return f"<table><tr><th>User</th>{head}</tr>{rows}</table>"


def slots_html(slots: Sequence[Slot]) -> str:
    """Return a table of the slots and their runners."""
    rows = "".join(
        f"<tr><td>{escape(slot.name)}</td><td>{escape(slot.host)}/{slot.pid}</td>"
        f"<td>{_state(slot)}</td><td>{_link(slot.campaign)}</td></tr>"
        for slot in slots
    )
    if not rows:
        return "<p class='muted'>No runner has begun yet; the page starts one.</p>"
    head = "".join(f"<th>{word}</th>" for word in ("Slot", "Runner", "State", "Campaign"))
    return f"<table><tr>{head}</tr>{rows}</table>"


def _state(slot: Slot) -> str:
    return f"heard of {slot.silent_seconds:.0f} s ago" if slot.alive else "gone"


def _link(campaign: str) -> str:
    return f"<a href='?campaign={escape(campaign)}'>{escape(campaign[:4])}</a>" if campaign else ""
