"""Whether crystals hold the space groups and sites that were asked for."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.audit import audit, described, holds
from explorer.candidate import Candidate, State
from explorer.crystals import to_structure
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal
from model.wyckoff import table

LAYERS = WyckoffCrystal(
    139,
    (Site("a", "Ca", ()), Site("d", "Al", ()), Site("e", "Cu", (0.3866,))),
    (4.06, 4.06, 10.9, 90, 90, 90),
)


@pytest.mark.parametrize(
    ("sites", "held"),
    [
        (["139:2a=Ca", "139:4e=Cu@z=0.35..0.4"], (True, True, True)),
        (["139:2b=Ca"], (True, True)),  # the same crystal from another origin
        (["139:2a=Al,Cu", "139:4d"], (True, False, True)),
        (["139:4e", "139:4e"], (True, True, False)),  # one site cannot be both
        (["139:2a", "139:4d=none"], (True, True, False)),
        (["139:4e=Cu@z=0.1"], (True, False)),
    ],
    ids=str,
)
def test_each_site_that_was_asked_for_has_a_verdict(sites, held):
    """After one for the space group, in the order asked."""
    asked = Constraints.parse("Al-Ca-Cu", spacegroups=139, sites=sites)
    assert holds(LAYERS, asked) == held


def test_in_another_space_group_no_site_is_held():
    """Rock salt has 4a and 4b, but not those of I4/mmm."""
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.6), ["Ca", "Cu"], [[0] * 3, [0.5] * 3])
    asked = Constraints.parse("Ca-Cu", spacegroups=139, sites=["139:2a=Ca"])
    assert holds(described(salt), asked) == (False, False)
    assert holds(described(salt), Constraints.parse("Ca-Cu", spacegroups=225)) == (True,)


def test_what_cannot_be_described_has_no_verdict():
    """No structure, and one whose atoms coincide."""
    assert described(None) is None
    assert described(Structure(Lattice.cubic(4), ["Ca", "Ca"], [[0] * 3, [0, 0, 1e-4]])) is None


def test_crystals_are_counted_as_drawn_and_once_relaxed():
    """A failed relaxation is no verdict, what is lost counts; nothing asked is nothing told."""
    kept = to_structure(LAYERS)
    moved = kept.copy().perturb(0.3)
    asked = Constraints.parse("Al-Ca-Cu", spacegroups=139, sites=["139:2a=Ca"])
    candidates = [
        Candidate(id="0", index=0, crystal=LAYERS, state=State.RELAXED, relaxed=kept),
        Candidate(id="1", index=1, crystal=LAYERS, state=State.RELAXED, relaxed=moved),
        Candidate(id="2", index=2, crystal=LAYERS, state=State.FAILED, relaxed=moved),
        Candidate(id="3", index=3, state=State.REJECTED),
    ]
    told = audit(candidates, asked)
    assert [line.cells for line in told.lines] == [
        (words, "3 of 3", "1 of 2") for words in ("I4/mmm (139)", "139:2a=Ca", "all of these")
    ]
    assert [told.whole(each.id) for each in candidates] == [
        (True, True),
        (True, False),
        (True, None),
        (None, None),
    ]
    assert told.to_list()[1] == {
        "asked": "139:2a=Ca",
        "as_drawn": {"held": 3, "of": 3},
        "relaxed": {"held": 1, "of": 2},
    }
    assert not audit(candidates, Constraints.parse("Al-Ca-Cu"))
    assert audit((), asked).lines[0].cells[1:] == ("none yet", "none yet")


@pytest.mark.parametrize("group", [1, 4, 19, 146, 198])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_chiral_crystal_is_described_as_it_is(group: int, mirrored: bool) -> None:
    """Sites tell the hand that the CIF has: of both hands the same one is not described."""
    operations = table().group_operations(group)
    lengths = {1: (6, 7, 8, 80, 85, 95), 4: (6, 7, 8, 90, 97, 90), 19: (6, 7, 8, 90, 90, 90)}
    lengths |= {146: (7, 7, 11, 90, 90, 120), 198: (16, 16, 16, 90, 90, 90)}
    places = [[0.11, 0.17, 0.23], [0.36, 0.21, 0.14], [0.17, 0.42, 0.19], [0.2, 0.13, 0.45]]
    kinds, points = [], []
    for kind, place in zip(("Na", "K", "Li", "F"), places, strict=True):
        images = (operations[:, :, :3] @ place + operations[:, :, 3]) % 1.0
        kinds += [kind] * len(images)
        points += images.tolist()
    structure = Structure(Lattice.from_parameters(*lengths[group]), kinds, points)
    if mirrored:
        structure = Structure(-structure.lattice.matrix, kinds, points)
    crystal = described(structure)
    assert crystal.spacegroup == group
    assert hand(to_structure(crystal, primitive=False)) == hand(structure)


def hand(structure: Structure) -> bool:
    """Which way the nearest K, Li and F turn around the first Na."""
    place = next(k for k, site in enumerate(structure) if site.specie.symbol == "Na")
    near = sorted(structure.get_neighbors(structure[place], 12), key=lambda n: n.nn_distance)
    first = [next(n for n in near if n.specie.symbol == kind) for kind in ("K", "Li", "F")]
    return bool(np.linalg.det([n.coords - structure[place].coords for n in first]) > 0)
