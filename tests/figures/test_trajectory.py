"""A relaxation as frames and curves, and a known phase laid over a crystal."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.candidate import Trace
from explorer.figures.overlay import laid_over, overlay_scene
from explorer.figures.trajectory import Frames, trace_figure
from explorer.relaxation import SMAX


def rock_salt(a: float = 5.6) -> Structure:
    """Return the primitive cell of NaCl, two atoms."""
    lattice = Lattice.cubic(a)
    whole = Structure.from_spacegroup(225, lattice, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return whole.get_primitive_structure()


def trace_of(*structures: Structure) -> Trace:
    """Return a trace that kept every second of its steps, with falling numbers."""
    steps = 2 * len(structures) - 1
    falling = np.geomspace(1.0, 1e-3, steps)
    return Trace(
        energies=-3.0 + falling,
        forces=falling,
        stresses=0.1 * falling,
        frames=np.arange(0, steps, 2),
        lattices=np.stack([s.lattice.matrix for s in structures]),
        coordinates=np.stack([s.frac_coords for s in structures]),
        species=np.array(structures[0].atomic_numbers),
    )


def test_few_powers_of_ten_are_labelled(shrinking) -> None:
    """However far forces fall, their labels do not run into one another."""
    assert trace_figure(shrinking, 0, 0.05).layout.yaxis2.dtick == 1
    forces = np.geomspace(10.0, 1e-7, len(shrinking.forces))
    assert trace_figure(replace(shrinking, forces=forces), 0, 0.05).layout.yaxis2.dtick == 2


def test_what_symmetry_forbids_does_not_stretch_an_axis(shrinking) -> None:
    """Forces of 1e-18 eV/Å are rounding errors: their axis ends not far below the limit."""
    for forces in ([0.0, 1e-18, 3e-17, 0.0, 2e-18], [1.0, 0.1, 1e-12, 0.0, 0.0]):
        axis = trace_figure(replace(shrinking, forces=np.array(forces)), 0, 0.05).layout.yaxis2
        low, high = axis.range
        assert low == pytest.approx(np.log10(5e-5))
        assert high > np.log10(max(0.05, *forces))
    assert trace_figure(shrinking, 0, 0.05).layout.yaxis2.range is None


@pytest.fixture
def shrinking() -> Trace:
    """Return three frames that shrink, while an atom at the origin steps out of the cell."""
    frames = [rock_salt(a) for a in (5.8, 5.7, 5.6)]
    for k, frame in enumerate(frames):
        frame.translate_sites([0], [-0.01 * k] * 3, to_unit_cell=False)
    return trace_of(*frames)


def test_frames_stand_in_the_conventional_cell_and_do_not_jump(shrinking):
    """The cube of the first frame is kept though its symmetry is lost; atoms move continuously."""
    frames = Frames.of(shrinking)
    cells = [frames.structure(k) for k in range(len(frames))]
    assert [len(cell) for cell in cells] == [8, 8, 8]
    assert cells[0].lattice.abc == pytest.approx((5.8, 5.8, 5.8))
    assert cells[2].lattice.angles == pytest.approx((90, 90, 90))
    assert cells[0].lattice.matrix[0] == pytest.approx([5.8, 0, 0], abs=1e-6)
    steps = np.diff(frames.coordinates, axis=0)
    assert np.abs(steps).max() < 0.03
    assert cells[2].composition == cells[0].composition


def test_a_crystal_without_symmetry_is_shown_as_it_is():
    """The cell stays as large as it was, only turned: a along x, b in the plane of the page."""
    bent = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 95, 107), ["Na", "Cl", "K"],
        [[0, 0, 0], [0.3, 0.4, 0.6], [0.7, 0.1, 0.2]],
    )  # fmt: skip
    shown = Frames.of(trace_of(bent)).structure(0)
    assert len(shown) == 3
    assert sorted(shown.lattice.abc) == pytest.approx([4, 5, 6])
    assert shown.lattice.matrix[0][1:] == pytest.approx([0, 0], abs=1e-9)
    assert shown.lattice.matrix[1][2] == pytest.approx(0, abs=1e-9)
    assert shown.distance_matrix == pytest.approx(bent.distance_matrix, abs=1e-6)


def test_the_curves_mark_the_frame_and_the_limits(shrinking):
    """Three curves over all steps; marks carry the number of their frame, the shown one larger."""
    figure = trace_figure(shrinking, shown=1, fmax=0.05)
    lines, marks = figure.data[0::2], figure.data[1::2]
    assert [len(line.x) for line in lines] == [5, 5, 5]
    assert all(list(mark.customdata) == ["0", "1", "2"] for mark in marks)
    assert marks[0].marker.size[1] > marks[0].marker.size[0]
    levels = [shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1]
    assert levels == [0.05, SMAX]
    now = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert [shape.x0 for shape in now] == [2, 2, 2]
    within = ["y domain", "y2 domain", "y3 domain"]  # so that no line crosses a curve's name
    assert [shape.yref for shape in now] == within
    energies = figure.layout.yaxis
    assert list(energies.tickvals) == pytest.approx(
        [shrinking.energies.min(), shrinking.energies.max()]
    )


def test_a_curve_within_one_power_of_ten_has_a_scale(shrinking):
    """Two numbers at least stand at each curve, where one power of ten lies on it or none."""
    for stresses in ([4e-3, 2e-3, 6e-4], [4e-4, 3e-4, 2e-4]):
        falling = replace(shrinking, stresses=np.interp(np.arange(5), [0, 2, 4], stresses))
        axis = trace_figure(falling, shown=1, fmax=0.05).layout.yaxis3
        assert list(axis.tickvals) == [min(SMAX, *stresses), max(SMAX, *stresses)]
    wide = replace(shrinking, stresses=np.geomspace(0.1, 1e-4, 5))
    assert trace_figure(wide, shown=1, fmax=0.05).layout.yaxis3.dtick == 1


def test_a_phase_is_laid_over_the_crystal_that_it_equals():
    """Another cell and another origin make no difference; what moved in between is drawn."""
    phase = rock_salt(5.4).to_conventional()
    phase.translate_sites(list(range(8)), [0.2, 0.1, 0.3])
    frames = laid_over(rock_salt(), phase)
    assert np.abs(frames.coordinates[1] - frames.coordinates[0]).max() < 1e-6
    drawn = overlay_scene(frames, "mp-1", "#0072b2")
    cubes, rods = drawn.scene["contents"][-1]["contents"]
    assert drawn.colours["mp-1"] == "#0072b2"
    assert len(cubes["positions"]) == 27  # eight atoms and their images on the faces
    assert rods["positionPairs"] == []
    bent = rock_salt()
    bent.translate_sites([1], [0.05, 0.0, 0.0])
    apart = overlay_scene(laid_over(bent, phase), "mp-1", "#0072b2")
    assert apart.scene["contents"][-1]["contents"][1]["positionPairs"]


def test_what_is_too_unlike_is_not_laid_over():
    """Rock salt and a cell of another number of atoms have no common cell."""
    chain = Structure(Lattice.tetragonal(3, 20), ["Na", "Cl"] * 2,
                      [[0, 0, 0], [0, 0, 0.1], [0, 0, 0.2], [0, 0, 0.32]])  # fmt: skip
    assert laid_over(rock_salt(), chain) is None
