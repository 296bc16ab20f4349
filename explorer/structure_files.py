"""Structures in files: Parquet, CIF (file, folder or archive), extxyz, POSCAR and pymatgen JSON.

Strangers' files: sizes and counts are limited, archives are read in memory and never unpacked, and
nothing in a file can name a class to build. Parsing can still be slow, so a server should call
`read_structures` through `explorer.isolation.run`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from explorer.cif_files import (
    MAX_FILE_BYTES,
    NamedStructure,
    StructureFileError,
    cif_text,
    decoded,
    is_poscar,
    is_tar,
    parse_cif,
    read_cifs,
)
from explorer.strangers import safe_name, structure_from_dict, structure_from_row

MAX_STRUCTURES = 50_000
MOST_NAMED = 20
"""Files of a folder that are named when they cannot be read, beside the first."""

NAME_KEY = "uid"
"""What the name of a frame of an extxyz file is called there: ASE makes no number of it alone.

Of id=000042 it makes 42, and would write that when it writes the file again.
"""
NAME_KEYS = (NAME_KEY, "id", "name")
"""What others call it too."""


def frame_name(name: str) -> dict[str, str]:
    """Return what names a frame of an extxyz file: for ASE, and as others look for it."""
    return {NAME_KEY: name, "id": name}


FORMATS = (
    ".parquet, .cif, a folder, .zip or .tar.gz of .cif files, .extxyz, .vasp or POSCAR, .json, "
    ".csv with a column of structures, or one of these files with .gz"
)


def read_structures(path: str | Path) -> list[NamedStructure]:
    """Read every structure of a file or folder, in the order of the file or of file names.

    Parameters
    ----------
    path
        Parquet with columns lattice, numbers, frac_coords and optionally id; a CIF file, a folder,
        a zip or a tar of CIF files; extxyz; POSCAR, CONTCAR or .vasp; JSON of one pymatgen
        Structure, of entries that hold one, or of a list of either; CSV, see `explorer.csv_files`;
        any of the single files compressed, with .gz after its name.

    Raises
    ------
    StructureFileError
        When the path does not exist, is too large, has another format or holds a bad structure.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise StructureFileError(f"no such file or folder: {path}")
    if _is_packed(path):
        return _unpacked(path)
    reader = _reader_for(path)
    if not (path.is_file() or path.is_dir()):
        raise StructureFileError(f"{path} is neither a file nor a folder")
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise StructureFileError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB: split it")
    structures = list(islice(_named_errors(path, reader), MAX_STRUCTURES + 1))
    if not structures:
        packed = path.suffix.lower() == ".zip" or is_tar(path)
        alone = " in a .cif file: of an archive nothing else is read" if packed else ""
        raise StructureFileError(f"{path} holds no structure{alone}")
    if len(structures) > MAX_STRUCTURES:
        raise StructureFileError(f"{path} holds more than {MAX_STRUCTURES} structures: split it")
    return structures


def write_structures(path: str | Path, structures: Iterable[NamedStructure]) -> None:
    """Write structures in the format that the suffix of `path` names; no suffix: a CIF folder.

    .csv is the input of LeMat-GenBench, see `lemat_csv`.

    Raises
    ------
    StructureFileError
        When the suffix is unknown, or is .cif or .vasp with more than one structure.
    """
    path, named = Path(path).expanduser(), list(structures)
    writers: dict[str, Callable[[Path, list[NamedStructure]], None]] = {
        ".parquet": _write_parquet,
        ".zip": _write_zip,
        ".extxyz": _write_extxyz,
        ".json": _write_json,
        ".csv": _write_csv,
        "": _write_folder,
    }
    if path.suffix in (".cif", ".vasp") or is_poscar(path):
        if len(named) != 1:
            raise StructureFileError(
                f"{path.name} takes one structure, got {len(named)}: write a .zip or a folder"
            )
        structure = named[0].structure
        text = cif_text(structure) if path.suffix == ".cif" else poscar_text(structure)
        path.write_text(text, encoding="utf-8")
    elif path.suffix in writers:
        writers[path.suffix](path, named)
    else:
        raise StructureFileError(f"cannot write {path.name}: expected {FORMATS}")


def lemat_csv(named: Iterable[tuple[str, Structure | None]]) -> str:
    """Return the table that LeMat-GenBench reads (``run_benchmarks.py --csv FILE``).

    Columns ``material_id`` and ``structure``, the latter pymatgen's JSON, which its README
    recommends over CIF. What has no structure keeps its row with an empty cell, which its loader
    counts as skipped.
    """
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer)
    table.writerow(("material_id", "structure"))
    for name, structure in named:
        text = "" if structure is None else json.dumps(structure.as_dict(verbosity=0))
        table.writerow((name, text))
    return buffer.getvalue()


def _reader_for(path: Path) -> Callable[[Path], Iterator[NamedStructure]]:
    if path.is_dir() or is_tar(path):
        return _read_cifs
    readers = {
        ".parquet": _read_parquet,
        ".cif": _read_cifs,
        ".zip": _read_cifs,
        ".extxyz": _read_extxyz,
        ".xyz": _read_extxyz,
        ".json": _read_json,
        ".csv": _read_csv,
        ".vasp": _read_poscar,
        ".poscar": _read_poscar,
    }
    if is_poscar(path):
        return _read_poscar
    if path.suffix.lower() not in readers:
        raise StructureFileError(f"unknown structure format {path.name!r}: expected {FORMATS}")
    return readers[path.suffix.lower()]


def _is_packed(path: Path) -> bool:
    """Whether a file is a single one, compressed: salt.cif.gz, POSCAR.gz."""
    return path.suffix.lower() == ".gz" and not is_tar(path) and path.is_file()


def _unpacked(path: Path) -> list[NamedStructure]:
    """Read a compressed file as what its name says without the ending."""
    _reader_for(path.with_suffix(""))
    try:
        with gzip.open(path) as packed:
            data = packed.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise StructureFileError(f"cannot unpack {path}: {error}") from error
    with TemporaryDirectory(prefix="hullscape-") as folder:
        part = Path(folder, path.stem)
        part.write_bytes(data)
        try:
            return read_structures(part)
        except StructureFileError as error:
            raise StructureFileError(str(error).replace(str(part), str(path))) from error


def _named_errors(
    path: Path, reader: Callable[[Path], Iterator[NamedStructure]]
) -> Iterator[NamedStructure]:
    """Turn whatever a parser throws into one line that names the file."""
    try:
        yield from reader(path)
    except StructureFileError:
        raise
    except MemoryError as error:
        raise StructureFileError(f"{path} needs more memory than there is") from error
    except Exception as error:
        kind = type(error).__name__
        raise StructureFileError(f"cannot read {path}: {kind}: {error}") from error


def _read_parquet(path: Path) -> Iterator[NamedStructure]:
    for number, (name, row) in enumerate(parquet_rows(path)):
        try:
            structure = structure_from_row(row)
        except ValueError as error:
            raise StructureFileError(f"row {number} of {path}: {error}") from error
        yield NamedStructure(name, structure)


def parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and columns of each row of a Parquet file; StructureFileError without the columns."""
    file = pq.ParquetFile(path)
    wanted = ["lattice", "numbers", "frac_coords"]
    missing = sorted(set(wanted) - set(file.schema_arrow.names))
    if missing:
        raise StructureFileError(f"{path} lacks the column {', '.join(missing)}")
    if file.metadata.num_rows > MAX_STRUCTURES:
        raise StructureFileError(f"{path} holds more than {MAX_STRUCTURES} structures: split it")
    ids = [name for name in ("id", "material_id") if name in file.schema_arrow.names][:1]
    for number, row in enumerate(file.read(columns=wanted + ids).to_pylist()):
        name = row[ids[0]] if ids else None
        yield str(name) if name is not None else f"{path.stem}-{number}", row


def _read_cifs(path: Path) -> Iterator[NamedStructure]:
    broken: dict[str, StructureFileError] = {}
    for name, text in read_cifs(path):
        try:
            found = parse_cif(text, name)
        except StructureFileError as error:  # of the others is told too: each is to be mended
            broken[name] = error
        else:
            yield from found
    if broken:
        first, *others = broken
        shown = ", ".join(others[:MOST_NAMED]) + (", …" if len(others) > MOST_NAMED else "")
        more = f"; nor {len(others)} more: {shown}" if others else ""
        raise StructureFileError(f"{broken[first]}{more}") from broken[first]


def _read_extxyz(path: Path) -> Iterator[NamedStructure]:
    for number, atoms in enumerate(_frames(path)):
        if not atoms.numbers.all():
            raise StructureFileError(f"frame {number} of {path} has atoms of no element")
        if atoms.cell.rank < 3:
            raise StructureFileError(f"frame {number} of {path} has no cell: expected Lattice=...")
        if atoms.pbc.any() and not atoms.pbc.all():  # many write cells and forget to say periodic
            raise StructureFileError(
                f"frame {number} of {path} is a layer or a chain (pbc of its comment line): "
                'expected a crystal, pbc="T T T"'
            )
        names = [atoms.info[key] for key in NAME_KEYS if key in atoms.info]
        name = names[0] if names else f"{path.stem}-{number}"
        yield NamedStructure(
            str(name),
            Structure(np.asarray(atoms.cell), atoms.numbers, atoms.get_scaled_positions()),
        )


def _frames(path: Path) -> Iterator[Atoms]:
    """Read frame after frame; StructureFileError names the one that cannot be read."""
    text = io.StringIO(decoded(path.read_bytes()))
    frames = ase.io.iread(text, index=":", format="extxyz", properties_parser=_comment)
    for number in count():
        try:
            yield next(frames)
        except StopIteration:
            return
        except Exception as error:  # ASE throws whatever it stumbles over
            what = f"garbled or cut off: {type(error).__name__}: {error}"
            what = f"unknown element {error}" if isinstance(error, KeyError) else what
            raise StructureFileError(f"frame {number} of {path} cannot be read, {what}") from error


def _comment(line: str) -> dict[str, Any]:
    """Read the second line of a frame; a name such as 000042 is no number there."""
    told = key_val_str_to_dict(line)
    for key in NAME_KEYS:
        if key in told and (found := re.search(rf'(?<!\S){key}=(?:"([^"]*)"|(\S+))', line)):
            told[key] = found[1] or found[2]
    return told


def poscar_text(structure: Structure, comment: str | None = None) -> str:
    """Return a structure as a POSCAR file, with a first line of one's own."""
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415 - half a second to import

    return Poscar(structure, comment=comment).get_str()


def _read_poscar(path: Path) -> Iterator[NamedStructure]:
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415
    from pymatgen.io.vasp.inputs import BadPoscarWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("error", BadPoscarWarning)  # of hydrogen and helium for any elements
        try:
            structure = Poscar.from_str(_scaled(decoded(path.read_bytes()))).structure
        except BadPoscarWarning as error:
            raise StructureFileError(
                f"{path} names no elements: write them in a line above the numbers of atoms"
            ) from error
    yield NamedStructure(path.stem, structure)


def _scaled(poscar: str) -> str:
    """Return a POSCAR whose scale is no volume: pymatgen multiplies Cartesian positions by that."""
    lines = poscar.split("\n")
    scale = float(lines[1])
    if scale >= 0:
        return poscar
    vectors = np.array([line.split()[:3] for line in lines[2:5]], float)
    lines[1] = repr(float((-scale / abs(np.linalg.det(vectors))) ** (1 / 3)))
    return "\n".join(lines)


def _read_json(path: Path) -> Iterator[NamedStructure]:
    for number, item in enumerate(json_items(path)):
        try:
            structure = structure_from_item(item)
        except ValueError as error:
            raise StructureFileError(f"item {number} of {path} {error}") from error
        yield NamedStructure(name_of_item(item) or f"{path.stem}-{number}", structure)


def json_items(path: Path) -> list[Any]:
    """Return what a JSON file lists: structures, or entries that hold one; one alone is a list."""
    data = json.loads(decoded(path.read_bytes()))
    if isinstance(data, dict):
        data = data.get("structures", [data])
    if not isinstance(data, list):
        raise StructureFileError(
            f"{path} holds {data!r}: expected a pymatgen Structure, or a list of such"
        )
    return data


def name_of_item(item: Any) -> str:
    """Return what an item of a JSON file is called there; "" where it has no name."""
    told = [item.get(key) for key in ("entry_id", "id", "name")] if isinstance(item, dict) else []
    return next((str(one) for one in told if one is not None and one != ""), "")


def structure_from_item(item: Any) -> Structure:
    """Build the structure of an item of a JSON file; ValueError says what it lacks."""
    inner = item.get("structure", item) if isinstance(item, dict) else item
    if not isinstance(inner, dict) or not {"lattice", "sites"} <= set(inner):
        raise ValueError("is no pymatgen Structure: expected 'lattice' and 'sites'")
    return structure_from_dict(inner)


def _read_csv(path: Path) -> Iterator[NamedStructure]:
    # Imported here: it needs spglib and a matcher, and explorer.crystals, which needs this module.
    from explorer.csv_files import csv_rows  # noqa: PLC0415

    table = csv_rows(path, MAX_STRUCTURES + 1)
    for number, name in enumerate(table.names):
        yield NamedStructure(name, table.structure(number))


def _write_parquet(path: Path, named: list[NamedStructure]) -> None:
    columns = {
        "id": [n.name for n in named],
        "formula": [n.structure.composition.reduced_formula for n in named],
        "chemsys": [n.structure.chemical_system for n in named],
        "n_atoms": [len(n.structure) for n in named],
        "lattice": [n.structure.lattice.matrix.ravel() for n in named],
        "numbers": [list(n.structure.atomic_numbers) for n in named],
        "frac_coords": [n.structure.frac_coords.ravel() for n in named],
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def _cif_files(named: list[NamedStructure]) -> Iterator[tuple[str, str]]:
    used: set[str] = set()
    for name, structure in named:
        stem = safe_name(name)
        tries = (f"{stem}-{number}" for number in count(2))
        free = next(one for one in chain([stem], tries) if one not in used)
        used.add(free)
        yield f"{free}.cif", cif_text(structure)


def _write_folder(path: Path, named: list[NamedStructure]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in _cif_files(named):
        (path / name).write_text(text, encoding="utf-8")


def _write_zip(path: Path, named: list[NamedStructure]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _cif_files(named):
            archive.writestr(name, text)
    path.write_bytes(buffer.getvalue())


def _write_extxyz(path: Path, named: list[NamedStructure]) -> None:
    frames = []
    for name, structure in named:
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        atoms.info = frame_name(name)
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")


def _write_json(path: Path, named: list[NamedStructure]) -> None:
    items = [{"id": n.name, "structure": n.structure.as_dict(verbosity=0)} for n in named]
    path.write_text(json.dumps(items), encoding="utf-8")


def _write_csv(path: Path, named: list[NamedStructure]) -> None:
    path.write_text(lemat_csv(named), encoding="utf-8", newline="")
