"""Targets: what is read from files, what a campaign can draw, and what is looked for by default."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, SpecError
from explorer.candidate import Candidate, State
from explorer.crystals import NamedStructure, write_structures
from explorer.isolation import Sandbox
from explorer.novelty import Matcher
from explorer.phases import phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases
from explorer.screen import Screen
from explorer.store import Store
from explorer.targets import (
    NO_TARGETS,
    default_targets,
    near_hull_structures,
    read_targets,
    within_reach,
)
from model.crystal import Site, WyckoffCrystal

LEVEL = EnergyLevel("toy 1", "0123456789ab", "none")


def cube(a: float, *symbols: str) -> Structure:
    """Return two atoms in a cube."""
    return Structure(Lattice.cubic(a), list(symbols), [[0, 0, 0], [0.5, 0.5, 0.5]])


CSCL = NamedStructure("cscl", cube(4.1, "Cs", "Cl"))
CUZN = NamedStructure("cuzn", cube(3.0, "Cu", "Zn"))
SPEC = CampaignSpec(elements=("Cl", "Cs"), targets="mine.cif")


def references(*distances: float) -> ReferencePhases:
    """Return phases of Cs-Cl at published distances from the hull."""
    phases = [
        phase_from_structure(f"p{above}", CSCL.structure, -3.0, "toy", e_above_hull=above)
        for above in distances
    ]
    return ReferencePhases(LEVEL, tuple(phases), ("Cl", "Cs"))


@pytest.mark.parametrize(
    ("distances", "names", "limit"),
    [((0.0, 0.02, 0.05), ("p0.0", "p0.02"), "0.02"), ((0.05, 0.1, 0.2), ("p0.05", "p0.1"), "0.1")],
)
def test_without_a_file_the_known_phases_near_the_hull_are_targets(distances, names, limit):
    """Within 0.02 eV/atom; where there is none, within 0.1; the words say which."""
    found = default_targets(references(*distances))
    assert found.names == names
    assert f"within {limit} eV/atom" in found.words


def test_where_nothing_is_known_nothing_is_looked_for():
    """Phases far from the hull are no targets."""
    assert default_targets(references(0.3)) == NO_TARGETS


def test_a_parquet_file_gives_its_phases_near_the_hull(tmp_path):
    """Rows above 0.02 eV/atom are left out; rows without a number and repeated names are kept."""
    path = tmp_path / "phases.parquet"
    write_structures(path, [CSCL, CUZN, CSCL, CSCL])
    energies = pa.array([0.0, 0.5, 0.02, None], pa.float64())
    pq.write_table(pq.read_table(path).append_column("e_above_hull", energies), path)
    assert [t.name for t in near_hull_structures(path)] == ["cscl", "cscl#2", "cscl#3"]


def test_files_without_energies_count_whole(tmp_path):
    """A zip of CIFs is read in a child process, every structure of it."""
    write_structures(tmp_path / "phases.zip", [CSCL, CUZN])
    assert [t.name for t in read_targets(tmp_path / "phases.zip")] == ["cscl", "cuzn"]


def test_a_file_that_cannot_be_read_is_the_fault_of_its_field(tmp_path):
    """One line that names the file."""
    (tmp_path / "broken.cif").write_text("no structure")
    with pytest.raises(SpecError, match=r"broken\.cif") as raised:
        read_targets(tmp_path / "broken.cif")
    assert raised.value.field == "targets"


def test_only_targets_of_the_system_are_looked_for():
    """Others could never be drawn; fewer elements count where they are allowed."""
    caesium = NamedStructure("cs", cube(5.0, "Cs", "Cs"))
    assert within_reach(SPEC, [CSCL, CUZN, caesium]) == [CSCL]
    wide = SPEC.model_copy(update={"subset": True})
    assert within_reach(wide, [CSCL, CUZN, caesium]) == [CSCL, caesium]
    chloride = wide.model_copy(update={"required": ("Cl",)})
    assert within_reach(chloride, [CSCL, CUZN, caesium]) == [CSCL]
    with pytest.raises(SpecError, match="none of the 1 structures is of the system Cl-Cs"):
        within_reach(SPEC, [CUZN])


def test_a_target_that_cannot_be_compared_is_named():
    """It would silently lower the recall."""
    bad = NamedStructure("bad", cube(0.6, "Cs", "Cl"))
    with pytest.raises(SpecError, match="bad cannot be compared"):
        within_reach(SPEC, [bad])


def test_a_campaign_keeps_its_targets_when_the_file_is_gone(tmp_path):
    """They are copied into the store when the campaign is created, those of its system."""
    path = tmp_path / "mine.zip"
    write_structures(path, [CSCL, CUZN])
    store = Store(tmp_path / "campaigns.db")
    campaign_id = store.create(CampaignSpec(elements=("Cl", "Cs"), targets=str(path)))
    path.unlink()
    (back,) = store.targets(campaign_id)
    assert back.name == "cscl"
    assert np.allclose(back.structure.lattice.matrix, CSCL.structure.lattice.matrix)
    assert store.targets(store.create(CampaignSpec(elements=("Cl", "Cs")))) == []
    store.close()


def test_bad_targets_queue_nothing(tmp_path):
    """The campaign is refused before it is a row."""
    store = Store(tmp_path / "campaigns.db")
    with pytest.raises(SpecError):
        store.create(SPEC, [CUZN])
    with pytest.raises(SpecError):
        store.create(SPEC.model_copy(update={"targets": str(tmp_path / "nowhere.cif")}))
    assert store.campaigns() == []
    store.close()


def test_a_target_is_found_as_drawn_or_once_relaxed_and_never_twice():
    """A candidate carries the names of the targets that it equals; relaxing adds to them."""
    with Sandbox() as sandbox:
        screen = Screen(references(), Matcher(sandbox=sandbox), targets=[CSCL, CUZN])
        sites = (Site("a", "Cs", ()), Site("b", "Cl", ()))
        crystal = WyckoffCrystal(221, sites, (4.2, 4.2, 4.2, 90, 90, 90))
        seen, twin = (screen.judge(Drawn(i, crystal)) for i in range(2))
        assert seen.targets == twin.targets == ("cscl",)
        assert twin.state == State.DUPLICATE
        relaxed = screen.recognise(replace(seen, relaxed=cube(4.15, "Cl", "Cs")))
        assert relaxed.targets == ("cscl",)
        strange = screen.recognise(replace(seen, relaxed=cube(2.9, "Zn", "Cu")))
        assert strange.targets == ("cscl", "cuzn")
        assert Candidate.from_dict(strange.to_dict()).targets == ("cscl", "cuzn")
