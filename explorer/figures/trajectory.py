"""The way of a relaxation: its frames in one setting, and energy, force and stress by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pymatgen.core import Lattice, Structure
from pymatgen.util.coord import lattice_points_in_supercell
from spglib import SpglibError, get_symmetry_dataset

from explorer.candidate import Trace
from explorer.figures.crystal import MOST_ATOMS_CONVENTIONAL
from explorer.figures.style import Palette, layout, palette
from explorer.relaxed import SMAX

SYMPREC = 0.1
DEEPEST = 1e-3
"""Of a limit: what lies further below it is zero to the potential, and is not drawn to scale."""
MOST_DECADES = 3  # powers of ten that a small logarithmic axis has room to label
INSIDE = 1e-3
"""An atom so little outside the first cell, in fractions of an edge, counts as inside."""
NAMES = (
    "Energy, eV/atom",
    "Largest force, eV/Å; dotted: its limit",
    "Largest stress, eV/Å³; dotted: its limit",
)


class Frames:
    """Geometries of the same atoms in one cell and one orientation, so that only atoms move.

    Each is shown in the conventional cell of the first one, by the same matrix and the same
    rotation. A standard cell of its own for each would jump where the symmetry changes.

    Parameters
    ----------
    lattices
        Rows are vectors, Å, (K, 3, 3).
    coordinates
        Fractional and continuous from frame to frame, (K, N, 3).
    species
        Atomic numbers, (N,).
    """

    def __init__(self, lattices: np.ndarray, coordinates: np.ndarray, species: np.ndarray) -> None:
        first = Structure(Lattice(lattices[0]), species, coordinates[0])
        self._matrix = _conventional_matrix(first)
        points = lattice_points_in_supercell(self._matrix)
        inverse = np.linalg.inv(self._matrix)
        inside = (coordinates @ inverse)[:, :, None, :] + points  # (K, N, P, 3)
        inside = inside - np.floor(inside[0] + INSIDE)
        self.coordinates = inside.reshape(len(coordinates), -1, 3)
        self.lattices = self._matrix @ lattices @ _standing(self._matrix @ lattices[0])
        self._species = np.repeat(species, len(points))

    @classmethod
    def of(cls, trace: Trace) -> Frames:
        """Return the kept frames of a relaxation."""
        return cls(trace.lattices, trace.coordinates, trace.species)

    def __len__(self) -> int:
        return len(self.lattices)

    def structure(self, k: int) -> Structure:
        """Return frame number ``k`` from 0; a of the first lies along x, b in the xy plane."""
        return Structure(Lattice(self.lattices[k]), self._species, self.coordinates[k])


def _conventional_matrix(structure: Structure) -> np.ndarray:
    """Return the integer matrix from a cell's vectors, in rows, to its conventional ones."""
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    try:
        found = get_symmetry_dataset(cell, symprec=SYMPREC)
    except SpglibError:  # no symmetry at all within the tolerance
        found = None
    if found is None:
        return np.eye(3, dtype=int)
    matrix = np.linalg.inv(found.transformation_matrix).T
    whole = np.rint(matrix).astype(int)
    size = round(np.linalg.det(whole))
    fits = 0 < size * len(structure) <= MOST_ATOMS_CONVENTIONAL
    return whole if fits and np.allclose(matrix, whole, atol=0.05) else np.eye(3, dtype=int)


def _standing(vectors: np.ndarray) -> np.ndarray:
    """Return the rotation that puts the first row along x and the second into the xy plane."""
    x = vectors[0] / np.linalg.norm(vectors[0])
    z = np.cross(vectors[0], vectors[1])
    z *= np.sign(np.linalg.det(vectors)) / np.linalg.norm(z)
    return np.column_stack([x, np.cross(z, x), z])


def trace_figure(trace: Trace, shown: int, fmax: float, dark: bool = False) -> go.Figure:
    """Draw energy, largest force and largest stress over steps, and mark the frame that is shown.

    Parameters
    ----------
    shown
        Number of the kept frame, from 0.
    fmax
        Force below which the relaxation had converged, eV/Å; its stress limit is `SMAX`.

    Returns
    -------
    plotly.graph_objects.Figure
        The `customdata` of a mark is the number of its kept frame.
    """
    colours = palette(dark)
    curves = (trace.energies, trace.forces, trace.stresses)
    tints = (colours.stable, colours.candidate, colours.found)
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.12)
    for row, (values, tint) in enumerate(zip(curves, tints, strict=True), start=1):
        figure.add_trace(_line(values, tint), row=row, col=1)
        figure.add_trace(_marks(trace, values, shown, tint, colours), row=row, col=1)
    for row, values, limit in ((2, trace.forces, fmax), (3, trace.stresses, SMAX)):
        figure.add_hline(
            limit, line={"dash": "dot", "width": 1.2, "color": colours.muted}, row=row, col=1
        )
        figure.update_yaxes(
            type="log", automargin=True, exponentformat="power", row=row, col=1,
            **_decades(values, limit),
        )  # fmt: skip
    step = int(trace.frames[shown])
    for axis in ("", "2", "3"):  # within each curve, not across the names between them
        figure.add_shape(
            type="line", x0=step, x1=step, y0=0, y1=1, xref=f"x{axis}", yref=f"y{axis} domain",
            layer="below", line={"width": 1.5, "color": colours.selected},
        )  # fmt: skip
    figure.update_yaxes(**_ends(trace.energies), row=1, col=1)
    return _framed(figure, len(trace.energies), colours)


def _decades(values: np.ndarray, limit: float) -> dict[str, Any]:
    """Label a logarithmic axis at powers of ten, of which it has room for few.

    Where less than two of them lie on it, its ends are labelled: one number is no scale. Forces
    that symmetry forbids are rounding errors, of which the axis shows that they are small.
    """
    seen = np.append(values[values > 0], limit)
    low, high = float(seen.min()), float(seen.max())
    if low < DEEPEST * limit:
        span = np.log10([DEEPEST * limit, high])
        return {"dtick": _decades_apart(*span), "range": [span[0], span[1] + 0.15]}
    if np.floor(np.log10(high)) - np.ceil(np.log10(low)) >= 1 or low == high:
        return {"dtick": _decades_apart(*np.log10([low, high]))}
    return {"tickmode": "array", "tickvals": [low, high], "ticktext": [f"{low:.2g}", f"{high:.2g}"]}


def _decades_apart(low: float, high: float) -> int:
    return max(1, int(np.ceil((high - low) / MOST_DECADES)))


def _ends(energies: np.ndarray) -> dict[str, Any]:
    """Label an axis at the lowest and the highest energy: what lies between is a milli-eV often."""
    low, high = float(energies.min()), float(energies.max())
    decimals = 3 if high - low > 2e-3 else 4
    told = {f"{end:.{decimals}f}".replace("-", "−"): end for end in (low, high)}
    return {"tickmode": "array", "tickvals": list(told.values()), "ticktext": list(told)}


def _line(values: np.ndarray, tint: str) -> dict[str, Any]:
    line = {"color": tint, "width": 1.6}
    steps = list(range(len(values)))
    return {"type": "scatter", "x": steps, "y": values.tolist(), "mode": "lines", "line": line,
            "hoverinfo": "skip"}  # fmt: skip


def _marks(
    trace: Trace, values: np.ndarray, shown: int, tint: str, colours: Palette
) -> dict[str, Any]:
    """Return a mark at each kept frame, the shown one larger."""
    places = range(len(trace.frames))
    return {
        "type": "scatter",
        "mode": "markers",
        "x": trace.frames.tolist(),
        "y": values[trace.frames].tolist(),
        "customdata": [str(k) for k in places],
        "marker": {
            "color": [colours.selected if k == shown else tint for k in places],
            "size": [10 if k == shown else 5 for k in places],
        },
        "hovertemplate": "step %{x}: %{y:.4g}<extra></extra>",
    }


def _framed(figure: go.Figure, steps: int, colours: Palette) -> go.Figure:
    """Write the name of each curve over it, and keep the axes small."""
    figure.update_layout(layout(colours, "relaxation", showlegend=False))
    figure.update_layout(margin={"l": 52, "r": 10, "t": 18, "b": 34})
    for row, name in enumerate(NAMES, start=1):
        figure.add_annotation(
            text=name, xref="paper", x=0, xanchor="left", yref=f"y{row if row > 1 else ''} domain",
            y=1.0, yanchor="bottom", showarrow=False, font={"size": 11, "color": colours.muted},
        )  # fmt: skip
    line = {"gridcolor": colours.grid, "zeroline": False, "tickfont": {"size": 10}}
    pad = max(0.02 * (steps - 1), 0.2)
    figure.update_xaxes(**line, range=[-pad, steps - 1 + pad], fixedrange=True)
    figure.update_xaxes(title={"text": "step", "font": {"size": 11}}, row=3, col=1)
    figure.update_yaxes(**line, nticks=3, fixedrange=True)
    return figure
