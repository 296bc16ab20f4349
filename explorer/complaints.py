"""How a complaint is worded: one line of bounded length, whatever a file or a library put in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

MOST = 600
"""Characters of a complaint; of a longer one the beginning and the end are kept."""
SHOULD = "Input should be "
"""How pydantic begins."""


def one_line(text: object) -> str:
    """Return text without line breaks, control characters and runs of blanks, shortened."""
    words = "".join(sign if sign.isprintable() else " " for sign in str(text)).split()
    line = " ".join(words)
    half = MOST // 2
    return line if len(line) <= MOST else f"{line[:half].rstrip()} … {line[-half:].lstrip()}"


def too_large(size: int, most: int) -> str:
    """Say that a file of `size` bytes is larger than `most` MiB: never "at most 16, got 16"."""
    tenths = math.ceil(10 * size / 2**20)
    return f"expected at most {most} MiB, got {tenths / 10:.1f} MiB"


def first_complaint(error: ValidationError, usual: Mapping[str, Any]) -> tuple[str, str]:
    """Say what pydantic complains of first, and of which field: expected, got, how to mend it.

    Parameters
    ----------
    error : ValidationError
    usual : mapping
        What each field is when nobody says otherwise.
    """
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        near = [one for one in usual if name in one] or get_close_matches(name, usual)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(usual)}"
        return f"there is no field {name!r}; {mend}", name
    if first["type"] == "value_error":  # one of ours: it tells what it got
        return f"{name}: {first['ctx']['error']}", name
    if first["type"] == "tuple_type":
        return f"{name}: expected a list, got {first['input']!r}", name
    told = first["msg"][0].lower() + first["msg"][1:]
    if first["msg"].startswith(SHOULD):
        told = first["msg"].removeprefix(SHOULD)
        told = f"expected {'a number ' if told.startswith(('greater', 'less')) else ''}{told}"
    return f"{name}: {told}, got {first['input']!r}{_mend(name, usual)}", name


def _mend(name: str, usual: Mapping[str, Any]) -> str:
    if name not in usual:
        return ""
    value = usual[name]
    if value is None:
        return "; give such a value or none"
    if isinstance(value, bool | tuple | str):
        return ""
    return f"; usual is {value:g}"
