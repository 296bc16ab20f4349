"""CIFs that name their space group and list no operations: read as they mean it, or refused."""

import numpy as np
import pytest
import spglib
from pymatgen.core import Lattice

from explorer.cif_symmetry import GLIDES, missing_operations
from explorer.crystals import spacegroup_of
from explorer.structure_files import StructureFileError, parse_cif

DIAMOND = "5.43 5.43 5.43 90 90 90"
MONOCLINIC = "5.1 6.3 7.7 90 97 90"
RHOMBOHEDRAL = "10.2 10.2 10.2 24.8 24.8 24.8"
HEXAGONAL = "4.4 4.4 30 90 90 120"
PAIR = "Ca1 Ca .1 .2 .3\nO1 O .65 .4 .15"


def cif(cell: str, symmetry: str, sites: str) -> str:
    """Return a CIF with what it says of its symmetry."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"_cell_{name} {value}" for name, value in zip(names, cell.split(), strict=True)]
    columns = ["_atom_site_label", "_atom_site_type_symbol"]
    columns += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    return "\n".join(["data_x", *lines, symmetry, "loop_", *columns, sites]) + "\n"


@pytest.mark.parametrize(
    ("cell", "symbol", "sites", "n_atoms", "group"),
    [
        (DIAMOND, "F d -3 m :1", "Si Si 0 0 0", 8, 227),
        (DIAMOND, "F d -3 m S", "Si Si 0 0 0", 8, 227),
        (DIAMOND, "F d -3 m :2", "Si Si .125 .125 .125", 8, 227),
        (DIAMOND, "Fd-3mZ", "Si Si .125 .125 .125", 8, 227),
        (DIAMOND, "F d 3 m (origin choice 2)", "Si Si .125 .125 .125", 8, 227),
        (MONOCLINIC, "P 21/n", PAIR, 8, 14),
        (MONOCLINIC, "P2(1)/c", PAIR, 8, 14),
        (MONOCLINIC, "P 1 21/a 1", PAIR, 8, 14),
        (MONOCLINIC, "I 2/a", PAIR, 16, 15),
        ("5.1 6.3 7.7 90 90 97", "B 2/m", PAIR, 16, 12),
        ("5.3 9.5 7.6 90 90 90", "C m c a", PAIR, 32, 64),
        ("5.3 9.5 7.6 90 90 90", "P b n m", PAIR, 16, 62),
        (RHOMBOHEDRAL, "R -3 m", "Bi Bi .4 .4 .4\nTe Te 0 0 0", 3, 166),
        (RHOMBOHEDRAL, "R -3 m :R", "Bi Bi .4 .4 .4\nTe Te 0 0 0", 3, 166),
        (HEXAGONAL, "R -3 m H", "Bi Bi 0 0 .4\nTe Te 0 0 0", 9, 166),
    ],
)
def test_symbols_are_read_as_people_write_them(
    cell: str, symbol: str, sites: str, n_atoms: int, group: int
) -> None:
    """Pymatgen reads most of these without symmetry: of diamond one atom is left."""
    (found,) = parse_cif(cif(cell, f"_symmetry_space_group_name_H-M '{symbol}'", sites), "x.cif")
    assert len(found.structure) == n_atoms
    assert spacegroup_of(found.structure, 0.01) == group


@pytest.mark.parametrize("setting", range(1, 531))
def test_every_setting_is_known_by_its_symbol(setting: int) -> None:
    """With its origin or axes behind it where there are two, in a cell that has the symmetry."""
    kind = spglib.get_spacegroup_type(setting)
    known = spglib.get_symmetry_from_database(setting)
    rng = np.random.default_rng(setting)
    seed = np.diag(rng.uniform(5, 9, 3)) + rng.uniform(-1.5, 1.5, (3, 3))
    rotations = known["rotations"].astype(float)
    metric = np.mean([r.T @ (seed @ seed.T) @ r for r in rotations], axis=0)
    lattice = Lattice(np.linalg.cholesky(metric))
    first = kind.choice[:1]
    name = GLIDES.get(kind.number, {}).get(kind.choice.lstrip("12"), kind.international_full)
    symbol = name + (f" :{first}" if first and first in "12HR" else "")
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    cell = {f"_cell_{n}": f"{v:.5f}" for n, v in zip(names, lattice.parameters, strict=True)}
    found = missing_operations({"_symmetry_space_group_name_H-M": symbol, **cell})
    assert len(found) == len(rotations)
    told = {"_space_group_name_Hall": kind.hall_symbol, **cell}
    assert set(missing_operations(told)) == set(found)


def test_an_origin_that_stays_open_is_asked_for_unless_the_formula_tells_it() -> None:
    """Silicon at 1/8 is diamond at the second origin, and 16 atoms at the first."""
    group, sites = "_space_group_name_H-M_alt 'F d -3 m'\n", "Si Si .125 .125 .125"
    with pytest.raises(StructureFileError, match=r"F d -3 m, of which it leaves the origin"):
        parse_cif(cif(DIAMOND, group, sites), "x.cif")
    formula = "_chemical_formula_sum 'Si1'\n_cell_formula_units_Z 8"
    (found,) = parse_cif(cif(DIAMOND, group + formula, sites), "x.cif")
    assert len(found.structure) == 8
    (found,) = parse_cif(cif(DIAMOND, group + formula, "Si Si 0 0 0"), "x.cif")
    assert len(found.structure) == 8
    number = f"_space_group_IT_number 227\n{formula}"
    (found,) = parse_cif(cif(DIAMOND, number, sites), "x.cif")
    assert len(found.structure) == 8


@pytest.mark.parametrize(
    ("symmetry", "reason"),
    [
        ("_symmetry_space_group_name_H-M 'F x -3 m'", "F x -3 m, which is unknown"),
        ("_space_group_IT_number 231", "231: expected one from 1 to 230"),
        ("_symmetry_space_group_name_H-M 'P 63/m m c'", "has not the symmetry of the space group"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'foo'", "'foo' is no symmetry operation"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, y'", "'-x, y' is no symmetry operat"),
    ],
)
def test_what_cannot_be_meant_is_refused(symmetry: str, reason: str) -> None:
    """Instead of a crystal without symmetry, or with every atom at the origin."""
    with pytest.raises(StructureFileError) as told:
        parse_cif(cif(DIAMOND, symmetry, "Si Si 0 0 0"), "x.cif")
    assert reason in str(told.value)
    assert "OLD_ERROR" not in str(told.value)


def test_operations_count_whatever_the_case_of_their_name() -> None:
    """And a CIF that says nothing of its symmetry has none."""
    loop = "loop_\n_Symmetry_Equiv_Pos_As_XYZ\n'x, y, z'\n'-x, -y, -z'"
    (found,) = parse_cif(cif(MONOCLINIC, loop, PAIR), "x.cif")
    assert len(found.structure) == 4
    (found,) = parse_cif(cif(MONOCLINIC, "", PAIR), "x.cif")
    assert len(found.structure) == 2


def test_atoms_of_a_group_whose_operations_were_left_to_the_reader() -> None:
    """As CrystaLLM writes them: the identity alone, and a formula that counts the whole cell."""
    group = "_symmetry_space_group_name_H-M Fm-3m\n_symmetry_Int_Tables_number 225"
    alone = f"{group}\nloop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 'x, y, z'"
    sites = "Na Na 0 0 0\nCl Cl .5 .5 .5"
    cell = "5.6 5.6 5.6 90 90 90"
    whole = "_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 4\n"
    (found,) = parse_cif(cif(cell, whole + alone, sites), "x.cif")
    assert (len(found.structure), spacegroup_of(found.structure)) == (8, 225)
    listed = "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 1\n"
    (found,) = parse_cif(cif("4 4 4 60 60 60", listed + alone, sites), "x.cif")
    assert len(found.structure) == 2
