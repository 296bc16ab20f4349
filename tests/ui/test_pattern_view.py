"""The powder tab: wavelength, upload, and what is said of a file that cannot be read."""

import asyncio
import json

import param
from handmade import HOSTILE, candidate
from pymatgen.core import Lattice, Structure

from explorer.audit import described
from explorer.ui.pattern_view import HELP, PatternView
from explorer.ui.viewer_tabs import pattern_html, sites_html

MEASURED = "\n".join(f"{10 + k} {100 * (k % 7)}" for k in range(60))


def drop(view, name: str, content: str) -> None:
    """Drop a file, and wait until it was read."""
    with param.parameterized.discard_events(view.dropper):
        view.dropper.param.update(filename=name, value=content.encode())
    asyncio.run(view._take())


def names(drawing: str) -> list[str]:
    """Return the names of the traces that have one."""
    return [trace["name"] for trace in json.loads(drawing)["data"] if "name" in trace]


def test_a_measured_pattern_is_drawn_and_removed():
    """The plot holds both until Remove is clicked; the same file may come again."""
    view, salt = PatternView(), candidate(0).initial
    assert names(view.draw(salt, False)) == ["simulated"]
    for _ in range(2):
        drop(view, "../mine.xy", MEASURED)
        assert "mine.xy: 60 points" in view.note.object
        assert names(view.draw(salt, False)) == ["measured", "simulated"]
    view.clear.clicks += 1
    assert view.measured is None
    assert view.note.object == HELP
    assert view.slot.visible


def test_a_bad_file_says_why_and_leaves_the_last():
    """The message is text, whatever the file's name holds, and the next file can be dropped."""
    view = PatternView()
    drop(view, "good.xy", MEASURED)
    drop(view, HOSTILE, "nothing")
    assert "got 0" in view.note.object
    assert "role='alert'" in view.note.object
    assert "<img" not in view.note.object
    assert view.measured.name == "good.xy"
    assert view.dropper.value is None


def test_another_radiation_moves_the_peaks():
    """The choice is made by what people call it."""
    view, salt = PatternView(), candidate(0).initial
    before = json.loads(view.draw(salt, False))["data"][0]["x"]
    view.radiation.value = "MoKa"
    after = json.loads(view.draw(salt, False))["data"][0]["x"]
    assert after[0] < before[0] / 2


def test_indices_belong_to_the_cell_that_stands_under_sites():
    """Of Pnma with a the longest: sorted axes, as of pymatgen's cell, would call 200 another."""
    cell = Lattice.orthorhombic(9.9, 3.0, 5.1)
    places = [[0.13, 0.25, 0.09], [0.42, 0.25, 0.61]]
    structure = Structure.from_spacegroup(62, cell, ["Fe", "O"], places)
    crystal = described(structure)
    told = pattern_html(crystal, drawing := PatternView().draw(structure, False, crystal))
    assert "Pnma (62): a 9.900 Å, b 3.000 Å, c 5.100 Å" in told
    assert told.split(": ", 1)[1].split(".<")[0] in sites_html(crystal, structure)
    peaks = json.loads(drawing)["data"][0]["hovertext"]
    at = {name: float(peak.split("2θ ")[1].split("°")[0]) for peak in peaks
          for name in peak.split("<br>")[0].split(", ")}  # fmt: skip
    assert abs(at["2 0 0"] - 17.9) < 0.05  # 2 asin(1.54184 / 9.9)
    assert abs(at["0 0 2"] - 35.2) < 0.05


def test_a_relaxed_crystal_has_one_peak_where_its_symmetry_has_one():
    """Its cell is a little off, within what the space group that is told allows."""
    ideal = Structure.from_spacegroup(166, Lattice.hexagonal(4.4, 30.5), ["Bi", "Te", "Te"],
                                      [[0, 0, 0.4], [0, 0, 0], [0, 0, 0.21]])  # fmt: skip
    lattice = ideal.get_primitive_structure().lattice
    strained = lattice.matrix @ ([[1.003, 0, 0], [0, 0.997, 0], [0, 0, 1]])
    primitive = ideal.get_primitive_structure()
    relaxed = Structure(strained, primitive.species, primitive.frac_coords)
    crystal = described(relaxed)
    assert crystal.spacegroup == 166
    view = PatternView()
    count = [
        len(json.loads(view.draw(s, False, described(s)))["data"][0]["x"]) for s in (ideal, relaxed)
    ]
    assert abs(count[0] - count[1]) <= 2  # one may cross the end of the axis
