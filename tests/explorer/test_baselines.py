"""Generators behind one interface: other programs' files, substitution and random crystals."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from ase import Atoms
from ase.io import write
from pymatgen.core import Lattice, Structure

from explorer.baseline_imported import generators, imported, packed_samples
from explorer.baselines import Drawn
from explorer.crystals import NamedStructure, spacegroup_of, write_structures
from explorer.structure_files import StructureFileError, cif_text, read_structures
from model.crystal import Site, WyckoffCrystal


def salt(a: float = 5.64) -> Structure:
    """Rock salt, primitive cell."""
    sites = (Site("a", "Na"), Site("b", "Cl"))
    return Drawn(0, WyckoffCrystal(225, sites, (a, a, a, 90.0, 90.0, 90.0))).structure


def padded(values: list, zero: object) -> str:
    """A list as CrystalFormer writes it: filled up to 21 entries."""
    return str(values + [zero] * (21 - len(values)))


def test_crystalformer_rows_become_wyckoff_crystals(tmp_path: Path) -> None:
    """Letters count from 1 = a; an atom may lie anywhere on its orbit; failures stay in place."""
    good = {
        "L": "[4.6, 4.6, 2.95, 90.0, 90.0, 90.0]",
        "X": padded([[0.5, 0.5, 0.5], [0.195, 0.805, 0.5]], [0.0, 0.0, 0.0]),
        "A": padded([22, 8], 0),
        "W": padded([1, 6], 0),
        "M": padded([2, 4], 0),
    }
    flat = good | {"L": "[-3.7, -3.7, 2.4, 90.0, 90.0, 120.0]"}
    astray = good | {"X": padded([[0.1, 0.2, 0.3], [0.3, 0.3, 0.0]], [0.0, 0.0, 0.0])}
    pd.DataFrame([good, flat, astray]).to_csv(tmp_path / "output_136.csv", index=False)
    rutile, bad_cell, off_site = imported(tmp_path / "output_136.csv")
    assert rutile.crystal.skeleton == (136, (("a", "Ti"), ("f", "O")))
    assert rutile.structure.composition.reduced_formula == "TiO2"
    assert spacegroup_of(rutile.structure) == 136
    assert bad_cell.crystal is None
    assert "positive lattice parameters, got -3.7" in bad_cell.reason
    assert "does not lie on 2a" in off_site.reason
    pd.DataFrame([good | {"G": 136}]).to_csv(tmp_path / "samples.csv", index=False)
    assert imported(tmp_path / "samples.csv")[0].crystal == rutile.crystal
    with pytest.raises(StructureFileError, match="expected a column G"):
        pd.DataFrame([good]).to_csv(tmp_path / "unnamed.csv", index=False)
        imported(tmp_path / "unnamed.csv")


def test_structures_in_a_table_are_read_in_each_notation(tmp_path: Path) -> None:
    """A CIF, JSON and the dictionary of CrystalFormer's second file name the same crystal."""
    values = salt().as_dict()
    texts = [cif_text(salt()), json.dumps(values), str(values), "no crystal"]
    pd.DataFrame({"cif": texts}).to_csv(tmp_path / "output_225_struct.csv", index=False)
    *read, broken = imported(tmp_path / "output_225_struct.csv")
    assert [spacegroup_of(one.structure) for one in read] == [225, 225, 225]
    assert broken.structure is None
    assert broken.reason.startswith("unreadable: ")
    pd.DataFrame({"energy": [1.0]}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(StructureFileError, match="got energy"):
        imported(tmp_path / "other.csv")


def test_crystallm_archives_keep_their_failures(tmp_path: Path) -> None:
    """A tar of CIFs is read in the order of the names; a text that is no CIF is a failure."""
    path = tmp_path / "generated.tar.gz"
    texts = {"b__1.cif": "data_NaCl\n_cell_length_a what", "a__1.cif": cif_text(salt())}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"cifs/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    first, second = imported(path)
    assert first.structure.composition.reduced_formula == "NaCl"
    assert (second.index, second.structure) == (1, None)
    assert "b__1.cif" in second.reason
    assert (first.name, second.name) == ("a__1", "b__1")


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    """No member may name a path outside."""
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside.cif"), io.BytesIO())
    with pytest.raises(StructureFileError, match="refused"):
        imported(path)


@pytest.mark.parametrize("name", ["generated_crystals_cif.zip", "generated_crystals.extxyz"])
def test_mattergen_files(tmp_path: Path, name: str) -> None:
    """Both files that MatterGen writes hold the same crystals in the same order."""
    path = tmp_path / name
    if path.suffix == ".zip":
        named = [NamedStructure(f"gen_{k}", salt(a)) for k, a in enumerate((5.4, 5.8))]
        write_structures(path, named)
    else:
        cells = [salt(a) for a in (5.4, 5.8)]
        frames = [
            Atoms(s.atomic_numbers, scaled_positions=s.frac_coords, cell=s.lattice.matrix, pbc=True)
            for s in cells
        ]
        write(path, frames, format="extxyz")
    drawn = imported(path)
    assert [one.index for one in drawn] == [0, 1]
    volumes = [one.structure.volume / len(one.structure) for one in drawn]
    assert volumes == pytest.approx([5.4**3 / 8, 5.8**3 / 8], rel=1e-3)


@pytest.mark.parametrize("name", ["a.parquet", "a.extxyz", "a.json", "a.zip", "a.csv", "folder"])
def test_samples_keep_their_names(tmp_path: Path, name: str) -> None:
    """Whose generator it is finds a crystal again; its number counts those of the campaign."""
    asked = ["0042", "gen-7"]
    write_structures(tmp_path / name, [NamedStructure(one, salt()) for one in asked])
    assert sorted(one.name for one in imported(tmp_path / name)) == asked


def test_one_generator_of_a_file_of_several(tmp_path: Path) -> None:
    """The column names the generator; asking for another names those there are."""
    path = tmp_path / "peers.parquet"
    write_structures(path, [NamedStructure(str(k), salt(a)) for k, a in enumerate((5.4, 5.8))])
    frame = pd.read_parquet(path).assign(generator=["CDVAE", "FTCP"])
    frame.to_parquet(path)
    (only,) = imported(path, "FTCP")
    assert only.structure.volume == pytest.approx(5.8**3 / 4)
    assert len(imported(path)) == 2
    assert generators(path) == ["CDVAE", "FTCP"]
    with pytest.raises(StructureFileError, match="samples of CDVAE, FTCP: expected those of one"):
        packed_samples(path)
    with pytest.raises(StructureFileError, match="holds CDVAE, FTCP, not 'GAN'"):
        imported(path, "GAN")
    with pytest.raises(StructureFileError, match="only a Parquet file"):
        imported(tmp_path, "CDVAE")


def test_formulas_need_no_atoms() -> None:
    """The reduced formula is the same from sites, from atoms and with oxidation states."""
    charged = salt()
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    crystal = WyckoffCrystal(
        225, (Site("a", "Na"), Site("b", "Cl")), (5.6, 5.6, 5.6, 90.0, 90.0, 90.0)
    )
    assert Drawn(0, crystal).formula == Drawn(0, given=charged).formula == (("Cl", 1), ("Na", 1))
    molecule = Structure(Lattice.cubic(4), ["O", "O"], [[0, 0, 0], [0.3, 0, 0]])
    assert Drawn(0, given=molecule).formula == (("O", 1),)
    assert Drawn(0, reason="nothing").formula is None


def test_read_structures_takes_tars_too(tmp_path: Path) -> None:
    """Every command that reads structures reads an archive of CIFs."""
    path = tmp_path / "cifs.tar"
    text = cif_text(salt()).encode()
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("salt.cif")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    (named,) = read_structures(path)
    assert named.name == "salt"
