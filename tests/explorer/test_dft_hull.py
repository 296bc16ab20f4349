"""The hull of DFT formation energies: how it is computed, shipped, and whom it admits."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.dft_hull import (
    HULL_FILE,
    SIDES_FILE,
    HullModeError,
    competing_phases,
    dft_references,
    fit_of,
)
from explorer.dft_vertices import build_hull
from explorer.figures.hull_picture import after_campaign, known_picture, with_candidates
from explorer.hull import Hull
from explorer.known_phases import known_phases
from explorer.laboratory import Library, tell_role
from explorer.phases import (
    ReferenceFileError,
    digest_of,
    phase_from_structure,
    read_metadata,
    read_rows,
    write_phases,
)
from explorer.potentials import EnergyLevel, potential
from explorer.references import DFT, ReferencePhases

MP2020 = EnergyLevel("toy 1", "0123456789ab", "MP2020")
TABLE = [
    ("mp-1", "CaAl2", -0.33, "Al-Ca"),
    ("mp-2", "CaAl2", -0.20, "Al-Ca"),
    ("mp-3", "CaAl4", -0.22, "Al-Ca"),
    ("mp-4", "CaAl", -0.10, "Al-Ca"),
    ("mp-5", "AlCu", -0.20, "Al-Cu"),
    ("mp-6", "CaAl2Cu2", -0.05, "Al-Ca-Cu"),
    ("mp-7", "CaAlCu", -0.40, "Al-Ca-Cu"),
    ("mp-8", "CaCu", 0.10, "Ca-Cu"),
    ("mp-9", "Ca", 0.02, "Ca"),
    ("mp-10", "CaCu5", None, "Ca-Cu"),
]


def table(path: Path, rows: list[tuple] = TABLE) -> Path:
    """Write a table of published formation energies."""
    names = ("id", "formula", "formation_energy_per_atom", "chemsys")
    columns = {n: list(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
    pq.write_table(pa.table(columns), path)
    return path


def elements(level: EnergyLevel) -> ReferencePhases:
    """Return a system of which the potential knows the elements and one compound."""
    cell = Lattice.cubic(4)
    crystals = [("al", ["Al"], -3.7), ("ca", ["Ca"], -2.0), ("cu", ["Cu"], -4.1)]
    phases = [
        phase_from_structure(name, Structure(cell, kinds, [[0, 0, 0]]), energy, "toy")
        for name, kinds, energy in crystals
    ]
    pair = Structure(cell, ["Ca", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return ReferencePhases(level, (*phases, phase_from_structure("cacu", pair, -9.0, "toy")))


def quiet(_: str) -> None:
    """Swallow progress."""


@pytest.fixture
def hull_file(tmp_path: Path) -> Path:
    """Return the corners of the small table."""
    build_hull([table(tmp_path / "in.parquet")], tmp_path / "hull.parquet", quiet)
    return tmp_path / "hull.parquet"


def test_only_corners_of_their_own_system_are_kept(hull_file: Path) -> None:
    """The higher polymorph, what lies above a tie line or above the elements, and elements go."""
    rows = read_rows(hull_file, ("Al", "Ca", "Cu"))
    assert {row["id"] for row in rows} == {"mp-1", "mp-3", "mp-5", "mp-7"}
    assert {row["id"] for row in read_rows(hull_file, ("Al", "Ca"))} == {"mp-1", "mp-3"}
    assert "CC BY 4.0" in read_metadata(hull_file)["attribution"]


def test_candidates_are_placed_by_their_formation_energy(hull_file: Path) -> None:
    """E - sum(x_i E_i) of the potential against DFT; the potential's own compounds do not count."""
    hull = Hull(dft_references(elements(MP2020), hull_file))
    assert hull.references.mode == DFT
    formation = -0.30
    energy = formation + (-2.0 + 2 * -3.7) / 3
    point = hull.place("CaAl2", energy, MP2020)
    assert point.formation_energy == pytest.approx(formation)
    assert point.energy_above_hull == pytest.approx(0.03)
    pair = hull.place("CaCu", (-2.0 - 4.1) / 2, MP2020)
    assert pair.energy_above_hull == pytest.approx(0, abs=1e-9)
    assert "cacu" not in hull.stable


def test_a_potential_of_another_scale_is_refused(hull_file: Path) -> None:
    """The message names its scale and the way out; "auto" leaves it on its own hull."""
    other = elements(EnergyLevel("toy 1", "0123456789ab", "none"))
    with pytest.raises(HullModeError, match=r"MP2020.*correction none.*hull potential"):
        dft_references(other, hull_file)
    assert competing_phases(other, "auto") is other
    assert competing_phases(elements(MP2020), "potential").mode == "potential"
    assert competing_phases(elements(MP2020), "auto").mode == DFT


def test_the_command_counts_and_names_what_it_left_out(tmp_path: Path, capsys) -> None:
    """Of two tables the later one counts; a phase without an energy has its reason."""
    first = table(tmp_path / "a.parquet")
    second = table(tmp_path / "b.parquet", [("mp-3", "CaAl4", -0.01, "Al-Ca")])
    out, told = tmp_path / "hull.parquet", tmp_path / "told.json"
    arguments = ["references", "hull", str(first), str(second), "-o", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json", str(told)])
    assert ended.value.code == 0
    report = json.loads(told.read_text())
    assert (report["read"], report["written"]) == (9, 3)
    assert report["refused"] == {"mp-10": "no finite energy"}
    assert "written" in capsys.readouterr().out


def test_tables_that_will_not_do_are_named(tmp_path: Path) -> None:
    """A file that is no Parquet, one without energies, and a damaged result."""
    out = tmp_path / "hull.parquet"
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ReferenceFileError, match="expected a Parquet table"):
        build_hull([tmp_path / "text.parquet"], out, quiet)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "thin.parquet")
    with pytest.raises(ReferenceFileError, match="lacks the column formula"):
        build_hull([tmp_path / "thin.parquet"], out, quiet)
    with pytest.raises(ReferenceFileError, match=r"text\.parquet"):
        dft_references(elements(MP2020), tmp_path / "text.parquet")


def test_the_name_of_a_hull_tells_which_zeros_and_which_predictions_it_has() -> None:
    """Once the elements were fitted anew, and campaigns of before and after looked alike."""
    known = ReferencePhases.shipped("Al-Ca-Cu")
    fit, predicted = fit_of(known.level), digest_of(SIDES_FILE)
    moved = replace(fit, energies=dict(fit.energies) | {"Al": fit.energies["Al"] + 1e-5})
    assert moved.digest != fit.digest
    for system in ("Al-Ca-Cu", ""):
        name = Library("chgnet", None, system, "filled").competing(system).name
        assert f"fitted elements [{fit.digest}]" in name
        assert name.endswith(f"predicted compounds of sides-chgnet.parquet [{predicted}]")


def test_phases_of_ones_own_that_do_not_compete_are_told() -> None:
    """On the hull of DFT a reference file says what is known; on the potential's it competes."""
    told: list[str] = []
    asked = CampaignSpec.parse(elements="Al-Cu", references="folder/mine.parquet", hull="auto")
    others = [{"hull": "potential"}, {"hull": "filled"}, {"references": None}]
    for spec in (asked, *(asked.model_copy(update=other) for other in others)):
        tell_role(spec, potential("chgnet"), told.append)
    assert len(told) == 1
    assert told[0].startswith("mine.parquet tells which crystals are known, but its compounds do ")
    assert "choose hull filled" in told[0]


def test_compounds_of_a_set_of_ones_own_fill_the_gaps_of_the_hull(tmp_path: Path) -> None:
    """Where nothing is published; and published phases stay known, which the set does not hold."""
    shipped = ReferencePhases.shipped("Al-Ca-Cu")
    cell = Lattice.cubic(4)
    al, cu, both = (Structure(cell, kinds, [[0.5 * k] * 3 for k in range(len(kinds))])
                    for kinds in (["Al"], ["Cu"], ["Al", "Cu"]))  # fmt: skip
    ca, gap = cell.matrix * 1.2, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    new = Structure(cell, ["Ca", "Al", "Cu", "Cu"], gap)
    phases = [
        phase_from_structure("al", al, -3.7, "mine"), phase_from_structure("cu", cu, -4.1, "mine"),
        phase_from_structure("ca", Structure(Lattice(ca), ["Ca"], [[0] * 3]), -2.0, "mine"),
        phase_from_structure("new", new, -4.0, "mine"), phase_from_structure("x", both, -9.0, "m"),
    ]  # fmt: skip
    write_phases(tmp_path / "mine.parquet", phases, shipped.level, {})
    own = known_phases("chgnet", "Al-Ca-Cu", "filled", tmp_path / "mine.parquet")
    assert {phase.id for phase in own.phases} >= {phase.id for phase in shipped.phases}
    published, filled = (competing_phases(own, hull) for hull in ("auto", "filled"))
    assert {"new", "x"}.isdisjoint(phase.id for phase in published.phases)
    assert "AlCu" in {phase.formula for phase in published.phases}  # so x does not compete
    assert {phase.id for phase in filled.phases} >= {"new"}
    assert "x" not in {phase.id for phase in filled.phases}
    assert ", 1 compound of mine.parquet [" in filled.name
    places = [Hull(some).place("CaAlCu2", -3.9, own.level) for some in (published, filled)]
    assert places[0].energy_above_hull < places[1].energy_above_hull == pytest.approx(0.1)
    assert places[1].decomposition == "CaAlCu2"


def test_the_shipped_hull_holds_phases_whose_structure_is_not_at_hand() -> None:
    """CaAl2 competes with every candidate of Al-Ca-Cu, and lies where DFT puts it."""
    known = ReferencePhases.shipped("Al-Ca-Cu")
    hull = Hull(dft_references(known))
    by_formula = {p.formula: p for p in hull.references.phases}
    assert "CaAl2" not in {p.formula for p in known.phases}
    point = hull.place("CaAl2", by_formula["CaAl2"].energy_per_atom, known.level)
    assert point.formation_energy == pytest.approx(-0.328, abs=0.01)
    assert set(hull.stable) == {p.id for p in hull.references.phases}
    assert HULL_FILE.stat().st_size < 2**20
    assert hull.elements == ("Al", "Ca", "Cu")


@pytest.mark.parametrize("symbol", ["Si", "Sn", "Pu", "S"])
def test_crystals_of_an_element_are_measured_from_its_own_lowest_one(symbol: str) -> None:
    """The fitted zero of Sn lies 0.33 eV/atom off its lowest crystal, that of Pu 0.50 above it."""
    known = ReferencePhases.shipped(symbol)
    lowest = known.published.elemental[symbol].energy_per_atom
    for system in (symbol, f"{symbol}-Al-O"):
        hull = Hull(dft_references(ReferencePhases.shipped(system)))
        point = hull.place(symbol, lowest + 0.02, known.level)
        assert point.energy_above_hull == pytest.approx(0.02, abs=1e-6)
        assert point.formation_energy == pytest.approx(0.02, abs=1e-6)
        told = hull.energies_above([symbol], [lowest + 0.02])
        assert told[0] == pytest.approx(0.02, abs=1e-6)


def test_a_new_form_of_an_element_lowers_the_hull_by_its_depth_alone() -> None:
    """Not by what the fitted zero differs from the element, and compounds lose their share."""
    known = ReferencePhases.shipped("Si-Mg")
    hull = Hull(dft_references(known))
    lowest = known.published.elemental["Si"].energy_per_atom
    form = Candidate(
        *("form", 0), formula="Si", state=State.RELAXED, level=known.level,
        energy_per_atom=lowest - 0.03, energy_above_hull=-0.03,
    )  # fmt: skip
    lowering = hull.lowering(form)
    assert lowering.depth == pytest.approx(0.03, abs=1e-6)
    assert lowering.destabilised == {known.published.elemental["Si"].id: pytest.approx(0.03)}
    lowered = hull.lowered_by([form])
    before, after = (h.place("MgSi", -3.5, known.level).energy_above_hull for h in (hull, lowered))
    assert after - before == pytest.approx(0.03 / 4, abs=1e-6)  # of MgSi a quarter is left as Si
    picture = with_candidates(known_picture(hull), [form])
    drawn = next(dot for dot in picture.dots if dot.id == "form")
    assert drawn.formation_energy == pytest.approx(-0.03)
    shared = after_campaign(picture, hull, [form])
    told = {dot.id: dot.energy_above_hull for dot in shared.dots}
    assert told["form"] == pytest.approx(0, abs=1e-6)
    assert told[known.published.elemental["Si"].id] == pytest.approx(0.03, abs=1e-6)
