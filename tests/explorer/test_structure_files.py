"""Structures in files: every format round-trips, every bad file gets one clear line."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from explorer import cif_files, structure_files
from explorer.baseline_imported import imported
from explorer.crystals import spacegroup_of
from explorer.encode import moved
from explorer.structure_files import (
    NamedStructure,
    StructureFileError,
    cif_text,
    read_structures,
    safe_name,
    write_structures,
)

EXTXYZ = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\n'
"""A frame of one atom, up to the atom."""


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


@pytest.mark.parametrize(
    "name", ["all.parquet", "all.extxyz", "all.json", "all.zip", "all.csv", "folder"]
)
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


def test_a_table_keeps_names_and_says_which_row_is_empty(tmp_path: Path) -> None:
    """A name of digits is text; a row without a structure is refused by number and name."""
    numbered = [NamedStructure("000042", crystals()[0].structure)]
    write_structures(tmp_path / "all.csv", numbered)
    assert read_structures(tmp_path / "all.csv")[0].name == "000042"
    numbered = [NamedStructure("NaN", crystals()[0].structure)]
    write_structures(tmp_path / "nan.csv", numbered)
    assert read_structures(tmp_path / "nan.csv")[0].name == "NaN"
    with (tmp_path / "all.csv").open("a") as file:
        file.write("000043,\n")
    with pytest.raises(StructureFileError, match=r"row 1 \(000043\): .*got an empty cell"):
        read_structures(tmp_path / "all.csv")


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


def test_a_cif_keeps_its_atoms_where_they_relaxed() -> None:
    """Within 0.1 Å these molecules stand on fourfold axes, and are 34 meV/atom higher there."""
    cell = Lattice.from_parameters(4.718, 4.718, 6.534, 68.586, 111.414, 90.235)
    relaxed = Structure(cell, ["F"] * 2, [[0.0619, 0.9381, 0.1288], [0.9381, 0.0619, 0.8712]])
    assert (spacegroup_of(relaxed), spacegroup_of(relaxed, 0.01)) == (139, 12)
    (read,) = cif_files.parse_cif(cif_files.cif_text(relaxed), "a.cif")
    assert spacegroup_of(read.structure) == 139
    assert moved(relaxed, read.structure) < 0.001


def poscar(scale: str, names: str, kind: str, second: str) -> str:
    """Return rock salt as a POSCAR."""
    cell = "0 2.1 2.1\n2.1 0 2.1\n2.1 2.1 0"
    return f"salt\n{scale}\n{cell}\n{names}1 1\n{kind}\n0 0 0\n{second}\n"


def test_a_poscar_scaled_to_a_volume_keeps_its_atoms_in_place(tmp_path: Path) -> None:
    """A negative scale is the volume of the cell; Cartesian positions grow with the cell."""
    found = []
    for name, scale in (("length", "1.1"), ("volume", f"{-18.522 * 1.1**3}")):
        file = tmp_path / f"{name}.vasp"
        file.write_text(poscar(scale, "Mg O\n", "Cartesian", "2.1 2.1 2.1"))
        found.append(read_structures(file)[0].structure)
    assert found[0].volume == pytest.approx(18.522 * 1.1**3)
    assert found[1].volume == pytest.approx(found[0].volume)
    assert np.allclose(found[1].cart_coords, found[0].cart_coords)
    assert np.allclose(found[0].frac_coords[1], 0.5)


@pytest.mark.parametrize(("pbc", "read"), [("T T T", True), ("F F F", True), ("T T F", False)])
def test_a_layer_is_no_crystal(tmp_path: Path, pbc: str, read: bool) -> None:
    """Its vacuum would be relaxed away. Without any periods they were forgotten: a crystal."""
    file = tmp_path / "a.extxyz"
    head = f'Lattice="4 0 0 0 4 0 0 0 20" Properties=species:S:1:pos:R:3 pbc="{pbc}"'
    file.write_text(f"2\n{head}\nMg 0 0 0\nO 2 2 0\n")
    if read:
        assert len(read_structures(file)[0].structure) == 2
        return
    with pytest.raises(StructureFileError, match=r"frame 0 of .* is a layer or a chain"):
        read_structures(file)


def test_a_poscar_without_elements_is_refused(tmp_path: Path) -> None:
    """Of VASP 4; pymatgen takes its atoms for hydrogen and helium."""
    file = tmp_path / "POSCAR"
    file.write_text(poscar("1.0", "", "Direct", "0.5 0.5 0.5"))
    with pytest.raises(StructureFileError, match="names no elements: write them in a line"):
        read_structures(file)
    file.write_text(poscar("1.0", "", "Direct", "0.5 0.5 0.5 O").replace("0 0 0\n", "0 0 0 Mg\n"))
    assert read_structures(file)[0].structure.composition.reduced_formula == "MgO"


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
    structure.perturb(0.01)
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
        ("a.json", "null", "holds None: expected a pymatgen Structure"),
        ("a.parquet", "no parquet", "cannot read"),
        ("a.zip", "no zip", "cannot read"),
        ("a.extxyz", "2\n\nH 0 0 0\nH 0 0 1\n", "has no cell"),
        ("a.extxyz", EXTXYZ + "D 0 0 0\n", "frame 0 of .* unknown element 'D'"),
        ("a.extxyz", EXTXYZ + "X 0 0 0\n", "frame 0 of .* atoms of no element"),
        ("a.extxyz", EXTXYZ + "H 0 0 0\n" + EXTXYZ + "H 0", "frame 1 of .* garbled or cut off"),
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


def test_every_block_of_a_cif_is_read(tmp_path: Path) -> None:
    """Also those of the same name, which pymatgen drops; a journal's header has no atoms."""
    texts = [cif_text(crystal.structure) for crystal in crystals()]
    same = "".join("data_same\n" + text[text.index("\n_") :] for text in texts)
    (tmp_path / "all.cif").write_text("data_global\n_publ_author_name 'X'\n" + same)
    read = read_structures(tmp_path / "all.cif")
    assert [name for name, _ in read] == ["all-0", "all-1"]
    for (_, back), crystal in zip(read, crystals(), strict=True):
        assert StructureMatcher().fit(back, crystal.structure)
    (tmp_path / "folder").mkdir()
    (tmp_path / "all.cif").rename(tmp_path / "folder" / "all.cif")
    assert len(imported(tmp_path / "folder")) == 2


@pytest.mark.parametrize(
    ("begin", "coding", "end"),
    [("", "utf-8-sig", "\r\n"), ("", "utf-16", "\n"), ("# Größe\n", "latin-1", "\r")],
)
def test_a_cif_of_another_program_is_read(
    tmp_path: Path, begin: str, coding: str, end: str
) -> None:
    """Whatever its coding and the ends of its lines."""
    text = begin + cif_text(crystals()[1].structure)
    (tmp_path / "a.cif").write_bytes(text.replace("\n", end).encode(coding))
    assert spacegroup_of(read_structures(tmp_path / "a.cif")[0].structure) == 154


def test_a_folder_with_other_structures_beside_its_cifs_is_refused(tmp_path: Path) -> None:
    """They would be lost in silence; what a Mac hides beside files is no CIF."""
    write_structures(tmp_path / "folder", crystals())
    (tmp_path / "folder" / "._salt.cif").write_bytes(b"\0\5")
    (tmp_path / "folder" / "notes.txt").touch()
    assert len(read_structures(tmp_path / "folder")) == 2
    write_structures(tmp_path / "folder" / "POSCAR", crystals()[:1])
    with pytest.raises(StructureFileError, match="holds POSCAR beside its"):
        read_structures(tmp_path / "folder")
    with pytest.raises(StructureFileError, match=r"no \.cif file in the folder .*, give .*folder"):
        read_structures(tmp_path)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """The second crystal of a generator comes before the tenth, and hidden files count nothing."""
    text = cif_text(crystals()[0].structure)
    names = [f"gen_{number}.cif" for number in (10, 2, 1)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (*names, "__MACOSX/._gen_1.cif"):
            archive.writestr(name, "rubbish" if "MAC" in name else text)
    assert [n for n, _ in read_structures(tmp_path / "a.zip")] == ["gen_1", "gen_2", "gen_10"]


def test_every_broken_file_of_a_folder_is_named(tmp_path: Path) -> None:
    """Nobody mends thousands of files one error at a time."""
    write_structures(tmp_path / "cifs", crystals())
    for name in ("a", "s", "z"):
        (tmp_path / "cifs" / f"{name}.cif").write_text("no crystal")
    words = r"the CIF a\.cif: .*; nor 2 more: s\.cif, z\.cif$"
    with pytest.raises(StructureFileError, match=words):
        read_structures(tmp_path / "cifs")


@pytest.mark.parametrize("name", ["all.extxyz", "all.json", "all.parquet"])
def test_names_that_are_numbers_keep_their_zeros(tmp_path: Path, name: str) -> None:
    """As the names of drawn crystals have them; also where ASE has read and written the file."""
    structure = crystals()[0].structure
    asked = ["000000", "0", "my crystal"]
    write_structures(tmp_path / name, [NamedStructure(one, structure) for one in asked])
    assert [one for one, _ in read_structures(tmp_path / name)] == asked
    if name.endswith("xyz"):
        frames = ase.io.read(tmp_path / name, ":")
        assert [frame.info["uid"] for frame in frames] == asked
        ase.io.write(tmp_path / name, frames)
        assert [one for one, _ in read_structures(tmp_path / name)] == asked


def hide_json(folder: Path) -> None:
    """Lay structures beside CIFs, and a table and notes that hold none."""
    (folder / "table.csv").write_text("id,energy\na,1\n")
    (folder / "notes.json").write_text('{"lattice": "none"}')
    assert len(read_structures(folder)) == 2
    write_structures(folder / "more.json", crystals())


def hide_csv(folder: Path) -> None:
    """Lay CIFs in the cells of a table beside them."""
    told = cif_text(crystals()[0].structure).replace('"', '""')
    (folder / "more.csv").write_text(f'id,cif\na,"{told}"\n')


def hide_packed(folder: Path) -> None:
    """Lay a compressed CIF beside them."""
    (folder / "more.cif.gz").write_bytes(gzip.compress(b"data_"))


def hide_deeper(folder: Path) -> None:
    """Lay CIFs in a folder inside."""
    write_structures(folder / "more", crystals()[:1])


@pytest.mark.parametrize("hide", [hide_json, hide_csv, hide_packed, hide_deeper])
def test_nothing_beside_cifs_is_passed_over(hide: Callable[[Path], None], tmp_path: Path) -> None:
    """Tables, JSON, compressed files and folders inside were not read, in silence."""
    write_structures(tmp_path / "folder", crystals())
    hide(tmp_path / "folder")
    with pytest.raises(StructureFileError, match=r"holds more.* beside its \.cif files"):
        read_structures(tmp_path / "folder")


@pytest.mark.parametrize("name", ["one.cif", "one.extxyz", "one.json", "POSCAR", "one.csv"])
def test_a_compressed_file_is_read_as_what_it_is(name: str, tmp_path: Path) -> None:
    """As databases hand them out; what is wrong in it is told of the file that was given."""
    write_structures(tmp_path / name, crystals()[:1])
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    (_, found), (_, expected) = *read_structures(packed), *read_structures(tmp_path / name)
    assert found == expected
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(StructureFileError, match=f"cannot unpack .*{name}.gz: "):
        read_structures(packed)
    packed.write_bytes(gzip.compress(b"garbage"))
    with pytest.raises(StructureFileError, match=name) as caught:
        read_structures(packed)
    assert "hullscape-" not in str(caught.value)


def test_an_extxyz_may_begin_with_a_mark_and_end_its_lines_in_any_way(tmp_path: Path) -> None:
    """As editors on Windows save it."""
    write_structures(tmp_path / "a.extxyz", crystals())
    text = (tmp_path / "a.extxyz").read_text()
    for data in (b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), text.encode("utf-16")):
        (tmp_path / "b.extxyz").write_bytes(data)
        assert read_structures(tmp_path / "b.extxyz") == read_structures(tmp_path / "a.extxyz")


def test_an_archive_without_cifs_says_what_it_is_read_for(tmp_path: Path) -> None:
    """Its POSCARs are no structures to it."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("POSCAR", "Al")
    with pytest.raises(StructureFileError, match=r"no structure in a \.cif file: of an archive"):
        read_structures(tmp_path / "a.zip")


def test_names_that_meet_in_a_folder_are_all_written(tmp_path: Path) -> None:
    """A second crystal of the same name is numbered, beside one that has that name."""
    named = [NamedStructure(one, crystals()[0].structure) for one in ("a", "a", "a-2")]
    write_structures(tmp_path / "out", named)
    assert len(read_structures(tmp_path / "out")) == 3


def test_a_bad_row_is_named_and_a_generator_is_judged_by_it(tmp_path: Path) -> None:
    """A table of structures is refused by the row; of a generator's crystals that one is bad."""
    file = tmp_path / "a.parquet"
    write_structures(file, crystals())
    table = pq.read_table(file)
    lattices = [table["lattice"][0].as_py(), [1.0, 2.0]]
    pq.write_table(table.set_column(4, "lattice", pa.array(lattices)), file)
    with pytest.raises(StructureFileError, match=r"row 1 of .*: expected 9 numbers as lattice"):
        read_structures(file)
    good, bad = imported(file)
    assert good.given == crystals()[0].structure
    assert bad.given is None and "expected 9 numbers as lattice, got 2" in bad.reason


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
    monkeypatch.setattr(cif_files, "MAX_UNPACKED_BYTES", 10_000)
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
