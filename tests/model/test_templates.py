"""Known geometries: found whatever the letters, fitted to other elements, never colliding."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from explorer.crystals import to_structure
from explorer.encode import descriptions, encode
from explorer.template_build import collect, entries
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal
from model.sample import log_likelihood, sample
from model.templates import Templates, load_templates, pattern_of, save_templates
from model.tokens import END, crystal_to_row, row_to_crystal

CRYSTALS = {
    "CaAl2Cu2": Structure.from_spacegroup(
        "I4/mmm",
        Lattice.tetragonal(4.1, 10.8),
        ["Ca", "Al", "Cu"],
        [[0, 0, 0], [0, 0, 0.38], [0, 0.5, 0.25]],
    ),
    "TiO2": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ),
    "CaTiO3": Structure.from_spacegroup(
        "Pnma",
        Lattice.orthorhombic(5.44, 7.64, 5.38),
        ["Ca", "Ti", "O", "O"],
        [[0.036, 0.25, 0.993], [0, 0, 0.5], [0.484, 0.25, 0.071], [0.289, 0.037, 0.711]],
    ),
    "ZnS": Structure.from_spacegroup(
        "P6_3mc",
        Lattice.hexagonal(3.82, 6.26),
        ["Zn", "S"],
        [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]],
    ),
}
VOLUMES = np.full(119, 15.0)


def library(*names: str) -> Templates:
    """Templates of some of the crystals."""
    found = [entry for name in names for entry in entries(encode(CRYSTALS[name]))]
    return Templates(collect(found), VOLUMES)


def skeleton_of(crystal: WyckoffCrystal) -> tuple[int, ...]:
    """Tokens of a crystal up to the end of its sites."""
    tokens = [int(token) for token in crystal_to_row(crystal).tokens]
    return tuple(tokens[: tokens.index(END) + 1])


def exchanged(crystal: WyckoffCrystal, elements: dict[str, str]) -> WyckoffCrystal:
    """Put other elements on a crystal's sites."""
    sites = tuple(Site(s.letter, elements[s.element], s.free) for s in crystal.sites)
    return WyckoffCrystal(crystal.spacegroup, sites, crystal.lattice)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_known_crystal_is_found_in_every_choice_of_origin_and_axes(name):
    """Its skeleton leads back to its own geometry, whichever letters it is written with."""
    crystal, templates = encode(CRYSTALS[name]), library(name)
    matcher = StructureMatcher(ltol=0.05, stol=0.05, angle_tol=1, scale=False)
    written = {skeleton_of(described): described for described in descriptions(crystal)}
    for skeleton in written:
        assert templates.knows(skeleton)
        template = templates.of(skeleton)[0]  # elements on like positions may be exchanged
        assert template.model == crystal.formula
        again = row_to_crystal(template.row.tokens, template.row.fine)
        assert skeleton_of(again) == skeleton
        assert matcher.fit(to_structure(again), CRYSTALS[name])


def test_other_elements_get_the_shape_and_room_of_their_own():
    """Coordinates stay; the volume follows the room that the elements take."""
    templates = library("CaAl2Cu2")
    templates._volumes[:] = 15.0
    templates._volumes[56] = 45.0  # barium
    asked = exchanged(encode(CRYSTALS["CaAl2Cu2"]), {"Ca": "Ba", "Al": "Sn", "Cu": "Ni"})
    (template,) = templates.of(skeleton_of(asked))
    crystal = row_to_crystal(template.row.tokens, template.row.fine)
    structure = to_structure(crystal)
    assert crystal.formula == "BaNi2Sn2"
    ratio = structure.volume / CRYSTALS["CaAl2Cu2"].get_primitive_structure().volume
    assert ratio == pytest.approx((45 + 4 * 15) / (5 * 15), rel=1e-3)
    assert crystal.lattice[2] / crystal.lattice[0] == pytest.approx(10.8 / 4.1, rel=1e-2)


def test_the_chemically_nearest_comes_first_and_what_is_alike_once():
    """Of two different geometries the one of nearer elements leads; a copy adds nothing."""
    near = encode(CRYSTALS["TiO2"])
    far = exchanged(near, {"Ti": "Cs", "O": "Au"})
    stretched = WyckoffCrystal(far.spacegroup, far.sites, (4.6, 4.6, 4.0, 90.0, 90.0, 90.0))
    copy = exchanged(near, {"Ti": "Zr", "O": "S"})
    templates = Templates(
        collect([e for c in (stretched, copy, near) for e in entries(c)]), VOLUMES
    )
    found = templates.of(skeleton_of(exchanged(near, {"Ti": "V", "O": "O"})))
    assert [template.model for template in found] == ["TiO2", "CsAu2"]


def test_atoms_inside_one_another_are_left_out():
    """A geometry whose coordinates do not suit the cell is no template."""
    crystal = encode(CRYSTALS["TiO2"])
    titanium, oxygen = crystal.sites
    squeezed = WyckoffCrystal(
        crystal.spacegroup, (titanium, Site(oxygen.letter, "O", (0.03,))), crystal.lattice
    )
    templates = Templates(collect(entries(squeezed)), VOLUMES)
    assert templates.knows(skeleton_of(crystal))
    assert templates.of(skeleton_of(crystal)) == []


def test_an_unknown_skeleton_has_none():
    """Nothing is made up."""
    templates, other = library("TiO2"), skeleton_of(encode(CRYSTALS["ZnS"]))
    assert not templates.knows(other)
    assert templates.of(other) == []


def test_a_file_brings_back_what_was_written(tmp_path):
    """In single precision."""
    names = tuple(CRYSTALS)
    found = collect([entry for name in names for entry in entries(encode(CRYSTALS[name]))])
    save_templates(tmp_path / "some.npz", found, VOLUMES)
    templates = load_templates(tmp_path / "some.npz")
    assert len(templates) == len(library(*names))
    skeleton = skeleton_of(encode(CRYSTALS["CaTiO3"]))
    written, read = library(*names).of(skeleton), templates.of(skeleton)
    assert [t.model for t in read] == [t.model for t in written]
    assert np.array_equal(read[0].row.tokens, written[0].row.tokens)
    with pytest.raises(ValueError, match="prepare templates"):
        load_templates(tmp_path / "none.npz")


def test_kinds_of_atoms_have_no_order():
    """A pattern forgets the elements; what occupies the same positions may be exchanged."""
    assert pattern_of([(3, 26), (1, 8), (3, 13)]) == (((1,), (3,), (3,)), (8, 13, 26))
    assert pattern_of([(3, 13), (3, 26), (1, 8)])[0] == pattern_of([(3, 5), (3, 6), (1, 7)])[0]


@pytest.mark.parametrize("search", ["distinct", "likeliest"])
def test_a_search_tries_known_geometries_first(shipped: LoadedNetwork, search: str):
    """Then the network's; likelihoods are the network's for both; a run can go on anywhere."""
    wish, templates = Constraints.parse("Al-Ca-Cu", max_atoms=20), load_templates()
    how = {"seed": 2, "search": search, "again": 1.0, "templates": templates}
    draws = list(sample(shipped, wish, count=96, **how))
    told = [draw for draw in draws if draw.template]
    assert 24 < len(told) < 96
    seen: set = set()
    for draw in draws:
        assert set(draw.crystal.elements) == {"Al", "Ca", "Cu"}
        assert draw.crystal.n_atoms <= 20
        skeleton = skeleton_of(draw.crystal)
        first = skeleton not in seen
        seen.add(skeleton)
        assert not (first and not draw.template and templates.of(skeleton))
    given = log_likelihood(shipped, [draw.crystal for draw in told], stability="low")
    assert np.allclose(given, [draw.log_likelihood for draw in told], atol=1e-2)
    later = list(sample(shipped, wish, start=40, count=56, **how))
    assert [draw.crystal for draw in later] == [draw.crystal for draw in draws[40:]]


def test_skeletons_without_a_known_geometry_can_be_put_off(shipped: LoadedNetwork):
    """They come later, not never, and the others keep their order."""
    wish, templates = Constraints.parse("Al-Ca-Cu", max_atoms=12), load_templates()

    def skeletons(unknown: float, count: int) -> list[tuple[int, ...]]:
        how = {"search": "likeliest", "templates": templates, "unknown": unknown}
        draws = sample(shipped, wish, seed=0, count=count, **how)
        return [skeleton_of(draw.crystal) for draw in draws]

    plain, put_off = skeletons(0.0, 150), skeletons(3.0, 150)
    known = [s for s in plain if templates.knows(s)]
    assert [s for s in put_off if templates.knows(s)][: len(known)] == known
    assert sum(map(templates.knows, put_off)) > len(known)
    assert not all(map(templates.knows, put_off))
    assert not all(map(templates.knows, plain))
    with pytest.raises(ValueError, match="0 or more nats"):
        sample(shipped, wish, seed=0, count=1, unknown=-1.0)
