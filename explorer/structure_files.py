"""Structures in files: Parquet, CIF (file, folder or archive), extxyz, POSCAR and pymatgen JSON.

Strangers' files: sizes and counts are limited, archives are read in memory and never unpacked, and
nothing in a file can name a class to build. Parsing can still be slow, so a server should call
`read_structures` through `explorer.isolation.run`.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifParser, CifWriter
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from spglib import SpglibError

from explorer.complaints import one_line
from explorer.strangers import refuse_crowds, safe_name, structure_from_dict, structure_from_row

MAX_FILE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_FILES = 20_000
MAX_STRUCTURES = 50_000

FORMATS = ".parquet, .cif, a folder, .zip or .tar.gz of .cif files, .extxyz, .vasp or POSCAR, .json"


class NamedStructure(NamedTuple):
    """A structure and what its file calls it."""

    name: str
    structure: Structure


class StructureFileError(ValueError):
    """A structure file that cannot be read or written; one line that names file and reason."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def read_structures(path: str | Path) -> list[NamedStructure]:
    """Read every structure of a file or folder, in the order of the file or of file names.

    Parameters
    ----------
    path
        Parquet with columns lattice, numbers, frac_coords and optionally id; a CIF file, a folder,
        a zip or a tar of CIF files; extxyz; POSCAR, CONTCAR or .vasp; JSON of one pymatgen
        Structure, of entries that hold one, or of a list of either.

    Raises
    ------
    StructureFileError
        When the path does not exist, is too large, has another format or holds a bad structure.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise StructureFileError(f"no such file or folder: {path}")
    reader = _reader_for(path)
    if not (path.is_file() or path.is_dir()):
        raise StructureFileError(f"{path} is neither a file nor a folder")
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise StructureFileError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB: split it")
    structures = list(islice(_named_errors(path, reader), MAX_STRUCTURES + 1))
    if not structures:
        raise StructureFileError(f"{path} holds no structure")
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
    if path.suffix in (".cif", ".vasp"):
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
        raise StructureFileError(f"cannot write {path.name}: expected {FORMATS}, .csv")


def cif_text(structure: Structure, symprec: float = 0.1) -> str:
    """Return a CIF with the symmetry that spglib finds at `symprec` (Å), P1 where it finds none.

    Who reads it back finds the same space group at the same tolerance: symmetrizing within a wide
    tolerance can lift a crystal into a supergroup, so a narrower one is used where that happens.
    """
    try:
        group = _group(structure, symprec)
        for tolerance in (symprec, symprec / 2, symprec / 5, symprec / 10):
            analyzer = SpacegroupAnalyzer(structure, tolerance, angle_tolerance=5)
            if _group(analyzer.get_refined_structure(), symprec) == group:
                return str(CifWriter(structure, symprec=tolerance, angle_tolerance=5))
    except (TypeError, ValueError, AttributeError, SpglibError):
        # pymatgen lets spglib's "no dataset" surface as one of these.
        return str(CifWriter(structure))
    return str(CifWriter(structure))


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


def _group(structure: Structure, symprec: float) -> int:
    return SpacegroupAnalyzer(structure, symprec, angle_tolerance=5).get_space_group_number()


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
        ".vasp": _read_poscar,
        ".poscar": _read_poscar,
    }
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        return _read_poscar
    if path.suffix.lower() not in readers:
        raise StructureFileError(f"unknown structure format {path.name!r}: expected {FORMATS}")
    return readers[path.suffix.lower()]


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
    file = pq.ParquetFile(path)
    wanted = ["lattice", "numbers", "frac_coords"]
    missing = sorted(set(wanted) - set(file.schema_arrow.names))
    if missing:
        raise StructureFileError(f"{path} lacks the column {', '.join(missing)}")
    if file.metadata.num_rows > MAX_STRUCTURES:
        raise StructureFileError(f"{path} holds more than {MAX_STRUCTURES} structures: split it")
    ids = [name for name in ("id", "material_id") if name in file.schema_arrow.names][:1]
    for number, row in enumerate(file.read(columns=wanted + ids).to_pylist()):
        name = str(row[ids[0]]) if ids else f"{path.stem}-{number}"
        yield NamedStructure(name, structure_from_row(row))


def read_cifs(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each CIF in a file, folder, zip or tar, in the order of the names.

    Raises
    ------
    StructureFileError
        When there is none, too many, or an archive plays tricks.
    """
    if path.is_dir():
        yield from _folder_texts(path)
    elif path.suffix.lower() == ".zip":
        yield from _zip_texts(path)
    elif is_tar(path):
        yield from _tar_texts(path)
    else:
        yield path.name, path.read_text(encoding="utf-8", errors="replace")


def is_tar(path: Path) -> bool:
    """Whether the name says that a file is a tar archive, compressed or not."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def parse_cif(text: str, name: str) -> list[NamedStructure]:
    """Read the structures of a CIF, in the cell that it gives; raises StructureFileError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            parser = CifParser.from_str(text)
            refuse_crowds(parser.as_dict())
            # primitive=False keeps the cell, so that what was written is what is read.
            found = parser.parse_structures(primitive=False, on_error="raise")
        except Exception as error:
            hints = "; ".join(dict.fromkeys(str(w.message).split("\n")[0] for w in caught[:3]))
            # What else a parser stumbles over says nothing to who wrote the file.
            flaw = str(error) if isinstance(error, ValueError) else "it is garbled or cut off"
            detail = flaw + (f" ({hints})" if hints else "")
            raise StructureFileError(f"cannot read the CIF {name}: {detail}") from error
    stem = PurePosixPath(name).stem
    if len(found) == 1:
        return [NamedStructure(stem, found[0])]
    return [NamedStructure(f"{stem}-{i}", structure) for i, structure in enumerate(found)]


def _read_cifs(path: Path) -> Iterator[NamedStructure]:
    for name, text in read_cifs(path):
        yield from parse_cif(text, name)


def _folder_texts(path: Path) -> Iterator[tuple[str, str]]:
    # A named pipe that is called .cif would never be read to its end.
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".cif" and p.is_file())
    if not files:
        raise StructureFileError(f"no .cif file in the folder {path}")
    if len(files) > MAX_FILES:
        raise StructureFileError(f"{path} holds {len(files)} files, at most {MAX_FILES} are read")
    for file in files:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise StructureFileError(f"{file} is larger than {MAX_FILE_BYTES // 2**20} MiB")
        yield file.name, file.read_text(encoding="utf-8", errors="replace")


def _zip_texts(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if any(member.flag_bits & 1 for member in members):
            raise StructureFileError(f"{path} is encrypted: unpack it first")
        # The sizes of the directory are binding: zipfile stops at a member's stated size.
        _refuse_tricks(path, [(m.filename, m.file_size) for m in members])
        for member in sorted(members, key=lambda m: m.filename):
            if member.filename.lower().endswith(".cif"):
                yield member.filename, archive.read(member).decode("utf-8", errors="replace")


def _tar_texts(path: Path) -> Iterator[tuple[str, str]]:
    seen: list[tuple[str, int]] = []
    with tarfile.open(path) as archive:
        while (member := archive.next()) is not None:
            seen.append((member.name, member.size))
            # Checked member by member: a compressed archive has no directory to ask beforehand.
            _refuse_tricks(path, seen)
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            # Links and devices are no files; the dots are of archives made on a Mac.
            hidden = PurePosixPath(member.name).name.startswith(".")
            if member.isfile() and not hidden and member.name.lower().endswith(".cif"):
                file = archive.extractfile(member)
                yield member.name, file.read().decode("utf-8", errors="replace")


def _refuse_tricks(path: Path, members: Sequence[tuple[str, int]]) -> None:
    """Refuse an archive by the names and unpacked sizes of its members."""
    if len(members) > MAX_FILES:
        raise StructureFileError(f"{path} holds {len(members)} files, at most {MAX_FILES} are read")
    if sum(size for _, size in members) > MAX_UNPACKED_BYTES:
        limit = MAX_UNPACKED_BYTES // 2**20
        raise StructureFileError(f"{path} unpacks to more than {limit} MiB: refused")
    for name, _ in members:
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise StructureFileError(f"{path} holds the path {name!r}: refused")


def _read_extxyz(path: Path) -> Iterator[NamedStructure]:
    for number, atoms in enumerate(ase.io.iread(path, index=":", format="extxyz")):
        if atoms.cell.rank < 3:
            raise StructureFileError(f"frame {number} of {path} has no cell: expected Lattice=...")
        name = atoms.info.get("id", atoms.info.get("name", f"{path.stem}-{number}"))
        yield NamedStructure(
            str(name),
            Structure(np.asarray(atoms.cell), atoms.numbers, atoms.get_scaled_positions()),
        )


def poscar_text(structure: Structure, comment: str | None = None) -> str:
    """Return a structure as a POSCAR file, with a first line of one's own."""
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415 - half a second to import

    return Poscar(structure, comment=comment).get_str()


def _read_poscar(path: Path) -> Iterator[NamedStructure]:
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415

    yield NamedStructure(path.stem, Poscar.from_str(path.read_text(encoding="utf-8")).structure)


def _read_json(path: Path) -> Iterator[NamedStructure]:
    data = json.loads(path.read_text(encoding="utf-8"))
    items = data if isinstance(data, list) else data.get("structures", [data])
    for number, item in enumerate(items):
        inner = item.get("structure", item)
        if not {"lattice", "sites"} <= set(inner):
            raise StructureFileError(
                f"item {number} of {path} is no pymatgen Structure: expected 'lattice' and 'sites'"
            )
        name = item.get("entry_id") or item.get("id") or item.get("name") or f"{path.stem}-{number}"
        yield NamedStructure(str(name), structure_from_dict(inner))


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
    seen: dict[str, int] = {}
    for name, structure in named:
        stem = safe_name(name)
        seen[stem] = seen.get(stem, 0) + 1
        suffix = f"-{seen[stem]}" if seen[stem] > 1 else ""
        yield f"{stem}{suffix}.cif", cif_text(structure)


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
        atoms.info = {"id": name}
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")


def _write_json(path: Path, named: list[NamedStructure]) -> None:
    items = [{"id": n.name, "structure": n.structure.as_dict(verbosity=0)} for n in named]
    path.write_text(json.dumps(items), encoding="utf-8")


def _write_csv(path: Path, named: list[NamedStructure]) -> None:
    path.write_text(lemat_csv(named), encoding="utf-8", newline="")
