"""Structure to tokens and back: does every crystal return, and where it does not, why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.crystals import gate, read_structures, spacegroup_of, to_structure
from explorer.encode import EncodingError, encode
from explorer.evaluate.pool import spread
from model.tokens import TokenError, crystal_to_row, row_to_crystal

MAX_RMS = 0.02
"""Å per atom; how far a crystal may come back from where it was."""


def evaluate_roundtrip(file: Path, *, workers: int | None = None) -> dict[str, Any]:
    """Encode and decode every structure of a file.

    Returns
    -------
    dict
        ``n`` structures, ``fits`` (within the vocabulary's limits), ``ok`` (StructureMatcher finds
        the same crystal with rms below 0.02 Å per atom, and spglib, at 0.1 Å, the same space
        group before and after),
        ``rate`` = ok / fits, and ``reasons`` of the others.
    """
    structures = [structure for _, structure in read_structures(file)]
    verdicts: Counter[str] = Counter()
    size = max(1, len(structures) // 64)
    for counted in spread(
        judge_roundtrips, ((list(b),) for b in _batches(structures, size)), workers
    ):
        verdicts.update(counted)
    ok = verdicts.pop("ok", 0)
    unfit = sum(count for reason, count in verdicts.items() if reason.startswith("does not fit"))
    fits = len(structures) - unfit
    return {
        "n": len(structures),
        "fits": fits,
        "ok": ok,
        "rate": ok / fits if fits else None,
        "reasons": dict(verdicts.most_common()),
    }


def judge_roundtrips(structures: list[Structure]) -> Counter[str]:
    """Count the verdicts of some structures."""
    return Counter(_verdict(structure) for structure in structures)


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
    distance = matcher.get_rms_dist(structure, back)
    if distance is None:
        return "another crystal"
    if distance[0] * (structure.volume / len(structure)) ** (1 / 3) > MAX_RMS:
        return f"rms above {MAX_RMS} Å per atom"
    return "ok" if spacegroup_of(back) == spacegroup_of(structure) else "another space group"


def _batches(structures: list[Structure], size: int) -> list[list[Structure]]:
    return [structures[k : k + size] for k in range(0, len(structures), size)]
