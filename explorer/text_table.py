"""Results of commands as text that a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_SHOWN = 12
"""Items of a list that a line of a table shows; the JSON has all."""


def as_table(result: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Return a result as aligned text: one line for each value, or one for each row.

    A value that is itself a table (rows of the same columns), or holds such, follows its name,
    indented.
    """
    if not isinstance(result, Mapping):
        return "\n".join(_rows(result))
    width = max((len(str(key)) for key in result), default=0)
    lines: list[str] = []
    for key, value in result.items():
        if inner := _inner(value):
            lines += [str(key), *(f"  {line}" for line in inner)]
        else:
            lines.append(f"{str(key).ljust(width)}  {_short(value)}".rstrip())
    return "\n".join(lines)


def _inner(value: Any) -> list[str]:
    """Return the lines of a value that is more than a cell; [] for one that is none."""
    if isinstance(value, Mapping):
        if _alike(list(value.values())):
            return _rows([{"": key} | dict(row) for key, row in value.items()])
        deep = any(isinstance(item, Mapping) for item in value.values())
        return as_table(value).splitlines() if deep else []
    return _rows(value) if isinstance(value, list) and _alike(value) else []


def _alike(rows: Sequence[Any]) -> bool:
    """Whether these are rows of one table: mappings of the same names to what fits into a cell."""
    if not rows or not all(isinstance(row, Mapping) and row for row in rows):
        return False
    plain = not any(isinstance(cell, Mapping) for row in rows for cell in row.values())
    return plain and all(list(row) == list(rows[0]) for row in rows)


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Align the cells of rows under their names."""
    cells = [tuple(rows[0])] if rows else [("nothing here yet",)]
    cells += [tuple(_short(value) for value in row.values()) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return [line.rstrip() for line in lines]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return _some([f"{key} {_short(item)}" for key, item in value.items()], ", ")
    if isinstance(value, list | tuple):
        return _some([str(item) for item in value], " ")
    return "-" if value in {None, ""} else str(value)


def _some(items: Sequence[str], between: str) -> str:
    """Join items that fit on a line; of hundreds it says how many there are."""
    if len(items) <= MOST_SHOWN:
        return between.join(items) or "-"
    shown = between.join(items[: MOST_SHOWN // 2])
    return f"{shown} and {len(items) - MOST_SHOWN // 2:,} more (all with --json)"
