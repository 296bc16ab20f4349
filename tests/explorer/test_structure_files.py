"""Structures in files: every format round-trips, every bad file gets one clear line."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from explorer import structure_files
from explorer.baseline_imported import imported
from explorer.crystals import spacegroup_of
from explorer.structure_files import (
    NamedStructure,
    StructureFileError,
    cif_text,
    read_structures,
    safe_name,
    write_structures,
)


def crystals() -> list[NamedStructure]:
    """Return rock salt and quartz."""
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    quartz = Structure.from_spacegroup(
        "P3_221",
        Lattice.hexagonal(4.91, 5.40),
        ["Si", "O"],
        [[0.470, 0, 2 / 3], [0.413, 0.267, 0.786]],
    )
    return [
        NamedStructure("salt", salt.get_primitive_structure()),
        NamedStructure("quartz", quartz),
    ]


@pytest.mark.parametrize("name", ["all.parquet", "all.extxyz", "all.json", "all.zip", "folder"])
def test_every_format_of_many_round_trips(tmp_path: Path, name: str) -> None:
    """What is written is read back: same names, same crystals."""
    write_structures(tmp_path / name, crystals())
    back = {n.name: n.structure for n in read_structures(tmp_path / name)}
    assert set(back) == {"salt", "quartz"}
    for crystal in crystals():
        assert StructureMatcher().fit(crystal.structure, back[crystal.name])


def test_the_benchmarks_table_gives_the_crystals_back(tmp_path: Path) -> None:
    """LeMat-GenBench's CSV holds pymatgen's JSON, and is read as another generator's samples."""
    write_structures(tmp_path / "all.csv", crystals())
    assert (tmp_path / "all.csv").read_text().startswith("material_id,structure\n")
    back = [sample.given for sample in imported(tmp_path / "all.csv")]
    assert back == [crystal.structure for crystal in crystals()]


@pytest.mark.parametrize("name", ["one.cif", "one.vasp"])
def test_every_format_of_one_round_trips(tmp_path: Path, name: str) -> None:
    """Files of one structure keep group and formula, and refuse to hold two."""
    structure = crystals()[1].structure
    write_structures(tmp_path / name, crystals()[1:])
    (back,) = read_structures(tmp_path / name)
    assert spacegroup_of(back.structure) == spacegroup_of(structure) == 154
    assert back.structure.composition.reduced_formula == "SiO2"
    with pytest.raises(StructureFileError, match="takes one structure, got 2"):
        write_structures(tmp_path / name, crystals())


def test_poscar_is_known_by_its_name(tmp_path: Path) -> None:
    """POSCAR and CONTCAR have no suffix."""
    write_structures(tmp_path / "x.vasp", crystals()[:1])
    (tmp_path / "x.vasp").rename(tmp_path / "CONTCAR")
    assert len(read_structures(tmp_path / "CONTCAR")) == 1


def test_json_of_entries_and_of_one_structure(tmp_path: Path) -> None:
    """Entries that hold a structure keep their id; a bare structure is enough."""
    structure = crystals()[0].structure
    entry = {"entry_id": "mp-1", "energy": -1.0, "structure": structure.as_dict()}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    (tmp_path / "b.json").write_text(json.dumps(structure.as_dict()))
    assert read_structures(tmp_path / "a.json")[0].name == "mp-1"
    assert len(read_structures(tmp_path / "b.json")) == 1


def test_a_cif_keeps_its_group_under_small_displacements() -> None:
    """A CIF is written with symmetry although the atoms sit a little off their places."""
    structure = crystals()[1].structure
    structure.perturb(0.02)
    text = cif_text(structure)
    assert "154" in text
    assert spacegroup_of(Structure.from_str(text, fmt="cif")) == 154


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.cif", "", "cannot read"),
        ("a.cif", "data_x\n_cell_length_a 5\n", "cannot read"),
        ("a.cif", "data_x\nloop_\n", "it is garbled or cut off"),
        ("a.cif", "\x00\x01binary\xff", "cannot read"),
        ("a.json", "{", "cannot read"),
        ("a.json", '{"a": 1}', "expected 'lattice' and 'sites'"),
        ("a.json", "[]", "holds no structure"),
        ("a.parquet", "no parquet", "cannot read"),
        ("a.zip", "no zip", "cannot read"),
        ("a.extxyz", "2\n\nH 0 0 0\nH 0 0 1\n", "has no cell"),
        ("POSCAR", "what\n", "cannot read"),
        ("a.doc", "words", "unknown structure format"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    """Whatever the parser throws becomes a line that names the file."""
    path = tmp_path / name
    path.write_text(content, encoding="latin-1")
    with pytest.raises(StructureFileError, match=words) as caught:
        read_structures(path)
    assert name in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A missing file and a folder without CIFs are named."""
    with pytest.raises(StructureFileError, match="no such file or folder"):
        read_structures(tmp_path / "nothing.cif")
    with pytest.raises(StructureFileError, match=r"no \.cif file"):
        read_structures(tmp_path)


@pytest.mark.parametrize("member", ["../../x.cif", "/etc/x.cif", "a\\..\\..\\x.cif"])
def test_an_archive_with_path_tricks_is_refused(tmp_path: Path, member: str) -> None:
    """Names that would leave the folder stop the reading."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "data_x")
    with pytest.raises(StructureFileError, match="refused"):
        read_structures(path)


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive is judged by its unpacked size, before unpacking."""
    monkeypatch.setattr(structure_files, "MAX_UNPACKED_BYTES", 10_000)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", "0" * 20_000)
    assert path.stat().st_size < 1_000
    with pytest.raises(StructureFileError, match="unpacks to more than"):
        read_structures(path)


def test_limits_on_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large a file, and too many structures, are refused."""
    write_structures(tmp_path / "a.json", crystals())
    monkeypatch.setattr(structure_files, "MAX_STRUCTURES", 1)
    with pytest.raises(StructureFileError, match="more than 1 structures"):
        read_structures(tmp_path / "a.json")
    monkeypatch.setattr(structure_files, "MAX_FILE_BYTES", 10)
    with pytest.raises(StructureFileError, match="is larger than"):
        read_structures(tmp_path / "a.json")


@given(st.text())
def test_a_safe_name_stays_in_its_folder(text: str) -> None:
    """Whatever a crystal is called, its file name has no separator and is never hidden."""
    name = safe_name(text)
    assert name
    assert not name.startswith(".")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
