"""What must never be seen of a hostile input: judged here without the program's own checks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

import numpy as np
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list
from hostile_inputs import PAYLOAD
from pymatgen.core import Structure

LONGEST = 1000
"""Characters of a message."""
CLOSEST = 0.69
"""Å; a little less than the program's own limit."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


class _Elements(HTMLParser):
    """Collects the elements that came out of data: those with the payload's attribute."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that no view of ours makes."""
        if any(PAYLOAD in name for name, _ in attrs):
            self.found.append(tag)


def wrong_page(html: str) -> Iterator[str]:
    """Tell of an element that a text of the input became."""
    parser = _Elements()
    parser.feed(html)
    parser.close()
    yield from (f"an unescaped <{tag}> on the page" for tag in parser.found)


def wrong_message(message: str) -> Iterator[str]:
    """Tell of a refusal that says nothing, or more than a line."""
    if not message.strip():
        yield "a refusal without a word"
    if len(message.splitlines()) > 1:
        yield "a message of several lines"
    if len(message) > LONGEST:
        yield f"a message of {len(message)} characters"


def wrong_table(text: str) -> Iterator[str]:
    """Tell of a cell that a spreadsheet would compute."""
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            if cell.startswith(FORMULA_SIGNS) and not _is_number(cell):
                yield f"a formula in a cell: {cell[:40]!r}"


def wrong_files(names: Iterable[str]) -> Iterator[str]:
    """Tell of a file of an export that would leave its folder."""
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if name.startswith("/") or ".." in parts or "\x00" in name:
            yield f"an export would write {name[:60]!r}"


def wrong_structure(structure: Structure) -> Iterator[str]:
    """Tell why a structure that the program took is no crystal."""
    numbers = (structure.lattice.matrix, structure.frac_coords, structure.volume)
    if not all(np.isfinite(some).all() for some in numbers):
        yield "a non-finite structure was accepted"
        return
    if not structure.is_ordered:
        yield "a disordered structure was accepted"
        return
    if not all(str(site.specie.symbol) in {*chemical_symbols, "D", "T"} for site in structure):
        yield "an unknown element was accepted"
        return
    atoms = structure.to_ase_atoms()
    if len(neighbor_list("d", atoms, CLOSEST)):
        yield "atoms on top of each other were accepted"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
