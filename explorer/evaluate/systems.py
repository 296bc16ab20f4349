"""New crystals where much, some or nothing is known: the benchmark of chemical systems.

MatterGen's authors (Zeni et al., Nature 639, 624, 2025, Fig. 4) ask a generator for crystals of
chemical systems of three to five elements of which many, some or no near-hull phases are known, and
count those that are stable, unique and novel. Here a system is well explored when it is one of the
`WELL` systems of its size with the most known compositions, partly explored when it has any, and
not explored when it has none; the systems of a class are drawn at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from explorer.evaluate.intervals import with_interval
from explorer.evaluate.sun import THRESHOLDS

EXPLORED = ("well", "partly", "not")
WELL = 30
"""Systems of a size that count as well explored: those with the most known compositions."""
MOST_TRIES = 10_000
"""Draws of elements until a system is given up that nobody knows."""


def known_compositions(file: Path) -> dict[str, int]:
    """Count the known compositions of each chemical system of a reference file."""
    table = pq.read_table(file, columns=["chemsys", "formula"])
    pairs = set(zip(table["chemsys"].to_pylist(), table["formula"].to_pylist(), strict=True))
    return dict(Counter(system for system, _ in pairs))


def choose_systems(
    known: Mapping[str, int],
    sizes: Iterable[int],
    count: int,
    seed: int,
    usable: Collection[str],
) -> dict[tuple[int, str], list[str]]:
    """Draw systems of each size and each of `EXPLORED`.

    Parameters
    ----------
    known : mapping
        System to the number of its known compositions.
    sizes : iterable of int
        Numbers of elements.
    count : int
        Systems for each size and class.
    usable : collection of str
        Elements that may occur.

    Raises
    ------
    ValueError
        If there are too few systems of a size or class, or all that could be drawn are known.
    """
    if count > WELL:
        raise ValueError(f"expected at most {WELL} systems of a size and class, got {count}")
    rng = np.random.default_rng(seed)
    chosen: dict[tuple[int, str], list[str]] = {}
    for size in sizes:
        of_size = {s: n for s, n in known.items() if _usable(s, size, usable)}
        ranked = sorted(of_size, key=lambda s: (-of_size[s], s))
        if size < 2 or len(ranked) < WELL + count:
            raise ValueError(
                f"expected sizes of which at least {WELL + count} systems are known, "
                f"got {size}, of which there are {len(ranked)}"
            )
        chosen[size, "well"] = _some(ranked[:WELL], count, rng)
        chosen[size, "partly"] = _some(ranked[WELL:], count, rng)
        chosen[size, "not"] = _unknown(of_size, known, size, count, rng)
    return chosen


def _usable(system: str, size: int, usable: Collection[str]) -> bool:
    symbols = system.split("-")
    return len(symbols) == size and all(symbol in usable for symbol in symbols)


def _some(systems: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [systems[k] for k in np.sort(rng.choice(len(systems), count, replace=False))]


def _unknown(
    of_size: Mapping[str, int],
    known: Mapping[str, int],
    size: int,
    count: int,
    rng: np.random.Generator,
) -> list[str]:
    """Draw systems that nobody knows, an element as often as known systems of the size have it."""
    often = Counter(symbol for system in of_size for symbol in system.split("-"))
    symbols = sorted(often)
    shares = np.array([often[symbol] for symbol in symbols], float)
    found: list[str] = []
    for _ in range(MOST_TRIES):
        drawn = rng.choice(len(symbols), size, replace=False, p=shares / shares.sum())
        system = "-".join(sorted(symbols[k] for k in drawn))
        if system not in known and system not in found:
            found.append(system)
        if len(found) == count:
            return sorted(found)
    raise ValueError(f"found no {count} systems of {size} elements that nobody knows")


def pooled(systems: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add up what was found in the systems of each size and class.

    Parameters
    ----------
    systems : mapping
        System to ``elements``, ``explored`` and the report of `explorer.evaluate.sun`.

    Returns
    -------
    dict
        Size to class to ``n`` crystals, shares of them by threshold (``stable``, ``sun``, with
        Wilson's intervals, as if all crystals were of one system), ``unique`` and ``novel``, and
        ``sun_of_systems``, the least and the largest share of a system at 0.1 eV/atom.
    """
    cells: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for told in systems.values():
        cells.setdefault((told["elements"], told["explored"]), []).append(told)
    added: dict[str, dict[str, Any]] = {}
    for (size, explored), some in sorted(cells.items(), key=_in_order):
        added.setdefault(str(size), {})[explored] = _added(some)
    return added


def _in_order(cell: tuple[tuple[int, str], Any]) -> tuple[int, int]:
    (size, explored), _ = cell
    return size, EXPLORED.index(explored)


def _added(some: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    n = sum(told["n"] for told in some)
    row: dict[str, Any] = {"systems": len(some), "n": n}
    for name in ("unique", "novel"):
        row[name] = with_interval(sum(told["counts"][name] for told in some) / n, n)
    for name in ("stable", "sun"):
        found = {t: sum(told["counts"][name][t] for told in some) for t in THRESHOLDS}
        row[name] = {t: with_interval(count / n, n) for t, count in found.items()}
    shares = [told["sun"][THRESHOLDS[-1]] for told in some]
    return row | {"sun_of_systems": [min(shares), max(shares)]}
