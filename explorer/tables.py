"""Compute the symmetry and element tables that ship inside ``model/``, from PyXtal and pymatgen."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Element
from pymatgen.core.operations import SymmOp
from pyxtal.symmetry import Group

from model.wyckoff import DENOMINATOR


def write_tables(folder: Path) -> None:
    """Write ``wyckoff.npz`` and ``elements.npz`` into ``folder``."""
    np.savez_compressed(folder / "wyckoff.npz", **wyckoff_arrays())
    np.savez_compressed(folder / "elements.npz", **element_arrays())


def wyckoff_arrays() -> dict[str, np.ndarray]:
    """Collect the arrays of ``model.wyckoff.WyckoffTable`` from PyXtal."""
    groups = [Group(number) for number in range(1, 231)]
    positions = [(group, wyckoff) for group in groups for wyckoff in reversed(list(group))]
    operations = [_stack([op.affine_matrix for op in wyckoff.ops]) for _, wyckoff in positions]
    normalizers = [_normalizers(group) for group in groups]
    general = [_stack([op.affine_matrix for op in group[0].ops]) for group in groups]
    point_groups = sorted({group.point_group for group in groups})
    return {
        "group": np.array([group.number for group, _ in positions], np.int16),
        "letter": _letters(groups),
        "multiplicity": np.array([len(ops) for ops in operations], np.int16),
        "freedom": np.array([int(wyckoff.get_dof()) for _, wyckoff in positions], np.int8),
        "free_axes": np.array([(ops[0, :, :3] != 0).any(axis=0) for ops in operations]),
        "operation_start": _starts([len(ops) for ops in operations]),
        "operations": np.concatenate(operations),
        "group_start": _starts([len(list(group)) for group in groups]),
        "normalizer_start": _starts([len(ops) for ops in normalizers]),
        "normalizers": np.concatenate(normalizers),
        "polar_axes": np.array([_polar_axes(ops) for ops in general]),
        "centering": np.array([_centering(ops) for ops in general], np.int8),
        "symbol": np.array([group.symbol for group in groups]),
        "point_group": np.array([point_groups.index(g.point_group) for g in groups], np.int8),
        "site_symmetry": np.array([_site_symmetry(wyckoff) for _, wyckoff in positions]),
    }


def element_arrays() -> dict[str, np.ndarray]:
    """Symbols, radii and standardized features of the elements Z = 1-118 (missing values become 0).

    Covalent radii are those of Cordero et al., Dalton Trans. 2832 (2008), as ASE has them.

    Features: group, period, block, electronegativity, Mendeleev number, atomic radius, ionisation
    energy, electron affinity, valence electrons; from pymatgen's periodic table.
    """
    elements = [Element.from_Z(number) for number in range(1, 119)]
    with warnings.catch_warnings():  # pymatgen warns of each missing value; they become 0 below
        warnings.simplefilter("ignore")
        rows = [_element_row(element) for element in elements]
        negativity = [_finite(element.X, 10.0) for element in elements]
    values = np.array(rows, float)
    values = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    blocks = np.array([["spdf".index(e.block) == k for k in range(4)] for e in elements], float)
    groups = np.array([[e.group == k for k in range(1, 19)] for e in elements], float)
    return {
        "symbol": np.array([element.symbol for element in elements]),
        "electronegativity": np.array(negativity),
        "mass": np.array([float(element.atomic_mass) for element in elements]),
        "covalent_radius": covalent_radii[1:].astype(np.float32),
        "features": np.concatenate([np.nan_to_num(values), blocks, groups], 1).astype(np.float32),
    }


def _element_row(element: Element) -> list[float]:
    return [
        float(element.group),
        float(element.row),
        _finite(element.X, np.nan),
        _finite(element.mendeleev_no, np.nan),
        _finite(element.atomic_radius, np.nan),
        _finite(element.atomic_radius_calculated, np.nan),
        _finite(element.van_der_waals_radius, np.nan),
        _finite(element.ionization_energy, np.nan),
        _finite(element.data.get("Electron affinity"), np.nan),
        float(max(element.common_oxidation_states, default=0)),
        float(min(element.common_oxidation_states, default=0)),
    ]


def _finite(value: object, otherwise: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return otherwise
    return number if np.isfinite(number) else otherwise


def _letters(groups: list[Group]) -> np.ndarray:
    return np.concatenate([np.arange(len(list(group))) for group in groups]).astype(np.int8)


def _stack(matrices: list[np.ndarray]) -> np.ndarray:
    """Affine matrices as integers, translations in units of 1/24, (m, 3, 4)."""
    stacked = np.array(matrices)[:, :3, :].copy()
    stacked[:, :, 3] *= DENOMINATOR
    rounded = np.rint(stacked)
    if not np.allclose(stacked, rounded, atol=1e-3):
        raise ValueError("expected translations that are multiples of 1/24")
    return rounded.astype(np.int8)


def _starts(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _normalizers(group: Group) -> np.ndarray:
    """Representatives that permute the positions; the identity for groups that PyXtal omits."""
    cosets = group.get_alternatives()["Coset Representative"]
    matrices = [SymmOp.from_xyz_str(text).affine_matrix for text in cosets]
    return _stack(matrices if matrices else [np.eye(4)])


def _polar_axes(operations: np.ndarray) -> np.ndarray:
    """Axes whose unit vector every operation leaves alone, (3,) bool."""
    rotations = operations[:, :, :3]
    return np.array([(rotations[:, :, k] == np.eye(3, dtype=int)[k]).all() for k in range(3)])


def _centering(operations: np.ndarray) -> int:
    return int((operations[:, :, :3] == np.eye(3, dtype=int)).all(axis=(1, 2)).sum())


def _site_symmetry(wyckoff: object) -> str:
    wyckoff.get_site_symmetry()
    return str(wyckoff.site_symm)
