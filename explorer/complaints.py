"""What pydantic says of a value, as the program says it: expected, got, how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

SHOULD = "Input should be "


def first_complaint(error: ValidationError, usual: Mapping[str, Any]) -> tuple[str, str]:
    """Return one line about the first complaint, and the name of its field.

    Parameters
    ----------
    error : ValidationError
    usual : mapping
        What each field is when nobody says otherwise.
    """
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "value_error":  # one of ours: it tells what it got
        return f"{name}: {first['ctx']['error']}", name
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
