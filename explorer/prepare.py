"""Make what training and sampling read: symmetry tables, shards of token rows, and prototypes.

Run as ``python -m explorer.prepare tables``,
``python -m explorer.prepare shards STRUCTURES.parquet FOLDER``,
``python -m explorer.prepare prototypes FOLDER/train.npz``,
``python -m explorer.prepare similarity`` or
``python -m explorer.prepare templates FOLDER/train.npz``. Nothing imports this module.
"""

from __future__ import annotations

import sys
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import typer

import model
from explorer.baseline_substitution import SIMILARITY, compute_similarity
from explorer.encode import EncodingError, encode_cell
from explorer.prototypes import SHIPPED, atomic_volumes, build_library, save_library
from explorer.tables import write_tables
from explorer.template_build import collect, entries
from model.crystal import WyckoffCrystal
from model.shards import Shards, write_shards
from model.templates import SHIPPED as TEMPLATES
from model.templates import save_templates
from model.tokens import Row, TokenError, crystal_to_row, row_to_crystal

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def tables() -> None:
    """Recompute ``model/wyckoff.npz`` and ``model/elements.npz``."""
    write_tables(Path(model.__file__).parent)


@app.command()
def shards(structures: Path, folder: Path, workers: int = 2) -> None:
    """Write one shard file for each value of the column ``split``."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.read_parquet(structures)
    for split, rows in frame.groupby("split"):
        _write_split(folder / f"{split}.npz", rows, workers)


@app.command()
def prototypes(shard: Path, output: Path = SHIPPED) -> None:
    """Write the prototypes of the crystals in a shard, for generators by substitution."""
    crystals = _crystals(shard)
    library = build_library(crystals)
    save_library(output, library)
    print(f"{output}: {len(library.prototypes)} prototypes of {len(crystals)} crystals")


@app.command()
def similarity(output: Path = SIMILARITY) -> None:
    """Write how probably one element replaces another, for generators by substitution."""
    np.savez_compressed(output, chances=compute_similarity())


@app.command()
def templates(shard: Path, output: Path = TEMPLATES, workers: int = 2) -> None:
    """Write the geometries of the crystals in a shard, for searches."""
    crystals = _crystals(shard)
    with get_context("spawn").Pool(workers) as pool:
        found = [e for some in pool.imap(entries, crystals, chunksize=64) for e in some]
    save_templates(output, collect(found), atomic_volumes(crystals))
    print(f"{output}: {len(found)} geometries of {len(crystals)} crystals")


def _crystals(shard: Path) -> list[WyckoffCrystal]:
    """Crystals of a shard."""
    stored = Shards(shard)
    rows = (
        stored.row(k, stability="any", spacegroup_first=False, formula=False)
        for k in range(len(stored))
    )
    return [row_to_crystal(row.tokens, row.fine) for row in rows]


def _write_split(path: Path, frame: pd.DataFrame, workers: int) -> None:
    cells = list(zip(frame.lattice, frame.frac_coords, frame.numbers, strict=True))
    with get_context("spawn").Pool(workers) as pool:
        encoded = pool.map(_encode, cells, chunksize=64)
    kept = [k for k, row in enumerate(encoded) if isinstance(row, Row)]
    reasons = Counter(reason for reason in encoded if isinstance(reason, str))
    energies = frame.e_above_hull.to_numpy()[kept]
    write_shards(path, [encoded[k] for k in kept], energies)
    print(
        f"{path}: {len(kept)} of {len(cells)} crystals; left out: {dict(reasons)}", file=sys.stderr
    )


def _encode(cell: tuple) -> Row | str:
    """Token row of one structure, or the reason why there is none."""
    lattice, frac_coords, numbers = cell
    matrix = np.asarray(lattice, float).reshape(3, 3)
    points = np.asarray(frac_coords, float).reshape(-1, 3)
    try:
        crystal = encode_cell((matrix, points, [int(n) for n in numbers]))
        return crystal_to_row(crystal, formula=True)
    except (EncodingError, TokenError) as error:
        return type(error).__name__ + (": sites" if "sites" in str(error) else "")


if __name__ == "__main__":
    app()
