"""Take candidates away: a zip of CIFs, extxyz and a CSV with where everything comes from."""

from __future__ import annotations

import asyncio
import json
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import Campaign
from explorer.export import export_candidates
from explorer.ui.workbench import Workbench, is_placed, with_structures

NEAR_HULL = 0.1  # eV/atom, the usual meaning of "metastable"


class ExportView(Viewer):
    """Choose what lies near the hull, and download what is chosen."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self.near = pmui.Button(
            label="Tick near hull", icon="checklist", variant="text", size="small", margin=(0, 6),
            description=f"Tick every candidate within {NEAR_HULL} eV/atom of the hull",
        )  # fmt: skip
        self.download = pmui.FileDownload(
            callback=self._zip, filename="hullscape.zip", label="Download", icon="download",
            color="primary", variant="outlined", size="small", auto=True, embed=False,
            margin=0, disabled=True,
        )  # fmt: skip
        self.near.on_click(self._choose_near)
        bench.param.watch(self._show, ["chosen", "selected", "revision", "campaign_id"])
        self._show()

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
        self.download.disabled = count == 0
        self.download.label = f"Download {count} (.zip)" if count else "Download (.zip)"
        self.download.filename = f"hullscape-{self.bench.campaign_id[:8] or 'none'}.zip"

    async def _zip(self) -> BytesIO:
        bench = self.bench
        return await asyncio.to_thread(zip_of, bench.store, bench.campaign_id, bench.to_export())

    def __panel__(self) -> pn.Row:
        return pn.Row(self.near, self.download, margin=0)


def zip_of(store: Any, campaign_id: str, ids: list[str]) -> BytesIO:
    """Return the bytes of the export of these candidates."""
    campaign = store.campaign(campaign_id)
    candidates = with_structures(store, campaign_id, ids)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidates.zip"
        export_candidates(candidates, provenance_of(campaign), path)
        return BytesIO(path.read_bytes())


def provenance_of(campaign: Campaign) -> dict[str, Any]:
    """Return what was asked, and with which instruments it was answered."""
    asked = campaign.spec.model_dump(exclude={"name", "seed"})
    return {
        "campaign": campaign.id,
        "seed": campaign.spec.seed,
        "constraints": json.dumps(asked),
        **campaign.provenance,
    }
