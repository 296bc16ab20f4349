"""`hullscape export`: every format in one zip, only what was asked for, and wrong formats named."""

import csv
import io
import json
import zipfile

import pytest
from pymatgen.core import Lattice, Structure

from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.cli import main
from explorer.lease import Leases, new_owner
from explorer.potentials import EnergyLevel
from explorer.store import Store
from model.crystal import Site, WyckoffCrystal

LEVEL = EnergyLevel("toy 1", "0123456789ab", "none")


def candidate(index: int) -> Candidate:
    """Return a relaxed rock salt, `index` x 0.1 eV/atom above the hull."""
    structure = Structure.from_spacegroup(
        225, Lattice.cubic(5.2), ["Ca", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    sites = (Site("a", "Ca", ()), Site("b", "Cu", ()))
    return Candidate(
        id=f"{index:06d}",
        index=index,
        crystal=WyckoffCrystal(225, sites, (5.2, 5.2, 5.2, 90, 90, 90)),
        formula="CaCu",
        state=State.RELAXED,
        novel=True,
        initial=structure,
        relaxed=structure,
        energy_per_atom=-2.0,
        energy_above_hull=0.1 * index,
        level=LEVEL,
    )


def put(folder, **asked):
    """Return the file of a store with one campaign of two candidates, and the campaign's id."""
    store = Store(folder / "campaigns.db")
    campaign = store.create(CampaignSpec(elements=("Ca", "Cu"), n=2, name="first try", **asked))
    leases = Leases(store.engine, new_owner())
    lease = leases.take(campaign)
    store.put_candidates(lease, [candidate(0), candidate(1)])
    leases.release(lease, CampaignState.FINISHED, "")
    store.mark(campaign, "000001", starred=True, tags=["DFT next"], note="=1+1")
    store.close()
    return folder / "campaigns.db", campaign


@pytest.fixture
def stored(tmp_path):
    """Return the file and the id of a campaign that asked for no more than its elements."""
    return put(tmp_path)


def export(stored, output, *options) -> int:
    """Run the command and return its exit code."""
    file, campaign = stored
    with pytest.raises(SystemExit) as ended:
        main(["export", campaign, "--store", str(file), "-o", str(output), *options])
    return ended.value.code


def test_all_formats_go_into_one_zip(stored, tmp_path, capsys):
    """The archive has every format, the report of the campaign, provenance and README."""
    assert export(stored, tmp_path / "out.zip", "--format", "all") == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = set(archive.namelist())
        report = archive.read("report.html").decode()
        origin = json.loads(archive.read("provenance.json"))
    assert {"README.md", "candidates.csv", "candidates.json", "optimade.json"} <= names
    assert {"cifs/000001-CaCu.cif", "poscars/000000-CaCu.vasp", "vasp/000000-CaCu/INCAR"} <= names
    assert "first try" in report
    assert "DFT next; =1+1" in report
    assert origin["campaign"] == stored[1]
    assert "2" in capsys.readouterr().out


def test_only_what_is_starred_or_near(stored, tmp_path, capsys):
    """A star and a distance choose candidates; the note is no formula in the table."""
    assert export(stored, tmp_path / "a", "--starred", "--format", "csv,poscar") == 0
    assert [path.name for path in (tmp_path / "a" / "poscars").iterdir()] == ["000001-CaCu.vasp"]
    assert "'=1+1" in (tmp_path / "a" / "candidates.csv").read_text()
    assert not (tmp_path / "a" / "cifs").exists()
    assert export(stored, tmp_path / "b", "--max-above-hull", "0.05") == 0
    assert [path.name for path in (tmp_path / "b" / "cifs").iterdir()] == ["000000-CaCu.cif"]
    capsys.readouterr()


def test_a_format_that_nobody_knows_is_refused(stored, tmp_path, capsys):
    """One line lists the formats, and nothing is written."""
    assert export(stored, tmp_path / "out.zip", "--format", "docx") == 2
    assert "got 'docx'" in capsys.readouterr().err
    assert not (tmp_path / "out.zip").exists()


def test_a_folder_without_a_run_is_no_campaign_of_the_page(stored, tmp_path, capsys):
    """The page's newest campaign left under the name of somebody's empty folder."""
    (tmp_path / "mine").mkdir()
    assert export((stored[0], str(tmp_path / "mine")), tmp_path / "out.zip") == 2
    assert "mine holds no run" in capsys.readouterr().err
    (tmp_path / "mine" / "campaign.db").touch()
    assert export((stored[0], str(tmp_path / "mine")), tmp_path / "out.zip") == 2
    assert "stopped before it began" in capsys.readouterr().err
    assert not (tmp_path / "out.zip").exists()


def test_what_was_asked_for_and_what_is_held_leaves_with_the_candidates(tmp_path, capsys):
    """README, provenance and report count the same, the table says it of each candidate."""
    stored = put(tmp_path, spacegroups=(225,), sites=("225:4a=Ca", "225:8c"))
    assert export(stored, tmp_path / "out.zip", "--format", "csv,report") == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        told = {name: archive.read(name).decode() for name in archive.namelist()}
    lines = (("Fm-3m (225)", 2), ("225:4a=Ca", 2), ("225:8c", 0), ("all of these", 0))
    origin = json.loads(told["provenance.json"])["asked_and_held"]
    assert [(one["asked"], one["relaxed"]["held"]) for one in origin] == list(lines)
    for words, held in lines:
        assert f"| {words} | {held} of 2 | {held} of 2 |" in told["README.md"]
        cells = "".join(f"<td>{cell}</td>" for cell in (words, *2 * (f"{held} of 2",)))
        assert f"<tr>{cells}</tr>" in told["report.html"]
    rows = list(csv.DictReader(io.StringIO(told["candidates.csv"])))
    assert [(row["asked_held_as_drawn"], row["asked_held_relaxed"]) for row in rows] == [
        ("False", "False"),
        ("False", "False"),
    ]
    capsys.readouterr()


def test_where_no_symmetry_was_asked_for_nothing_is_said_of_it(stored, tmp_path, capsys):
    """No empty table, no column and no key."""
    assert export(stored, tmp_path / "out.zip", "--format", "csv,report") == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        told = {name: archive.read(name).decode() for name in archive.namelist()}
    body = told["report.html"][told["report.html"].index("<body>") :]
    assert "Asked for" not in body
    for name in ("README.md", "provenance.json", "candidates.csv"):
        assert "held" not in told[name], name
    capsys.readouterr()
