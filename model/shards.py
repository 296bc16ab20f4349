"""Training rows on disk: crystals already written as tokens, ragged, in one npz file.

A crystal has one row in its canonical description and, where a file was made with them, one for
each other choice of origin and axes that writes it differently. Letters in shapes: C crystals, T
tokens of one row, B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.tokens import (
    ELEMENTS_FIRST,
    FINE_STEPS,
    NO_FORMULA,
    PAD,
    SPACEGROUP_FIRST,
    STABILITY,
    Role,
    Row,
)

LOW_LIMIT = 0.075
"""Energy above the hull in eV/atom up to which a crystal is called LOW."""


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length."""

    tokens: np.ndarray
    """(B, T) int64, ``PAD`` after the end."""
    fine: np.ndarray
    """(B, T) int64."""
    roles: np.ndarray
    """(B, T) int64, ``Role.DONE`` after the end."""
    sites: np.ndarray
    """(B, T) int64, the site that a coordinate belongs to, else -1."""


class Shards:
    """Crystals as token rows, each written with both orders of its header."""

    def __init__(self, path: Path | str) -> None:
        with np.load(path) as stored:
            self._arrays = {name: stored[name] for name in stored.files}
        self.e_above_hull = self._arrays["e_above_hull"]
        self.formation_energy = self._arrays.get("formation_energy")
        self._start = self._arrays["start"]
        self._header = self._arrays["header"]
        none = np.zeros(len(self) + 1, int)
        self._others = len(self) + self._arrays.get("others", none)

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.e_above_hull)

    def lengths(self) -> np.ndarray:
        """Tokens of each crystal's row with a formula in its header, (C,)."""
        return np.diff(self._start)[: len(self)]

    def settings(self, index: int) -> int:
        """Return in how many choices of origin and axes a crystal is written."""
        return 1 + int(self._others[index + 1] - self._others[index])

    def all_tokens(self) -> np.ndarray:
        """Tokens of all rows end to end."""
        return self._arrays["tokens"]

    def row(
        self,
        index: int,
        *,
        stability: str,
        spacegroup_first: bool,
        formula: bool,
        setting: int = 0,
    ) -> Row:
        """One crystal's row; the header is assembled as ``tokens.crystal_to_row`` does.

        ``setting`` 0 is the canonical choice of origin and axes.
        """
        place = index if setting == 0 else int(self._others[index]) + setting - 1
        start, stop = self._start[place : place + 2]
        names = ("tokens", "fine", "roles", "sites")
        tokens, fine, roles, sites = (self._arrays[name][start:stop] for name in names)
        split = int(self._header[index])
        order = _header_order(roles[:split], spacegroup_first, formula)
        keep = np.concatenate([order, np.arange(split, len(tokens))])
        tokens, roles = tokens[keep].copy(), roles[keep].copy()
        tokens[0] = STABILITY[stability]
        tokens[1] = SPACEGROUP_FIRST if spacegroup_first else ELEMENTS_FIRST
        if not formula and self.has_formula(index):
            place = int(np.flatnonzero(roles == Role.COUNT)[0])
            tokens[place], roles[place] = NO_FORMULA, Role.PROMPT
        return Row(tokens, fine[keep], roles, sites[keep])

    def drawn_row(self, index: int, rng: np.random.Generator, *, any_setting: bool = False) -> Row:
        """One crystal's row with its order, formula and stability label drawn at random.

        With ``any_setting`` its choice of origin and axes is drawn too.
        """
        known = "low" if self.e_above_hull[index] <= LOW_LIMIT else "high"
        return self.row(
            index,
            stability="any" if rng.random() < 0.15 else known,
            spacegroup_first=bool(rng.random() < 0.35),
            formula=bool(rng.random() < 0.3) and self.has_formula(index),
            setting=int(rng.integers(self.settings(index))) if any_setting else 0,
        )

    def has_formula(self, index: int) -> bool:
        """Whether the counts of the crystal's formula are in the vocabulary."""
        start = self._start[index]
        return bool(
            (self._arrays["roles"][start : start + self._header[index]] == Role.COUNT).any()
        )


def write_shards(
    path: Path,
    rows: Sequence[Row],
    e_above_hull: Sequence[float],
    others: Sequence[Sequence[Row]] = (),
    formation_energy: Sequence[float] | None = None,
) -> None:
    """Write rows made with ``formula=True`` and the elements first, with their energies, eV/atom.

    ``others`` are the rows of each crystal in other choices of origin and axes.
    """
    known = {}
    if formation_energy is not None:
        known["formation_energy"] = np.asarray(formation_energy, np.float32)
    counts = [len(some) for some in others] or [0] * len(rows)
    rows = [*rows, *(row for some in others for row in some)]
    lengths = [len(row) for row in rows]
    headers = [int(np.argmax(row.roles == Role.SPACEGROUP)) + 1 for row in rows]
    np.savez_compressed(
        path,
        tokens=np.concatenate([row.tokens for row in rows]),
        fine=np.concatenate([row.fine for row in rows]),
        roles=np.concatenate([row.roles for row in rows]),
        sites=np.concatenate([row.sites for row in rows]),
        start=np.concatenate([[0], np.cumsum(lengths)]),
        header=np.array(headers),
        e_above_hull=np.asarray(e_above_hull, np.float32),
        others=np.concatenate([[0], np.cumsum(counts)]),
        **known,
    )


def batches(
    shards: Shards, tokens_per_batch: int, rng: np.random.Generator, *, any_setting: bool = False
) -> Iterator[Batch]:
    """One pass over the crystals in random order, rows of like length together."""
    order = rng.permutation(len(shards))
    jitter = shards.lengths()[order] + rng.uniform(-3, 3, len(order))
    order = order[np.argsort(jitter)]
    groups, group, longest = [], [], 0
    for index in order:
        longest = max(longest, int(shards.lengths()[index]))
        if group and longest * (len(group) + 1) > tokens_per_batch:
            groups.append(group)
            group, longest = [], int(shards.lengths()[index])
        group.append(int(index))
    groups.append(group)
    for k in rng.permutation(len(groups)):
        yield pad([shards.drawn_row(index, rng, any_setting=any_setting) for index in groups[k]])


def pad(rows: Sequence[Row]) -> Batch:
    """Stack rows of different length."""
    longest = max(len(row) for row in rows)
    shape = (len(rows), longest)
    batch = Batch(
        np.full(shape, PAD), np.zeros(shape, int), np.full(shape, Role.DONE), np.full(shape, -1)
    )
    for k, row in enumerate(rows):
        batch.tokens[k, : len(row)] = row.tokens
        batch.fine[k, : len(row)] = np.clip(row.fine, 0, FINE_STEPS - 1)
        batch.roles[k, : len(row)] = row.roles
        batch.sites[k, : len(row)] = row.sites
    return batch


def _header_order(roles: np.ndarray, spacegroup_first: bool, formula: bool) -> np.ndarray:
    """Indices of the header's tokens in the order wanted; without a formula one count is kept."""
    places = np.arange(len(roles))
    counts = places[roles == Role.COUNT]
    dropped = [] if formula or not len(counts) else counts[1:]
    chemistry = [k for k in places[2:-1] if k not in dropped]
    group = [places[-1]]
    return np.array([0, 1, *(group + chemistry if spacegroup_first else chemistry + group)])
