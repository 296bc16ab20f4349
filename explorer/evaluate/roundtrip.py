"""Structure to tokens and back: does every crystal return, and where it does not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.crystals import (
    NamedStructure,
    gate,
    read_structures,
    spacegroup_of,
    to_structure,
)
from explorer.encode import EncodingError, encode
from explorer.evaluate.pool import spread
from explorer.strangers import bare
from model.tokens import TokenError, crystal_to_row, row_to_crystal

MAX_RMS = 0.02
"""Å per atom; how far a crystal may come back from where it was."""


def evaluate_roundtrip(
    file: Path,
    *,
    n: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Encode and decode every structure of a file, or a random sample of them.

    Parameters
    ----------
    n : int, optional
        Size of the sample, which ``seed`` settles.
    progress : callable
        Hears of each structure that is judged.

    Returns
    -------
    dict
        ``n`` structures, ``fits`` (within the vocabulary's limits), ``ok`` (StructureMatcher finds
        the same crystal with rms below 0.02 Å per atom, and spglib, at 0.1 Å, the same space
        group before and after),
        ``rate`` = ok / fits, ``reasons`` of the others, and ``examples``: names by reason.
    """
    named = read_structures(file)
    if n is not None and n < len(named):
        chosen = np.random.default_rng(seed).choice(len(named), n, replace=False)
        named = [named[k] for k in np.sort(chosen)]
    verdicts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    size = max(1, min(64, len(named) // 16))
    tasks = [(named[k : k + size],) for k in range(0, len(named), size)]
    for name, verdict in chain.from_iterable(spread(judge_roundtrips, tasks, workers)):
        verdicts[verdict] += 1
        progress(f"judged {verdicts.total()}/{len(named)}")
        if verdict != "ok":
            examples.setdefault(verdict, []).append(name)
    ok = verdicts.pop("ok", 0)
    unfit = sum(count for reason, count in verdicts.items() if reason.startswith("does not fit"))
    fits = len(named) - unfit
    return {
        "n": len(named),
        "fits": fits,
        "ok": ok,
        "rate": ok / fits if fits else None,
        "reasons": dict(verdicts.most_common()),
        "examples": {reason: sorted(names)[:20] for reason, names in examples.items()},
    }


def judge_roundtrips(named: Sequence[NamedStructure]) -> list[tuple[str, str]]:
    """Name and verdict of each structure; "ok" if it came back."""
    return [(name, _verdict(structure)) for name, structure in named]


def _verdict(structure: Structure) -> str:
    if reason := gate(structure):
        return f"does not fit: {reason}"
    try:
        crystal = encode(structure)
        row = crystal_to_row(crystal)
    except EncodingError as error:
        return f"no symmetry description: {error}"
    except TokenError as error:
        kind = "sites" if "sites" in str(error) else "a value outside its scale"
        return f"does not fit: {kind}"
    back = to_structure(row_to_crystal(row.tokens, row.fine))
    matcher = StructureMatcher(ltol=0.1, stol=0.1, angle_tol=2, scale=False)
    distance = matcher.get_rms_dist(bare(structure), back)
    if distance is None:
        return "another crystal"
    if distance[0] * (structure.volume / len(structure)) ** (1 / 3) > MAX_RMS:
        return f"rms above {MAX_RMS} Å per atom"
    return "ok" if spacegroup_of(back) == spacegroup_of(structure) else "another space group"
