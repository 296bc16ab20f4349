"""What strangers' files may not do: choose what is built, hang a search, speak in several lines."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from explorer.baseline_imported import imported
from explorer.campaign import CampaignSpec, SpecError
from explorer.complaints import MOST, one_line
from explorer.crystals import gate
from explorer.phases import ReferenceFileError
from explorer.references import ReferencePhases
from explorer.strangers import READ_SECONDS, reading_seconds
from explorer.structure_files import StructureFileError, parse_cif, read_structures
from explorer.ui.draft import Draft, examine
from explorer.ui.targets_view import read_upload

CIF = """data_x
_cell_length_a 60
_cell_length_b 60
_cell_length_c 60
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""


@pytest.mark.parametrize("place", ["site", "structure"])
def test_a_file_names_no_class_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A module that the properties of a pymatgen JSON name is not even imported."""
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    values = Structure(Lattice.cubic(4), ["Na"], [[0, 0, 0]]).as_dict()
    holder = values["sites"][0] if place == "site" else values
    holder["properties"] = {"x": {"@module": "trap", "@class": "Trap"}}
    (tmp_path / "a.json").write_text(json.dumps(values))
    (tmp_path / "a.csv").write_text('structure\n"' + json.dumps(values).replace('"', '""') + '"\n')
    assert read_structures("a.json")[0].structure.formula == "Na1"
    assert imported(Path("a.csv"))[0].given.formula == "Na1"
    assert not Path("sprung").exists()


@pytest.mark.parametrize("cells", [1e3, 1e9, 1e300])
def test_atoms_far_away_are_refused_at_once(cells: float) -> None:
    """Looking for the neighbours of an atom a million cells away takes minutes."""
    far = Structure(Lattice.cubic(4), ["Na", "Cl"], [[cells, 0, 0], [0.5, 0.5, 0.5]])
    assert "wrap them into the cell" in gate(far)
    near = Structure(Lattice.cubic(4), ["Na", "Cl"], [[50, 0, 0], [0.5, 0.5, 0.5]])
    assert gate(near) == ""


def test_a_cif_of_endless_atoms_is_refused_before_they_are_made() -> None:
    """The sites that it lists, times the operations, are bounded."""
    rows = "".join(f"Na{k} 0.{k:05d} 0 0\n" for k in range(2001))
    with pytest.raises(StructureFileError, match="2001 sites, more than 2000 atoms"):
        parse_cif(CIF + rows, "crowd.cif")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("M1 ? 0.5 0.5 0.5 1", "the atom M1 has no element: '?'"),
        ("O2 OH 0.5 0.5 0.5 1", "'OH' is no element: list its atoms one by one"),
        ("O2 Wat 0.5 0.5 0.5 1", "'Wat' is no element: list its atoms one by one"),
        ("O2 O 0.5 0.5 0.5 .", "the occupancy of the atom O2 is '.': expected a number"),
        ("O2 O 0.5 0.5 . 1", "the fract_z of the atom O2 is '.': expected a number"),
    ],
)
def test_no_atom_of_a_cif_is_lost_in_silence(row: str, reason: str) -> None:
    """Pymatgen leaves these out, or puts them at the origin: another composition, and no word."""
    columns = CIF.replace("label\n", "label\n_atom_site_type_symbol\n") + "_atom_site_occupancy\n"
    first = "Na1 Na+ 0 0 0 1\n"
    (found,) = parse_cif(f"{columns}{first}O2 O2- 0.5 0.5 0.5 1\n", "x.cif")
    assert len(found.structure) == 2
    with pytest.raises(StructureFileError) as told:
        parse_cif(f"{columns}{first}{row}\n", "x.cif")
    assert reason in str(told.value)


def test_only_files_and_folders_are_read(tmp_path: Path) -> None:
    """A named pipe has no end; one that is called .cif in a folder is no CIF."""
    os.mkfifo(tmp_path / "pipe.cif")
    with pytest.raises(StructureFileError, match="neither a file nor a folder"):
        read_structures(tmp_path / "pipe.cif")
    with pytest.raises(StructureFileError, match=r"no \.cif file"):
        read_structures(tmp_path)


def test_a_small_file_has_little_time(tmp_path: Path) -> None:
    """What a file may take grows with its size, and with the files of a folder."""
    (tmp_path / "a.cif").write_bytes(bytes(2**19))
    assert reading_seconds(tmp_path / "nothing") == READ_SECONDS
    assert reading_seconds(tmp_path) == reading_seconds(tmp_path / "a.cif") > 3 * READ_SECONDS


@pytest.mark.parametrize("name", ["a.csv", "a.zip", "a.parquet"])
def test_samples_that_cannot_be_read_are_named(tmp_path: Path, name: str) -> None:
    """Whatever the parser throws, the file and one line."""
    (tmp_path / name).write_bytes(b'\xff\xfe"broken\n\n,,,"')
    with pytest.raises(StructureFileError, match=rf"{name}") as caught:
        imported(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_references_with_a_name_twice_are_refused_as_such(tmp_path: Path) -> None:
    """The message is of the kind that the command and the campaign expect."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ReferenceFileError) as caught:
        ReferencePhases.from_file(tmp_path / "a.parquet", "Al-Cu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["name", "stability", "formula", "sites"])
def test_half_a_character_is_no_text(field: str) -> None:
    """A browser may send one; no database keeps it."""
    broken = "x\ud800"
    with pytest.raises(SpecError) as caught:
        CampaignSpec.parse(elements="Al", **{field: [broken] if field == "sites" else broken})
    assert str(caught.value).isprintable()


def test_an_element_of_a_formula_may_be_one_that_the_model_lacks() -> None:
    """The form says so at the formula, before anything is counted or run."""
    fields = Draft(formula="PoO2").fields()
    refused = examine(fields, {"Po": "the model has seen no crystal of it"})
    assert isinstance(refused, SpecError)
    assert refused.field == "formula"
    assert "Po" in str(refused)


def test_targets_with_unreadable_energies_are_refused_in_words(tmp_path: Path) -> None:
    """Nested lists in the place of numbers, say; the upload has a problem, not a traceback."""
    cell = {"lattice": [[4.0, 0, 0, 0, 4, 0, 0, 0, 4]], "numbers": [[11]]}
    table = pa.table(cell | {"frac_coords": [[0.0, 0, 0]], "e_above_hull": [[[1.0]]]})
    pq.write_table(table, tmp_path / "a.parquet")
    upload = read_upload("a\nb.parquet", (tmp_path / "a.parquet").read_bytes())
    assert "e_above_hull" in upload.problem
    assert "\n" not in upload.problem


def test_a_complaint_is_one_short_line() -> None:
    """Line breaks of any kind, control characters and length go; beginning and end stay."""
    assert one_line("a\n b\u2028c\x00\td") == "a b c d"
    long = one_line("begin " + "x" * 5000 + " end")
    assert len(long) < MOST + 5
    assert long.startswith("begin")
    assert long.endswith("end")
