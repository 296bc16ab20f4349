"""Make what training and sampling read: symmetry tables, shards of token rows, and prototypes.

Run as ``python -m explorer.prepare tables``,
``python -m explorer.prepare shards STRUCTURES.parquet FOLDER``,
``python -m explorer.prepare prototypes FOLDER/train.npz``,
``python -m explorer.prepare similarity``,
``python -m explorer.prepare templates FOLDER/train.npz``,
``python -m explorer.prepare novel STRUCTURES.parquet PEERS.parquet FOLDER``,
``python -m explorer.prepare experience PLACED.parquet KIND OUTPUT.npz`` or
``python -m explorer.prepare phases FOLDER/train.npz ENERGIES.parquet FOLDER/val.npz``.
Nothing imports this module.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import typer

import model
from explorer.baseline_substitution import SIMILARITY, compute_similarity
from explorer.encode import EncodingError, descriptions, encode_cell
from explorer.evaluate.hull import compare
from explorer.phase_build import gather_phases
from explorer.prototypes import SHIPPED, atomic_volumes, build_library, save_library
from explorer.tables import write_tables
from explorer.template_build import collect, entries
from explorer.text_table import as_table
from explorer.track_build import learn
from explorer.track_record import DRAWN, EXCHANGED, KINDS, write_experience
from explorer.tree_build import grow
from model.checkpoint import SHIPPED as WEIGHTS
from model.crystal import WyckoffCrystal
from model.phases import SHIPPED as PHASES
from model.phases import save_phases
from model.shards import Shards, write_shards
from model.templates import SHIPPED as TEMPLATES
from model.templates import save_templates
from model.tokens import Row, TokenError, crystal_to_row, row_to_crystal
from model.trees import FILE as TREES
from model.trees import save_trees

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def tables() -> None:
    """Recompute ``model/wyckoff.npz`` and ``model/elements.npz``."""
    write_tables(Path(model.__file__).parent)


@app.command()
def shards(structures: Path, folder: Path, settings: int = 1, workers: int = 2) -> None:
    """Write one shard file for each value of the column ``split``.

    With ``--settings 8`` each crystal also in up to seven other choices of origin and axes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.read_parquet(structures)
    for split, rows in frame.groupby("split"):
        _write_split(folder / f"{split}.npz", rows, settings, workers)


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


@app.command()
def phases(shard: Path, energies: Path, without: Path, output: Path = PHASES) -> None:
    """Write the energies of known phases, which stability networks compare with.

    Of the crystals in a shard, and of the compositions in a table of formation energies; a
    composition of the shard ``without`` is left out.
    """
    stored = Shards(shard)
    if stored.formation_energy is None:
        raise typer.BadParameter(f"expected formation energies in {shard}: make it again")
    energies_of = (stored.formation_energy, stored.e_above_hull)
    known = gather_phases(_crystals(shard), *energies_of, energies, _crystals(without))
    save_phases(output, known)
    print(f"{output}: {len(known)} crystals and {len(known.others)} further compositions")


@app.command()
def trees(shard: Path, folder: Path = WEIGHTS, seed: int = 0) -> None:
    """Write the trees that tell, with the stability networks, how likely a crystal is stable."""
    grown = grow(_crystals(shard), Shards(shard).e_above_hull, seed)
    save_trees(grown, folder)
    print(f"{folder / TREES}: {len(grown.roots)} trees")


@app.command()
def novel(structures: Path, peers: Path, folder: Path, n: int = 2500, seed: int = 0) -> None:
    """Write crystals that are new to the potentials, and where DFT places them, by their kind.

    ``exchanged.parquet``: training crystals of WBM at random and those of Ion-Exchange, all made by
    exchanging elements in known crystals; ``drawn.parquet``: those of the other generators. Each is
    for ``hullscape evaluate hull FILE --relax --crystals``.
    """
    label = "decomposition_energy"
    frame = pd.read_parquet(structures).rename(columns={"e_above_hull": label})
    frame = frame[(frame["source"] == "wbm") & (frame["split"] == "train")]
    published = pd.read_parquet(peers).dropna(subset=[label])
    of_known = published["generator"] == "Ion-Exchange"
    columns = ["id", "lattice", "numbers", "frac_coords", label]
    kinds = {
        EXCHANGED: [frame.sample(n, random_state=seed), published[of_known]],
        DRAWN: [published[~of_known]],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, parts in kinds.items():
        rows = pd.concat([part[columns] for part in parts], ignore_index=True)
        rows.to_parquet(folder / f"{kind}.parquet")
        print(f"{folder / kind}.parquet: {len(rows)} crystals")


@app.command()
def experience(placed: Path, kind: str, output: Path, seed: int = 0) -> None:
    """Write where DFT places novel crystals of a kind that a potential has relaxed and placed.

    ``placed`` is what ``hullscape evaluate hull FILE --relax --crystals`` wrote; the kind is
    "exchanged" or "drawn". Prints how well DFT is foretold of crystals whose chemical system the
    trees had not seen.
    """
    frame = pd.read_parquet(placed)
    if set(frame["geometry"]) != {"relaxed"} or frame["potential"].nunique() != 1:
        raise typer.BadParameter(f"expected crystals in {placed} that one potential has relaxed")
    if kind not in KINDS:
        raise typer.BadParameter(f"expected a kind of {', '.join(KINDS)}, got {kind}")
    learned = learn(frame, frame["potential"].iloc[0], kind, seed=seed)
    write_experience(output, learned)
    print(f"{output}: {len(learned.dft)} of {len(frame)} crystals")
    print(as_table(compare(learned.dft, learned.expected)))


def _crystals(shard: Path) -> list[WyckoffCrystal]:
    """Crystals of a shard."""
    stored = Shards(shard)
    rows = (
        stored.row(k, stability="any", spacegroup_first=False, formula=False)
        for k in range(len(stored))
    )
    return [row_to_crystal(row.tokens, row.fine) for row in rows]


def _write_split(path: Path, frame: pd.DataFrame, settings: int, workers: int) -> None:
    cells = list(zip(frame.lattice, frame.frac_coords, frame.numbers, strict=True))
    with get_context("spawn").Pool(workers) as pool:
        encoded = pool.map(partial(_encode, settings=settings), cells, chunksize=64)
    kept = [k for k, rows in enumerate(encoded) if not isinstance(rows, str)]
    reasons = Counter(reason for reason in encoded if isinstance(reason, str))
    energies = frame.e_above_hull.to_numpy()[kept]
    formation = None
    if "formation_energy_per_atom" in frame:
        formation = frame.formation_energy_per_atom.to_numpy()[kept]
    rows = [encoded[k] for k in kept]
    others = [some[1:] for some in rows]
    write_shards(path, [first for first, *_ in rows], energies, others, formation)
    print(
        f"{path}: {len(kept)} of {len(cells)} crystals; left out: {dict(reasons)}", file=sys.stderr
    )


def _encode(cell: tuple, settings: int) -> list[Row] | str:
    """Token rows of one structure, the canonical one first, or the reason why there is none."""
    lattice, frac_coords, numbers = cell
    matrix = np.asarray(lattice, float).reshape(3, 3)
    points = np.asarray(frac_coords, float).reshape(-1, 3)
    try:
        crystal = encode_cell((matrix, points, [int(n) for n in numbers]))
        return described_rows(crystal, settings)
    except (EncodingError, TokenError) as error:
        return type(error).__name__ + (": sites" if "sites" in str(error) else "")


def described_rows(crystal: WyckoffCrystal, settings: int) -> list[Row]:
    """Write a crystal in up to so many choices of origin and axes, its own first."""
    rows = [crystal_to_row(crystal, formula=True)]
    if settings == 1:
        return rows
    written = {(rows[0].tokens.tobytes(), rows[0].fine.tobytes())}
    others = descriptions(crystal)
    for k in np.random.default_rng(0).permutation(len(others)):
        with suppress(TokenError):
            row = crystal_to_row(others[k], formula=True)
            if (row.tokens.tobytes(), row.fine.tobytes()) not in written:
                written.add((row.tokens.tobytes(), row.fine.tobytes()))
                rows.append(row)
        if len(rows) == settings:
            break
    return rows


if __name__ == "__main__":
    app()
