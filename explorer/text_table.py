"""Results of commands as text that a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_SHOWN = 12
"""Items of a list that a line of a table shows; the JSON has all."""


def as_table(result: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Return a result as aligned text: one line for each value, or one for each row.

    A value that is itself a table (rows of the same columns) follows its name, indented.
    """
    if not isinstance(result, Mapping):
        return "\n".join(_rows(result))
    width = max((len(str(key)) for key in result), default=0)
    lines: list[str] = []
    for key, value in result.items():
        inner = _inner(value)
        if inner:
            lines += [str(key), *(f"  {line}" for line in _rows(inner))]
        else:
            lines.append(f"{str(key).ljust(width)}  {_short(value)}".rstrip())
    return "\n".join(lines)


def _inner(value: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a value that is a table: mappings of the same names, listed or named."""
    named = isinstance(value, Mapping)
    rows = list(value.values()) if named else value
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        return []
    if not rows[0] or any(list(row) != list(rows[0]) for row in rows):
        return []
    return [{"": key} | dict(row) for key, row in value.items()] if named else rows


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
