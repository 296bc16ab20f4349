"""CIFs in files, folders and archives: strangers' texts in, structures out, and back.

Sizes and counts are limited, and archives are read in memory and never unpacked.
"""

from __future__ import annotations

import codecs
import re
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pymatgen.core import Structure
from pymatgen.io.cif import CifParser, CifWriter
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from spglib import SpglibError

from explorer.cif_symmetry import OPERATIONS, missing_operations
from explorer.complaints import one_line
from explorer.encode import moved
from explorer.strangers import refuse_crowds, refuse_lost_atoms

MAX_FILE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_FILES = 20_000
MOST_MOVED = 0.025
"""Å (rms): how far symmetrizing may move the atoms of a CIF that is written."""
ENDINGS = (".parquet", ".cif", ".zip", ".extxyz", ".xyz", ".json", ".csv", ".vasp", ".poscar")
"""Endings of names that say more than the beginning does."""
_SIGNS = {".json": (b'"lattice"', b'"sites"'), ".csv": (b"_cell_length_a",)}
"""What of a file beside CIFs says that it holds structures, as many tables and notes do not."""
_DIGITS = re.compile(r"(\d+)")


class NamedStructure(NamedTuple):
    """A structure and what its file calls it."""

    name: str
    structure: Structure


class StructureFileError(ValueError):
    """A structure file that cannot be read or written; one line that names file and reason."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


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
        yield path.name, decoded(path.read_bytes())


def is_tar(path: Path) -> bool:
    """Whether the name says that a file is a tar archive, compressed or not."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def parse_cif(text: str, name: str) -> list[NamedStructure]:
    """Read the structures of a CIF, in the cell that it gives; raises StructureFileError.

    Blocks without atoms, such as a journal's data_global, are passed over where others have some.
    """
    blocks = _blocks(text)
    with_atoms = [block for block in blocks if "_atom_site" in block.lower()]
    found = [one for block in with_atoms or blocks for one in _parse_block(block, name)]
    stem = PurePosixPath(name).stem
    if len(found) == 1:
        return [NamedStructure(stem, found[0])]
    return [NamedStructure(f"{stem}-{i}", structure) for i, structure in enumerate(found)]


def _blocks(text: str) -> list[str]:
    """Split a CIF where pymatgen would, which keeps one of several blocks of the same name."""
    starts = [match.start() for match in re.finditer(r"^\s*data_", text, flags=re.MULTILINE)]
    return [text[i:j] for i, j in pairwise([*starts, len(text)])] or [text]


def _parse_block(text: str, name: str) -> list[Structure]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            parser = CifParser.from_str(text)
            for block in parser.as_dict().values():
                if operations := missing_operations(block):
                    parser = CifParser.from_str(text + _loop_of(operations))
            refuse_crowds(parser.as_dict())
            refuse_lost_atoms(parser.as_dict())
            # primitive=False keeps the cell, so that what was written is what is read.
            return parser.parse_structures(primitive=False, on_error="raise")
        except Exception as error:
            hints = "; ".join(dict.fromkeys(_hints(caught)))
            # What else a parser stumbles over says nothing to who wrote the file.
            flaw = str(error) if isinstance(error, ValueError) else "it is garbled or cut off"
            detail = flaw + (f" ({hints})" if hints else "")
            raise StructureFileError(f"cannot read the CIF {name}: {detail}") from error


def _hints(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return what the parser warned of first; what libraries say of each other is no hint."""
    own = [w for w in caught if not issubclass(w.category, DeprecationWarning | FutureWarning)]
    return [str(w.message).split("\n")[0] for w in own[:3]]


def _loop_of(operations: Sequence[str]) -> str:
    rows = "\n".join(f"'{operation}'" for operation in operations)
    return f"\nloop_\n{OPERATIONS[0]}\n{rows}\n"  # in place of any that stand there


def decoded(data: bytes) -> str:
    """Return the text of bytes: UTF-8, or UTF-16 with its mark; what is neither is replaced.

    Lines end in whichever of the three ways.
    """
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if marked else "utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _by_number(name: str) -> list[tuple[int, str]]:
    """Order names as people count: gen_2 before gen_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


def _hidden(name: str) -> bool:
    """Whether a file is hidden: a Mac puts such ones beside others in folders and archives."""
    return PurePosixPath(name).name.startswith(".")


def _folder_texts(path: Path) -> Iterator[tuple[str, str]]:
    # A named pipe that is called .cif would never be read to its end.
    every = [p for p in path.iterdir() if p.is_file() and not _hidden(p.name)]
    files = sorted(
        (p for p in every if p.suffix.lower() == ".cif"), key=lambda p: _by_number(p.name)
    )
    if not files:
        raise StructureFileError(f"no .cif file in the folder {path}{_inside(path)}")
    others = sorted(p.name for p in every if _other_structures(p))
    others += sorted(str(p.relative_to(path)) for p in path.glob("*/*.[cC][iI][fF]"))
    if others:
        raise StructureFileError(
            f"{path} holds {others[0]} beside its .cif files, of which a folder is read alone: "
            "move it elsewhere, or give it by itself"
        )
    if len(files) > MAX_FILES:
        raise StructureFileError(f"{path} holds {len(files)} files, at most {MAX_FILES} are read")
    for file in files:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise StructureFileError(f"{file} is larger than {MAX_FILE_BYTES // 2**20} MiB")
        yield file.name, decoded(file.read_bytes())


def _other_structures(file: Path) -> bool:
    """Whether a file beside CIFs holds structures too, which would be lost in silence."""
    ending = file.suffix.lower()
    if ending == ".gz":
        bare = file.with_suffix("")
        return bare.suffix.lower() == ".cif" or _other_structures(bare)
    if ending in (".json", ".csv") and file.is_file():
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES)
        return all(word in data for word in _SIGNS[ending])
    return ending in (".vasp", ".poscar", ".extxyz", ".xyz", ".parquet") or is_poscar(file)


def _inside(path: Path) -> str:
    """Say which folder of a folder has CIFs."""
    inner = sorted({p.parent for p in path.glob("*/*.cif")})
    return f", give {inner[0]}" if inner else ""


def is_poscar(path: Path) -> bool:
    """Whether only the beginning of a name says what a file is: POSCAR, CONTCAR.relaxed."""
    begins = path.name.upper().startswith(("POSCAR", "CONTCAR"))
    return begins and path.suffix.lower() not in ENDINGS


def _zip_texts(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if any(member.flag_bits & 1 for member in members):
            raise StructureFileError(f"{path} is encrypted: unpack it first")
        # The sizes of the directory are binding: zipfile stops at a member's stated size.
        _refuse_tricks(path, [(m.filename, m.file_size) for m in members])
        for member in sorted(members, key=lambda m: _by_number(m.filename)):
            if member.filename.lower().endswith(".cif") and not _hidden(member.filename):
                yield member.filename, decoded(archive.read(member))


def _tar_texts(path: Path) -> Iterator[tuple[str, str]]:
    seen: list[tuple[str, int]] = []
    with tarfile.open(path) as archive:
        while (member := archive.next()) is not None:
            seen.append((member.name, member.size))
            # Checked member by member: a compressed archive has no directory to ask beforehand.
            _refuse_tricks(path, seen)
        for member in sorted(archive.getmembers(), key=lambda m: _by_number(m.name)):
            # Links and devices are no files.
            if (
                member.isfile()
                and not _hidden(member.name)
                and member.name.lower().endswith(".cif")
            ):
                file = archive.extractfile(member)
                yield member.name, decoded(file.read())


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


def cif_text(structure: Structure, symprec: float = 0.1) -> str:
    """Return a CIF with the symmetry that spglib finds at `symprec` (Å), P1 where it finds none.

    Who reads it back finds the same space group at the same tolerance: symmetrizing within a wide
    tolerance can lift a crystal into a supergroup, so a narrower one is used where that happens.
    So it is where atoms would move by more than `MOST_MOVED`: short bonds would no longer be
    relaxed, and the energy that is told would be that of another structure.
    """
    try:
        group, tight = _group(structure, symprec), _group(structure, symprec / 10)
        for tolerance in (symprec, symprec / 2, symprec / 5, symprec / 10):
            analyzer = SpacegroupAnalyzer(structure, tolerance, angle_tolerance=5)
            symmetric = analyzer.get_refined_structure()
            # With the group that it has within a hundredth of an angstrom it moves by no more.
            still = analyzer.get_space_group_number() == tight
            if not still and moved(structure, symmetric) > MOST_MOVED:
                continue
            text = str(CifWriter(structure, symprec=tolerance, angle_tolerance=5))
            read = symmetric if tolerance == symprec else Structure.from_str(text, fmt="cif")
            if _group(read, symprec) == group:
                return text
    except (TypeError, ValueError, AttributeError, SpglibError):
        # pymatgen lets spglib's "no dataset" surface as one of these.
        return str(CifWriter(structure))
    return str(CifWriter(structure))


def _group(structure: Structure, symprec: float) -> int:
    return SpacegroupAnalyzer(structure, symprec, angle_tolerance=5).get_space_group_number()
