"""Reference phases: what ships, what a user builds or imports, and what is missing."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import ELEMENTS, PickyPotential
from toy_potentials import emt as faulty_emt

from explorer.batch_evaluation import Evaluation
from explorer.candidate import Relaxation
from explorer.crystals import NamedStructure, gate, spacegroup_of, to_atoms
from explorer.elements import TEXTBOOK, elemental_structure
from explorer.hull import Hull
from explorer.laboratory import Library
from explorer.novelty import Matcher
from explorer.phases import read_chemical_systems, read_notes, subsystems
from explorer.potentials import Potential, potential
from explorer.reference_build import Limits, build
from explorer.reference_energies import another_crystal, settled
from explorer.reference_import import import_phases
from explorer.reference_parts import Outcome, Parts
from explorer.references import (
    ReferenceFileError,
    ReferencePhases,
    shipped_file,
    shipped_potentials,
)
from explorer.trace import Recorder


def emt() -> Potential:
    """Return a toy potential without its faults."""
    return faulty_emt(frozenset({"Al", "Cu"}))


def quiet(_: str) -> None:
    """Swallow progress."""


def test_a_shipped_system_brings_its_subsystems() -> None:
    """Al-Ca-Cu comes with its binaries and elements, at the level of today's CHGNet."""
    found = ReferencePhases.shipped("Al-Ca-Cu")
    assert {p.chemsys for p in found.phases} <= set(subsystems(["Al", "Ca", "Cu"]))
    assert {"Al", "Ca", "Cu"} <= {p.chemsys for p in found.phases}
    assert found.missing_elements == ()
    assert found.level == potential("chgnet").level
    assert ReferencePhases.shipped(["Cu", "Al", "Ca"]).name == found.name
    assert all(p.structure.composition.reduced_formula for p in found.phases)


def test_every_element_of_the_potential_has_a_corner() -> None:
    """No hull of known elements lacks a terminal reference."""
    for symbol in potential("chgnet").elements:
        assert ReferencePhases.shipped([symbol]).missing_elements == (), symbol


def test_the_shipped_file_says_what_it_is() -> None:
    """Attribution and geometry travel in the file; it holds thousands of systems, once each."""
    notes = read_notes(shipped_file("chgnet"))
    assert "Materials Project" in notes["attribution"]
    assert "relaxed with the potential" in notes["geometry"]
    systems = read_chemical_systems(shipped_file("chgnet"))
    assert len(systems) == len(set(systems)) > 10_000
    assert shipped_potentials() == ["chgnet"]


def test_shipped_phases_are_relaxed_or_say_why_not() -> None:
    """What the potential does not hold keeps its static energy, with a remark: soft crystals.

    Layers and molecules whose cohesion the potential lacks are a few of a hundred.
    """
    table = pq.read_table(shipped_file("chgnet"), columns=["geometry", "remark"])
    rows = table.to_pylist()
    static = [row["remark"] for row in rows if row["geometry"] == "static"]
    assert len(static) < 0.05 * len(rows)
    assert all(static)


def test_shipped_energies_agree_with_the_published_hull() -> None:
    """Phases that DFT finds stable lie near the CHGNet hull of their system."""
    distances = []
    for system in ("Ca-O-Ti", "Ba-Cu-O", "Al-Cs-O", "Mn-Na-O", "As-Cu-O", "Bi-Cl-O"):
        found = ReferencePhases.shipped(system)
        hull = Hull(found)
        distances += [
            hull.place(p.formula, p.energy_per_atom, found.level).energy_above_hull
            for p in found.phases
            if p.e_above_hull_dft is not None and p.e_above_hull_dft <= 0
        ]
    assert len(distances) >= 15
    assert np.median(distances) < 0.02


def test_targets_are_the_near_hull_phases_of_the_whole_system() -> None:
    """The retrieval curve counts ternaries of a ternary system only."""
    found = ReferencePhases.shipped("Ca-O-Ti")
    targets = found.targets()
    assert targets
    assert all(t.chemsys == "Ca-O-Ti" and t.e_above_hull_dft <= 0.02 for t in targets)
    assert {t.chemsys for t in found.targets("Ti-O", 0.1)} == {"O-Ti"}
    assert len(found.targets(max_e_above_hull=0.1)) >= len(targets)


@pytest.mark.parametrize("name", ["nothing", "matgl:/some/path"])
def test_potentials_without_shipped_phases_are_told(name: str) -> None:
    """The message says what there is and how to make more."""
    with pytest.raises(ReferenceFileError, match="references build"):
        ReferencePhases.shipped("Al-Cu", name)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A Parquet file without a level, and a file that is no Parquet, are named."""
    pq.write_table(pa.table({"chemsys": ["Al"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(ReferenceFileError, match="no energy level"):
        ReferencePhases.from_file(tmp_path / "a.parquet", "Al")
    for name in ("b.parquet", "missing.parquet"):
        with pytest.raises(ReferenceFileError, match=name):
            ReferencePhases.from_file(tmp_path / name, "Al")


@pytest.mark.parametrize("rows", [1, 3, 100_000])
def test_no_phase_is_lost_however_a_file_is_stored(rows: int, tmp_path: Path) -> None:
    """A reference file that another program rewrote has other row groups and the same phases."""
    table = pq.read_table(shipped_file("chgnet")).slice(0, 700)
    again = tmp_path / "again.parquet"
    pq.write_table(table, again, row_group_size=rows)
    for system in table["chemsys"].to_pylist()[::97]:
        ours = [
            p.id for p in ReferencePhases.from_file(again, system).phases if p.chemsys == system
        ]
        theirs = table.filter(pc.equal(table["chemsys"], system))["id"].to_pylist()
        assert ours == theirs


def published(path: Path) -> Path:
    """Write a small table of published structures: two near the hull, one far, one foreign."""
    l12 = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.7), ["Al", "Cu"], [[0, 0, 0], [0, 0.5, 0.5]]
    )
    b2 = Structure(Lattice.cubic(2.9), ["Al", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    far = Structure(Lattice.cubic(2.6), ["Cu"], [[0, 0, 0]])
    salt = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rows = [("a", l12, 0.0), ("b", b2, 0.05), ("c", b2, 0.5), ("d", far, 0.6), ("e", salt, 0.0)]
    return write_table(path, rows)


def write_table(path: Path, rows: Sequence[tuple[str, Structure, float]]) -> Path:
    """Write a table of published structures: id, structure, eV/atom above the hull."""
    pq.write_table(
        pa.table(
            {
                "id": [name for name, _, _ in rows],
                "source": ["toy" for _ in rows],
                "formula": [s.composition.reduced_formula for _, s, _ in rows],
                "chemsys": [s.chemical_system for _, s, _ in rows],
                "n_atoms": [len(s) for _, s, _ in rows],
                "spacegroup": [spacegroup_of(s) for _, s, _ in rows],
                "e_above_hull": [e for _, _, e in rows],
                "lattice": [s.lattice.matrix.ravel() for _, s, _ in rows],
                "numbers": [list(s.atomic_numbers) for _, s, _ in rows],
                "frac_coords": [s.frac_coords.ravel() for _, s, _ in rows],
            }
        ),
        path,
    )
    return path


def test_a_set_is_built_from_published_structures(tmp_path: Path) -> None:
    """Near-hull rows and all elements are taken, far compounds are not, corners are added."""
    out = tmp_path / "set.parquet"
    report = build(published(tmp_path / "in.parquet"), emt(), out, progress=quiet)
    found = ReferencePhases.from_file(out, "Al-Cu")
    assert report.refused == {}
    assert {p.id for p in found.phases} == {"a", "b", "d", "element-Al", "element-Cu"}
    assert found.level == emt().level
    assert Hull(found).stable[-1] in {"element-Al", "element-Cu", "a"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.parquet", "set.parquet"]


def test_a_set_of_some_compounds_holds_every_element(tmp_path: Path) -> None:
    """The same ones for a seed; another number is another build."""
    source = crowd(tmp_path / "in.parquet", 9)
    sets = [tmp_path / f"{k}.parquet" for k in range(3)]
    for out, seed in zip(sets, (1, 1, 2), strict=True):
        build(source, emt(), out, progress=quiet, compounds=4, seed=seed)
    names = [{p.id for p in ReferencePhases.from_file(out, "Al-Cu").phases} for out in sets]
    assert {"element-Al", "element-Cu"} < names[0]
    assert len(names[0]) == 6
    assert names[0] == names[1] != names[2]


def crowd(path: Path, n: int) -> Path:
    """Write a table of `n` strained crystals of copper and aluminium in turns, close to rest."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(n):
        cell = Lattice.tetragonal(2.63, 4.06)
        layers = Structure(cell, ["Al", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        layers.apply_strain(rng.uniform(-0.02, 0.02, 3))
        rows.append(
            {
                "id": f"p{k}",
                "source": "toy",
                "formula": "AlCu",
                "chemsys": "Al-Cu",
                "n_atoms": 2,
                "spacegroup": 47,
                "e_above_hull": 0.0,
                "lattice": layers.lattice.matrix.ravel().tolist(),
                "numbers": list(layers.atomic_numbers),
                "frac_coords": layers.frac_coords.ravel().tolist(),
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


KILLED = """
import sys
from pathlib import Path
from explorer.reference_build import Limits, build
from toy_potentials import emt
if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:])
    build(source, emt(frozenset({"Al", "Cu"})), out, limits=Limits(), workers=1)
"""


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    """After SIGKILL the finished parts count, and every phase is there once, relaxed."""
    source, out = crowd(tmp_path / "in.parquet", 100), tmp_path / "set.parquet"
    (tmp_path / "build_it.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "build_it.py"), str(source), str(out)]
    paths = f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[2]}"
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True
    )
    first = process.stderr.readline()
    process.kill()
    process.communicate()
    done = int(first.split("/")[0])
    assert not out.exists()
    report = build(source, emt(), out, progress=quiet, limits=Limits(), workers=1)
    assert done <= report.resumed < 100
    phases = ReferencePhases.from_file(out, "Al-Cu").phases
    assert {p.id for p in phases if p.chemsys == "Al-Cu"} == {f"p{k}" for k in range(100)}
    assert (report.unrelaxed, report.refused) == ({}, {})
    energies = [p.energy_per_atom for p in phases if p.chemsys == "Al-Cu"]
    assert {p.geometry for p in phases} == {"relaxed"}
    assert np.ptp(energies) < 1e-3, "strained copies relax to one crystal"
    assert not (tmp_path / "set.parts").exists()


def test_parts_of_another_build_are_refused(tmp_path: Path) -> None:
    """A long computation is neither mixed with another potential nor thrown away by a slip."""
    source, out = published(tmp_path / "in.parquet"), tmp_path / "set.parquet"
    parts = Parts(tmp_path / "set.parts", {"level": "another"})
    parts.write([Outcome("a", -1.0, "static", "", np.eye(3), np.zeros((1, 3)))])
    with pytest.raises(ReferenceFileError, match=r"another build.*--no-resume"):
        build(source, emt(), out, progress=quiet)
    (tmp_path / "set.parts" / "part-000000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ReferenceFileError, match=r"cannot read .*part-000000"):
        build(source, emt(), out, progress=quiet)
    assert build(source, emt(), out, resume=False, progress=quiet).written == 5


def test_a_table_without_structures_is_refused(tmp_path: Path) -> None:
    """A file that is no Parquet, and one that lacks a column, are named with what was expected."""
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ReferenceFileError, match="expected a Parquet table"):
        build(tmp_path / "text.parquet", emt(), tmp_path / "set.parquet", progress=quiet)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "thin.parquet")
    with pytest.raises(ReferenceFileError, match="lacks the column source"):
        build(tmp_path / "thin.parquet", emt(), tmp_path / "set.parquet", progress=quiet)


def test_a_phase_that_runs_away_keeps_its_static_energy() -> None:
    """What is no longer the published crystal says so, and keeps the published geometry."""
    salt = Structure(Lattice.cubic(5.2), ["Al", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    squashed = salt.copy()
    squashed.scale_lattice(24.0)
    level, matcher = emt().level, Matcher()
    recorder = Recorder()
    for crystal, energy in ((salt, -1.2), (squashed, -3.0)):
        recorder.add(to_atoms(crystal), Evaluation(energy, np.zeros((2, 3)), np.zeros((3, 3))))
    away = Relaxation(squashed, -1.5, None, None, 9, True, 0.1, "", level, recorder.trace())
    outcome = settled("a", salt, away, matcher)
    assert (outcome.geometry, outcome.lattice[0, 0]) == ("static", 5.2)
    assert outcome.remark == "relaxed to 0.17 times its volume, -0.900 eV/atom from static"
    assert outcome.energy_per_atom == pytest.approx(-0.6)
    failed = Relaxation(None, None, None, None, 0, False, 0.1, "worker died", level)
    dead = settled("a", salt, failed, matcher)
    assert dead.remark == "worker died"
    assert np.isnan(dead.energy_per_atom)
    other = Structure(salt.lattice, ["Al", "Cu"], [[0, 0, 0], [0.5, 0.0, 0.0]])
    assert another_crystal(salt, other, matcher) == "relaxed into another crystal"
    assert another_crystal(salt, salt.copy(), matcher) == ""


def test_a_users_own_structures_become_references(tmp_path: Path) -> None:
    """What the potential or the gate refuses is listed with its reason."""
    copper = Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    squeezed = Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0, 0, 0], [0.01, 0, 0]])
    foreign = Structure(Lattice.cubic(3.6), ["W"], [[0, 0, 0]])
    crystals = [("good", copper), ("close", squeezed), ("foreign", foreign), ("good", copper)]
    brought = [("mine.json", NamedStructure(*pair)) for pair in crystals]
    report = import_phases(brought, emt(), tmp_path / "set.parquet", quiet)
    assert report.written == 2
    assert "closer than" in report.refused["close"]
    assert report.refused["foreign"] == "emt does not know W"
    phases = ReferencePhases.from_file(tmp_path / "set.parquet", "Cu").phases
    assert {p.source for p in phases} == {"mine.json"}
    assert len({p.id for p in phases}) == 2


def test_every_structure_that_is_refused_is_listed(tmp_path: Path) -> None:
    """Also those of one name; where nothing is left, nothing is written."""
    wolfram = NamedStructure("one", Structure(Lattice.cubic(3.6), ["W"], [[0, 0, 0]]))
    copper = NamedStructure("one", Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0] * 3, [0.5] * 3]))
    brought = [("mine.json", one) for one in (wolfram, copper, wolfram, copper)]
    report = import_phases(brought, emt(), tmp_path / "set.parquet", quiet)
    assert report.written == 2
    assert report.refused == dict.fromkeys(("one", "one (3)"), "emt does not know W")
    with pytest.raises(ValueError, match="got none: the first, one: emt does not know W"):
        import_phases([("mine.json", wolfram)], emt(), tmp_path / "none.parquet", quiet)
    assert not (tmp_path / "none.parquet").exists()


def test_two_sets_of_one_name_and_one_making_are_told_apart(tmp_path: Path) -> None:
    """A campaign that goes on with an exchanged file would place the rest on another hull."""
    copper = Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0] * 3, [0.5] * 3])
    told = []
    for scale in (1.0, 1.1):
        crystal = NamedStructure("copper", copper.scale_lattice(copper.volume * scale))
        import_phases([("mine.json", crystal)], emt(), tmp_path / "mine.parquet", quiet)
        told.append(ReferencePhases.from_file(tmp_path / "mine.parquet", "Cu").name)
    assert told[0] != told[1]
    assert [name.partition(" ")[0] for name in told] == ["mine.parquet"] * 2


def test_a_reference_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relaxation workers look at hulls in folders of their own; people write relative paths."""
    copper = Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0] * 3, [0.5] * 3])
    brought = [("mine.json", NamedStructure("copper", copper))]
    import_phases(brought, emt(), tmp_path / "mine.parquet", quiet)
    monkeypatch.chdir(tmp_path)
    library = pickle.loads(pickle.dumps(Library("emt", "mine.parquet", "Cu")))  # noqa: S301
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert [phase.id for phase in library.references("Cu").phases] == ["copper"]


def test_one_structure_without_an_energy_does_not_end_an_import(tmp_path: Path) -> None:
    """What the calculator raises for one structure is that one's reason."""
    lonely = Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    pair = Structure(Lattice.cubic(3.6), ["Cu"] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    crystals = [NamedStructure("lonely", lonely), NamedStructure("pair", pair)]
    brought = [("mine.json", crystal) for crystal in crystals]
    picky = PickyPotential("picky", "1", "0" * 12, ELEMENTS, "none")
    report = import_phases(brought, picky, tmp_path / "set.parquet", quiet)
    assert (report.written, report.refused) == (1, {"lonely": "the potential gives no energy"})


@pytest.mark.parametrize("symbol", sorted(TEXTBOOK))
def test_textbook_crystals_are_sound(symbol: str) -> None:
    """Each passes the gate and has the space group that the table says."""
    structure = elemental_structure(symbol)
    assert gate(structure) == ""
    assert spacegroup_of(structure) == TEXTBOOK[symbol].spacegroup


def test_an_element_without_a_textbook_crystal_is_none() -> None:
    """ASE names the prototype of boron but not its atoms."""
    assert elemental_structure("B") is None
    assert spacegroup_of(elemental_structure("Cu")) == 225


def test_bare_pairs_of_elements_are_said() -> None:
    """A hull over two elements without a known compound is bare, and says so."""
    found = ReferencePhases.shipped("Al-Ca-Cu")
    assert found.coverage == "5 compounds compete; none is known in Ca-Cu"
    assert ReferencePhases.shipped("Al-Cu").coverage == "1 compound competes"  # in three forms
    binaries = tuple(p for p in found.phases if p.chemsys in {"Al", "Ca", "Al-Ca"})
    covered = ReferencePhases(found.level, binaries, ("Al", "Ca"))
    assert (
        covered.coverage == f"{len({p.formula for p in binaries} - {'Al', 'Ca'})} compounds compete"
    )
