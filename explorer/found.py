"""A whole search in one call, for a notebook: what `hullscape run` does, its results at hand."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.campaign import Campaign, CampaignSpec
from explorer.candidate import Candidate
from explorer.headless import DATABASE, WHOLE, run_in_folder, write_table
from explorer.store import Store
from explorer.twins import twins

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Found:
    """What a search has brought, at one moment.

    Attributes
    ----------
    folder
        Where it lives: campaign.db, candidates.csv, summary.json and cifs/. An absolute path.
    campaign
        What was asked, and how many crystals came how far.
    candidates
        Every crystal drawn, by its id. Energies in eV/atom; `relaxed` is a pymatgen Structure.
    """

    folder: Path
    campaign: Campaign
    candidates: dict[str, Candidate]

    @property
    def table(self) -> pd.DataFrame:
        """What candidates.csv tells, by id, the lowest energy above the hull (eV/atom) first.

        Of the candidates at hand, so that a search that is still running has a table too.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        written = io.StringIO(newline="")
        candidates = self.candidates.values()
        write_table(written, self.campaign, candidates, twins(candidates))
        written.seek(0)
        whole = dict.fromkeys(WHOLE, "Int64")  # a crystal without one makes no fractions of others
        rows = pd.read_csv(
            written,
            index_col="id",
            dtype={"id": str, "sample": str, **whole},
            keep_default_na=False,  # NaN is a compound of sodium
            na_values=[""],
        )
        return rows.sort_values("energy_above_hull", kind="stable")

    def __repr__(self) -> str:
        counts, spec = self.campaign.counts, self.campaign.spec
        told = f"{counts['drawn']} drawn, {counts['relaxed']} relaxed, {counts['failed']} failed"
        above = [one.energy_above_hull for one in self.candidates.values()]
        placed = [energy for energy in above if energy is not None]
        lowest = f"; the lowest at {min(placed):+.3f} eV/atom above the hull" if placed else ""
        return f"{spec.composition}: {told}{lowest}; in {self.folder}"


def search(
    elements: str = "",
    *,
    folder: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    **asked: Any,
) -> Found:
    """Draw crystals, relax them and place them on the hull; blocks until that is done.

    Asked again in the same folder it goes on where it was interrupted, and a finished search is
    read back at once. An interrupt of the kernel keeps what is done.

    Parameters
    ----------
    elements
        A chemical system such as "Al-Ca-Cu".
    folder
        Where the search lives; None for one that is named after the system.
    device, workers
        As in `explorer.laboratory.open_laboratory`.
    asked
        Any other field of `explorer.campaign.CampaignSpec`: n, formula, spacegroups, sites,
        max_atoms, seed, potential, generator ...

    Raises
    ------
    SpecError
        For what cannot be asked, or when the folder holds another search.
    """
    spec = CampaignSpec.parse(elements=elements, **asked)
    home = Path(folder or spec.chemical_system or "search")
    run_in_folder(spec, home, device=device, workers=workers, resume=True)
    return read_found(home)


def read_found(folder: str | Path) -> Found:
    """Return what the search in a folder has brought, one of `hullscape run` too.

    Raises
    ------
    FileNotFoundError
        When the folder holds no search.
    """
    folder = Path(folder).absolute()
    database = folder / DATABASE
    if not database.is_file() or not database.stat().st_size:  # a run that has hardly begun
        raise FileNotFoundError(
            f"expected a folder with a search, got {folder} without {DATABASE}, or with an empty "
            "one: give the folder of explorer.search or of hullscape run"
        )
    store = Store(database)
    try:
        campaigns = store.campaigns()
        if not campaigns:
            raise FileNotFoundError(f"the search in {folder} was stopped before it began")
        campaign = campaigns[0]
        candidates, _ = store.candidates(campaign.id)
    finally:
        store.close()
    candidates.sort(key=lambda candidate: candidate.index)
    return Found(folder, campaign, {candidate.id: candidate for candidate in candidates})
