"""Commands that take dataclasses of options, and what is refused of any command's options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

WRITTEN = {"output", "json", "plot"}
"""Options that name what a command writes."""

Command = TypeVar("Command", bound=Callable[..., None])


def grouped(command: Command) -> Command:
    """Let a command take dataclasses: each of their fields becomes an option of its own."""
    options: list[Parameter] = []
    groups: dict[str, type] = {}
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        kind = hints[name]
        if is_dataclass(kind):
            groups[name] = kind
            told = get_type_hints(kind, include_extras=True)
            options += [
                Parameter(
                    item.name,
                    Parameter.KEYWORD_ONLY,
                    default=item.default,
                    annotation=told[item.name],
                )
                for item in fields(kind)
            ]
        else:
            options.append(parameter.replace(annotation=kind))

    @wraps(command)
    def run(**given: Any) -> None:
        _refuse_no_numbers(given)
        _refuse_overwriting(given)
        for name, kind in groups.items():
            given[name] = kind(**{item.name: given.pop(item.name) for item in fields(kind)})
            if hasattr(kind, "refuse_unwritable"):
                given[name].refuse_unwritable()
        command(**given)

    run.__signature__ = Signature(options)
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


def _refuse_no_numbers(given: Mapping[str, Any]) -> None:
    """Raise `ValueError` for NaN, which no comparison would ever stop."""
    for name, value in given.items():
        if isinstance(value, float) and math.isnan(value):
            raise ValueError(f"{name}: expected a finite number, got nan")


def _refuse_overwriting(given: Mapping[str, Any]) -> None:
    """Raise `ValueError` where a file would be written over one that is read, or written twice."""
    named = ((name, item) for name, value in given.items() for item in _listed(value))
    paths = [(name, item) for name, item in named if isinstance(item, Path) and str(item) != "-"]
    for (first, one), (second, other) in combinations(paths, 2):
        if not {first, second} & WRITTEN or one.resolve() != other.resolve():
            continue
        from explorer.outputs import is_stream  # noqa: PLC0415 - only when something is wrong

        if not is_stream(one):
            raise ValueError(
                f"expected different places for {first} and {second}, got {one} for both: name "
                "another file to write"
            )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
