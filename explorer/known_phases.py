"""Which known phases a campaign has to do with, and the file that they are read from.

On the hull of the potential every known phase competes with its energy. On that of DFT only the
elements need the potential's energies: the other phases are there to be recognised. So a potential
that brings no set of its own relaxes a few elements there, and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from explorer.dft_hull import serves
from explorer.reference_cache import ReferenceCache, cached_file
from explorer.references import ReferencePhases


def known_file(potential: str, system: str, hull: str) -> Path | None:
    """Return the file of the cache folder that serves a campaign, None without.

    Parameters
    ----------
    potential
        As it was asked for.
    system
        Such as "Al-Ca-Cu".
    hull
        "potential", "dft", "auto" or "filled".
    """
    elements = system.split("-")
    if whole := cached_file(potential, elements):
        return whole
    part = cached_file(potential, elements, whole=False)
    return part if part and serves(ReferenceCache(part).level(), hull) else None


def known_phases(
    potential: str, system: str, hull: str, file: str | Path | None = None
) -> ReferencePhases:
    """Read the known phases of a system, from a file, the cache folder or what is shipped.

    On the hull of DFT published phases need no energy of the potential to be known: those that a
    cache or a user's own set lacks have none (NaN).

    Raises
    ------
    ReferenceFileError
        When there are none for the potential, or the file cannot be read.
    """
    path = file or known_file(potential, system, hull)
    if path is None:
        return ReferencePhases.shipped(system, potential)
    found = ReferencePhases.from_file(Path(path), system)
    return _completed(found, system) if serves(found.level, hull) else found


def _completed(found: ReferencePhases, system: str) -> ReferencePhases:
    have = {phase.id for phase in found.phases}
    shipped = ReferencePhases.shipped(system)
    # What one potential makes of a published phase is nothing that another one knows.
    same = shipped.level == found.level
    without = (
        replace(phase, energy_per_atom=math.nan)
        for phase in shipped.phases
        if phase.id not in have and (same or phase.published)
    )
    return replace(found, phases=(*found.phases, *without))
