"""How well the track record foretells what DFT says, on crystals that it was not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from explorer.evaluate.hull import Labelled, compare
from explorer.track_record import Experience


def by_experience(placed: Sequence[Labelled], learned: Experience) -> dict[str, Any]:
    """Compare what is expected of placed structures, as if they were novel, with DFT.

    Returns
    -------
    dict
        ``n`` structures, ``learned_from``: how many others of the file were left out because the
        record was learned from them, ``untold``: of how many it tells nothing; ``between``: the
        share that lies where four of five should; ``expected_stable`` and ``stable``: how many
        should lie on the DFT hull or below, and do;
        and the figures of `explorer.evaluate.hull.compare`, by the expected distances.
    """
    good = [item for item in placed if item.predicted is not None]
    names = set(learned.names.tolist())
    others = [item for item in good if item.name not in names]
    told_of = [
        learned.record(item.structure.composition.reduced_formula, item.predicted)
        for item in others
    ]
    records = [record for record in told_of if record is not None]
    new = [item for item, record in zip(others, told_of, strict=True) if record is not None]
    truth = np.array([item.distance for item in new])
    between = [r.low <= d <= r.high for r, d in zip(records, truth, strict=True)]
    told = {
        "n": len(new),
        "learned_from": len(good) - len(others),
        "untold": len(others) - len(new),
        "between": round(float(np.mean(between)), 4) if new else None,
        "expected_stable": round(sum(record.stable for record in records), 2),
        "stable": int((truth <= 0).sum()),
    }
    return told | compare(truth, np.array([record.expected for record in records]))
