"""A file to start from: saved constraints, or a structure whose symmetry becomes them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from explorer import isolation
from explorer.campaign import SpecError
from explorer.complaints import one_line, too_large
from explorer.crystals import gate
from explorer.encode import EncodingError, encode
from explorer.strangers import reading_seconds
from explorer.structure_files import StructureFileError, read_structures, safe_name
from explorer.ui.draft import Draft
from explorer.ui.saved import read_toml
from model.crystal import WyckoffCrystal
from model.wyckoff import table

MAX_MEGABYTES = 16


def fields_of_file(name: str, content: bytes) -> dict[str, Any]:
    """Read the form's fields from an uploaded file.

    Raises
    ------
    SpecError
        With one line that names the file: too large, damaged, of an unknown kind, or a structure
        without a Wyckoff description.
    """
    short = one_line(Path(name.replace("\\", "/")).name)[:200]
    if not content:
        raise SpecError(f"{short} is empty")
    if len(content) > MAX_MEGABYTES * 2**20:
        raise SpecError(f"{short}: {too_large(len(content), MAX_MEGABYTES)}")
    try:
        if short.lower().endswith(".toml"):
            return read_toml(content.decode("utf-8"))
        return _fields_of_structure(short, content)
    except UnicodeDecodeError:
        raise SpecError(f"{short}: expected text in UTF-8, got binary data") from None
    except SpecError as error:
        raise SpecError(f"{short}: {error}", error.field) from error


def _fields_of_structure(name: str, content: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / safe_name(name)
        path.write_bytes(content)
        try:
            crystal = isolation.run(first_crystal, path, seconds=reading_seconds(path))
        except (StructureFileError, EncodingError) as error:
            raise SpecError(str(error).replace(str(path), "the file")) from error
        except isolation.IsolationError as error:
            raise SpecError(f"reading it {error}") from error
    return fields_of_crystal(crystal)


def first_crystal(path: Path) -> WyckoffCrystal:
    """Return the Wyckoff description of the only structure of a file.

    Raises
    ------
    StructureFileError
        When the file cannot be read or holds several structures.
    EncodingError
        When the structure is not fit for symmetry analysis.
    """
    named = read_structures(path)
    if len(named) != 1:
        raise StructureFileError(f"expected one structure to start from, got {len(named)}")
    reason = gate(named[0].structure)
    if reason:
        raise EncodingError(f"the structure cannot be described: {reason}")
    return encode(named[0].structure)


def fields_of_crystal(crystal: WyckoffCrystal) -> dict[str, Any]:
    """Return elements, space group and occupied positions of a crystal as the form's fields."""
    wyckoff, number = table(), crystal.spacegroup
    positions = [wyckoff.position(number, site.letter) for site in crystal.sites]
    atoms = sum(int(wyckoff.primitive_multiplicity[position]) for position in positions)
    sites = [
        f"{number}:{wyckoff.name(position)}={site.element}"
        for position, site in zip(positions, crystal.sites, strict=True)
    ]
    return {
        "elements": sorted({site.element for site in crystal.sites}),
        "spacegroups": [number],
        "sites": ", ".join(sites),
        "max_atoms": max(atoms, Draft.param.max_atoms.default),
    }
