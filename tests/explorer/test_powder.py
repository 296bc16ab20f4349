"""Measured powder patterns: what diffractometers write is read, anything else is refused."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from explorer.figures.diffraction import MOST_POINTS, diffraction_figure
from explorer.powder import MAX_MEGABYTES, PatternError, read_pattern

ANGLES = np.linspace(10, 80, 71)
COUNTS = 200 + 1000 * np.exp(-((ANGLES - 32) ** 2))


def columns(separator: str = " ", head: str = "") -> bytes:
    """Return the pattern as text."""
    rows = (f"{a:.2f}{separator}{c:.3f}" for a, c in zip(ANGLES, COUNTS, strict=True))
    return (head + "\n".join(rows)).encode()


@pytest.mark.parametrize(
    "content",
    [
        columns(),
        columns("\t"),
        columns(",", "2theta,counts\n"),
        columns(" ", "# measured\n! by us\n\n"),
        columns(";").replace(b".", b","),
        columns("\t").replace(b".", b","),
        columns("  ").replace(b".", b",").replace(b"\n", b"  1,5\n"),
        columns(", ", "2theta, counts\n"),
        columns(" ").replace(b"\n", b" 1.5\r\n"),
        b"\xef\xbb\xbf" + columns(),
        b"\n".join(reversed(columns().split(b"\n"))),
    ],
    ids=[
        "xy",
        "tabs",
        "csv",
        "comments",
        "decimal commas",
        "decimal commas and tabs",
        "decimal commas and blanks",
        "commas and blanks",
        "errors",
        "byte order",
        "descending",
    ],
)
def test_two_columns_are_read_and_normalised(content):
    """Angles ascend, the background is 0 and the highest point 100."""
    pattern = read_pattern("a.xy", content)
    assert pattern.angles == pytest.approx(ANGLES)
    assert pattern.intensities.min() == 0
    assert pattern.angles[np.argmax(pattern.intensities)] == 32
    assert pattern.intensities.max() == pytest.approx(100)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "got 0"),
        (b"10 5\n11 6\n", "expected 10 to"),
        (b"PK\x03\x04\0\0", "binary"),
        (columns() + b"\nthe end", "line 72: expected an angle and an intensity, got 'the end'"),
        (columns().replace(b"79.00", b"790.0"), "from 0 to 180"),
        (columns() + b"\n80.5 nan", "finite"),
        (columns() + b"\n80.5 1,234", "line 72: expected an angle and an intensity"),
        (columns() + b"\n80.5 1e308\n80.6 -1e308", "intensities up to 1e+30"),
        (b"\n".join(b"%d 7" % k for k in range(20)), "all are 7"),
        (b"1 2 " * (MAX_MEGABYTES * 2**18 + 1), "at most 8 MiB, got 8.1 MiB"),
        (b"no numbers at all\n" * 300, "line 201"),
    ],
)
def test_what_is_no_pattern_is_refused_in_one_line(content, problem):
    """The message names the file, what was expected and what was found."""
    with pytest.raises(PatternError) as refused:
        read_pattern("bad.xy", content)
    assert problem in str(refused.value)
    assert str(refused.value).startswith("bad.xy")
    assert "\n" not in str(refused.value)


def test_thinning_keeps_every_peak():
    """A pattern of many points is drawn with few, the highest among them."""
    angles = np.linspace(5, 90, 50_000)
    content = "\n".join(f"{a:.5f} {100 if k == 31_234 else 1}" for k, a in enumerate(angles))
    pattern = read_pattern("long.xy", content.encode())
    x, y = pattern.thinned(MOST_POINTS)
    assert len(x) <= MOST_POINTS
    assert y.max() == 100
    assert x[np.argmax(y)] == pytest.approx(angles[31_234], abs=1e-4)


def test_both_patterns_share_their_axes():
    """The measured one widens the axis; another radiation moves the peaks."""
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    wide = read_pattern("a.xy", columns().replace(b"80.00", b"120.00"))
    figure = diffraction_figure(salt, measured=wide)
    measured, peaks, _ = figure.data
    assert figure.layout.xaxis.range == (5.0, 120.0)
    assert max(measured.y) == pytest.approx(100)
    assert max(peaks.y) == pytest.approx(100)
    assert max(peaks.x) > 90
    other = diffraction_figure(salt, wavelength="MoKa")
    assert min(other.data[0].x) < min(peaks.x) / 2
    assert "Mo K" in other.layout.xaxis.title.text
