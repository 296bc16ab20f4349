"""The form's fields as a small TOML file and as the query of a link. No widgets here."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from explorer.campaign import SpecError
from explorer.spacegroup_names import numbers_of
from explorer.ui.draft import Draft
from explorer.ui.sites import split_sites

HEAD = "# Constraints of a Hullscape search. What is not named here keeps its usual value.\n"
LARGEST_FILE = 64 * 1024
LISTS = {"elements": "-", "required": "-", "excluded": "-", "spacegroups": ",", "sites": ", "}
"""Fields with several values, and what stands between them in a text."""


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _one_of(name: str) -> Callable[[str], str]:
    """Return a reader that takes only the choices of a field."""

    def read(text: str) -> str:
        if text not in Draft.param[name].objects:
            raise ValueError(text)
        return text

    return read


SYMBOLS = (lambda text: re.findall(r"[^-,\s]+", text), "symbols such as Al-Ca-Cu")
READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "elements": SYMBOLS,
    "formula": (str.strip, "a formula such as CaAl2, or a range such as CaAl1-4"),
    "spacegroups": (
        lambda text: list(numbers_of(filter(str.strip, text.split(",")))),
        "numbers, symbols or crystal systems such as 139,Fm-3m,cubic",
    ),
    "sites": (lambda text: ", ".join(split_sites(text)), "sites such as 139:2a=Ca"),
    "max_atoms": (int, "a whole number"),
    "stability": (_one_of("stability"), "low, high or any"),
    "subset": (_boolean, "true or false"),
    "required": SYMBOLS,
    "excluded": SYMBOLS,
    "n": (int, "a whole number"),
    "seed": (int, "a whole number"),
    "temperature": (float, "a number"),
    "generator": (_one_of("generator"), "transformer, substitution, similarity, random ..."),
    "hull": (_one_of("hull"), "auto, filled, dft or potential"),
    "search": (_one_of("search"), "likeliest, distinct or independent"),
    "geometry_temperature": (float, "a number"),
    "again": (float, "a number"),
    "templates": (_boolean, "true or false"),
    "unknown": (float, "a number"),
    "prototypes": (_boolean, "true or false"),
    "variants": (_boolean, "true or false"),
    "best_of": (int, "a whole number"),
    "give_up": (float, "a number"),
    "relax_below": (float, "a number"),
    "rattle": (float, "a number"),
    "keep_symmetry": (_boolean, "true or false"),
    "potential": (str.strip, "the name of a potential"),
}
"""How each field is read from a text, and what is expected there."""


def changed_fields(draft: Draft) -> dict[str, Any]:
    """Return the fields that do not have their usual value, in the order of the form.

    An empty number field is 0 where that means none; elsewhere it is still being typed.
    """
    values = {name: getattr(draft, name) for name in READERS}
    values |= {name: values[name] or 0.0 for name in Draft.OPTIONAL}
    usual = {name: Draft.param[name].default for name in READERS}
    return {name: v for name, v in values.items() if v is not None and v != usual[name]}


def write_toml(draft: Draft) -> str:
    """Write the fields as a TOML file, one a line."""
    lines = []
    for name, value in changed_fields(draft).items():
        shown = split_sites(value) if name == "sites" else value
        # JSON's strings, numbers, booleans and flat lists are TOML's too, but for one sign
        told = json.dumps(shown, ensure_ascii=False).replace("\x7f", r"\u007f")
        lines.append(f"{name} = {told}\n")
    return (HEAD + "".join(lines)).encode("utf-8", "replace").decode("utf-8")


def read_toml(text: str) -> dict[str, Any]:
    """Read fields back from a file.

    Raises
    ------
    SpecError
        When the text is no TOML, names an unknown field or has a value of another kind.
    """
    if len(text) > LARGEST_FILE:
        raise SpecError(
            f"expected a constraints file of at most 64 KiB, got {len(text)} characters"
        )
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long to be read
        raise SpecError(f"expected a constraints file in TOML: {error}") from error
    unknown = [name for name in values if name not in READERS]
    if unknown:
        names = ", ".join(READERS)
        raise SpecError(f"unknown field {unknown[0]!r}: expected some of {names}")
    return {name: _read(name, _as_text(name, value)) for name, value in values.items()}


def write_query(draft: Draft, query: str) -> str:
    """Return a page's query with the fields in it, and with what else it held."""
    others = [(k, v) for k, v in parse_qsl(query.lstrip("?")) if k not in READERS]
    own = [(name, _as_text(name, value)) for name, value in changed_fields(draft).items()]
    # Halves of characters, which a browser may send, have no place in an address.
    text = urlencode([*own, *others], safe=",:=/", errors="replace")
    return f"?{text}" if own or others else ""


def read_query(query: str) -> dict[str, Any]:
    """Read fields from a page's query; what else it holds is left alone.

    Raises
    ------
    SpecError
        When a value is of another kind.
    """
    values = dict(parse_qsl(query.lstrip("?")))
    return {name: _read(name, values[name]) for name in READERS if name in values}


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and name in LISTS:
        return LISTS[name].join(str(item) for item in value)
    if isinstance(value, Mapping | list):
        raise SpecError(f"{name}: expected {READERS[name][1]}, got {value!r}", name)
    return str(value)


def _read(name: str, text: str) -> Any:
    reader, expected = READERS[name]
    try:
        return reader(text)
    except (ValueError, KeyError):
        raise SpecError(f"{name}: expected {expected}, got {text!r}", name) from None
