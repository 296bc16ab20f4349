"""Take candidates away: a zip in the formats that were chosen, with where everything comes from."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.export import FORMATS, REPORT, USUAL
from explorer.export_campaign import export_chosen
from explorer.store import Store, StoreError
from explorer.ui.theme import TOOLTIP_BELOW, WRAP
from explorer.ui.workbench import Workbench, is_placed, with_structures

NEAR_HULL = 0.1  # eV/atom, the usual meaning of "metastable"
TITLES = {name: item.title for name, item in FORMATS.items()} | {REPORT: "HTML report"}


class ExportView(Viewer):
    """Choose what lies near the hull, the formats, and download what is chosen."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.near = pmui.Button(
            label="Tick near hull", icon="checklist", variant="text", size="small", margin=(0, 6),
            description=f"Tick near hull: every candidate within {NEAR_HULL} eV/atom of it",
            align="center", stylesheets=[TOOLTIP_BELOW],
        )  # fmt: skip
        self.formats = pmui.MenuToggle(
            items=[
                {
                    "label": title,
                    "icon": "check_box_outline_blank",
                    "active_icon": "check_box",
                    "toggled": name in USUAL,
                }
                for name, title in TITLES.items()
            ],
            label="Formats", icon="inventory_2", variant="text", size="small", margin=0,
            persistent=True, align="center",
            toggled=[k for k, name in enumerate(TITLES) if name in USUAL],
        )  # fmt: skip
        self.download = pmui.FileDownload(
            callback=self._zip, filename="hullscape.zip", label="Download", icon="download",
            color="primary", variant="outlined", size="small", auto=True, embed=False,
            margin=(0, 0, 0, 6), align="center", disabled=True,
        )  # fmt: skip
        self.near.on_click(self._choose_near)
        bench.param.watch(self._show, ["chosen", "selected", "revision", "campaign_id"])
        self.formats.param.watch(self._show, "toggled")
        self._show()

    @property
    def chosen_formats(self) -> list[str]:
        """Names of the formats that are ticked."""
        names = list(TITLES)
        return [names[place] for place in sorted(self.formats.toggled)]

    def _choose_near(self, *_: Any) -> None:
        near = [
            candidate.id
            for candidate in self.bench.in_order()
            if is_placed(candidate) and candidate.energy_above_hull <= NEAR_HULL
        ]
        self.bench.chosen = near
        if not near and pn.state.notifications:
            pn.state.notifications.info(f"No candidate lies within {NEAR_HULL} eV/atom yet.")

    def _show(self, *_: Any) -> None:
        count = len(self.bench.to_export())
        report = REPORT in self.chosen_formats and bool(self.bench.candidates)
        self.download.disabled = not (report or (count and self.chosen_formats))
        self.download.label = f"Download {count} (.zip)" if count else "Download (.zip)"
        self.download.filename = f"hullscape-{self.bench.campaign_id[:8] or 'none'}.zip"

    async def _zip(self) -> BytesIO:
        bench, formats = self.bench, self.chosen_formats
        try:
            return await asyncio.to_thread(
                zip_of, bench.store, bench.campaign_id, bench.to_export(), formats
            )
        except StoreError as error:
            if pn.state.notifications:
                pn.state.notifications.error(f"Nothing was downloaded: {error}")
            raise

    def __panel__(self) -> pn.Row:
        return pn.Row(
            self.near, self.formats, self.download, margin=0, align="center", stylesheets=[WRAP]
        )


def zip_of(store: Store, campaign_id: str, ids: list[str], formats: Sequence[str]) -> BytesIO:
    """Return the bytes of the export of these candidates."""
    campaign = store.campaign(campaign_id)
    candidates = with_structures(store, campaign_id, ids)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidates.zip"
        export_chosen(store, campaign, candidates, path, formats)
        return BytesIO(path.read_bytes())
