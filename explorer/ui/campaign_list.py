"""The list of campaigns as the browser shows it, and what a row of it says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer.campaign import TRANSFORMER, Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate
from explorer.figures.words import energy_label, formula_label
from explorer.users import User, may_change

STATIC = Path(__file__).parent / "static"
FATES = ("relaxed", "failed", "skipped", "known", "duplicate", "rejected", "waiting")


class CampaignList(JSComponent):
    """Campaigns, one a line; `request` is the last thing that was asked of one of them."""

    rows = param.List(default=[], item_type=dict, doc="see `campaign_row`")
    empty = param.String(default="", doc="words shown while there is none")
    ticked = param.List(default=[], item_type=str, doc="ids of the campaigns to compare")
    request = param.List(default=[], doc="[action, id, text, number of the request]")

    _esm: ClassVar[Path] = STATIC / "campaign_list.js"
    _stylesheets: ClassVar[list[str]] = [(STATIC / "campaign_list.css").read_text("utf-8")]


def campaign_row(
    campaign: Campaign,
    lowest: Candidate | None,
    thumbnail: str = "",
    user: User | None = None,
    seeded: bool = False,
) -> dict[str, Any]:
    """Return what the list shows of a campaign.

    Parameters
    ----------
    lowest
        The candidate nearest to the hull; None when there is none, or when it is not known yet.
    thumbnail
        SVG, see `explorer.figures.thumbnail`.
    user
        Who looks at the list; None without login.
    seeded
        Whether the seed is told: among campaigns that were asked the same.
    """
    spec, counts = campaign.spec, campaign.counts
    at_rest = campaign.state not in {CampaignState.QUEUED, CampaignState.RUNNING}
    when = time.strftime("%d %b %Y %H:%M", time.localtime(campaign.created))
    whose = "" if user is None else _whose(campaign, user)
    seed = f"seed {spec.seed}" if seeded else ""
    facts = (question(campaign), seed, when, campaign.id[:4], whose)
    failed = campaign.state == CampaignState.FAILED
    fates = [(kind, counts[kind] / max(spec.n, 1), counts[kind]) for kind in FATES if counts[kind]]
    return {
        "id": campaign.id,
        "name": spec.name,
        "system": _system(campaign),
        "title": spec.name or _system(campaign),
        "href": f"?campaign={campaign.id}",
        "state": "deleted" if campaign.deleted and not at_rest else campaign.state.value,
        "facts": " · ".join(filter(None, facts)),
        "problem": campaign.message if failed else "",
        "fates": [list(fate) for fate in fates],
        "counts": f"{counts['drawn']:,} of {spec.n:,} drawn, {counts['relaxed']:,} relaxed",
        "lowest": energy_label(lowest.energy_above_hull) if lowest else "",
        "lowest_of": f"lowest: {formula_label(lowest.formula)}" if lowest else "",
        "thumbnail": thumbnail,
        "actions": [list(action) for action in _actions(campaign, user)],
        "deleted": bool(campaign.deleted),
    }


def _system(campaign: Campaign) -> str:
    spec = campaign.spec
    told = formula_label(spec.composition)
    return told[0].upper() + told[1:]


def question(campaign: Campaign) -> str:
    """Return what else was asked, in a few words."""
    spec = campaign.spec
    groups = [str(group) for group in spec.spacegroups]
    more = ", …" if len(groups) > 3 else ""
    return ", ".join(
        filter(
            None,
            (
                _system(campaign) if spec.name else "",
                f"always {', '.join(spec.required)}" if spec.elements and spec.required else "",
                f"space group {', '.join(groups[:3])}{more}" if groups else "",
                _sites(len(spec.sites)) if spec.sites else "",
                _given(spec) if spec.samples else "",
                spec.generator if spec.generator not in {TRANSFORMER, "file"} else "",
                spec.potential,
            ),
        )
    )


def _sites(count: int) -> str:
    return f"{count} Wyckoff {'site' if count == 1 else 'sites'}"


def _given(spec: CampaignSpec) -> str:
    name = Path(spec.samples or "").name
    return f"crystals of {spec.samples_of} in {name}" if spec.samples_of else f"crystals of {name}"


def _whose(campaign: Campaign, user: User) -> str:
    if campaign.person != user.name:
        return f"of {campaign.person}" if campaign.person else "from before the login"
    return "shared" if campaign.shared else ""


def _actions(campaign: Campaign, user: User | None) -> list[tuple[str, str]]:
    if not may_change(user, campaign.person):
        return [("reuse", "Use settings")]
    if campaign.deleted:
        return [("restore", "Restore")]
    foreign = user is not None and user.name != campaign.person
    rest = campaign.state in {CampaignState.PAUSED, CampaignState.STOPPED, CampaignState.FAILED}
    return [
        *([("resume", "Resume")] if rest else []),
        *([("pause", "Pause")] if campaign.active else []),
        *([("stop", "Stop")] if campaign.active and foreign else []),
        ("reuse", "Use settings"),
        ("rename", "Rename"),
        *([_sharing(campaign)] if user is not None else []),
        ("delete", "Delete"),
    ]


def _sharing(campaign: Campaign) -> tuple[str, str]:
    return ("unshare", "Make private") if campaign.shared else ("share", "Share")
