"""Fitted elemental reference energies: the zero of formation energies where DFT compounds stand.

A potential is worst at some elements (CHGNet puts tin 0.3 eV/atom too high), and every compound of
such an element inherits the error. So the zero of each element, mu_i, is the one with which the
formation energies of known compounds, E - sum(x_i mu_i), come closest to those of DFT, as in
Stevanović et al., Phys. Rev. B 85, 115104 (2012). Fitted by ridge regression of the differences
mu_i - E_i from the potential's own elements, on compounds of the training split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pymatgen.core import Composition

from explorer.phases import FORM, ReferenceFileError, read_columns, read_level
from explorer.potentials import EnergyLevel

RIDGE = 3.0
"""Compounds' worth of belief in the potential's own elements: keeps rare elements near them."""
COLUMNS = ("id", "formation_energy_per_atom", "split")


@dataclass(frozen=True)
class ElementFit:
    """The zero of each element for a potential.

    Attributes
    ----------
    level
        Of the energies.
    energies
        Symbol to mu_i, eV/atom.
    n
        Compounds of the fit.
    mae_before, mae_after
        Of their formation energies against DFT, eV/atom, with the potential's own elements and
        with the fitted ones.
    """

    level: EnergyLevel
    energies: Mapping[str, float]
    n: int
    mae_before: float
    mae_after: float

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell these zeros from any others."""
        told = json.dumps(dict(self.energies), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:8]


def fit_elements(references: Path, structures: Path) -> ElementFit:
    """Fit the elements of a reference set to published formation energies.

    Parameters
    ----------
    references
        A file that `hullscape references build` wrote.
    structures
        Parquet with columns id, formation_energy_per_atom (eV/atom, MP2020) and split; only rows
        of the split "train" count.

    Raises
    ------
    ReferenceFileError
        When a file cannot be read or lacks a column, or no compound is in both.
    """
    level = read_level(references)
    known = pq.read_table(references).drop_columns(["lattice", "numbers", "frac_coords"])
    dft = _published(structures)
    rows = [row for row in known.to_pylist() if row.get("geometry") != FORM]
    own: dict[str, float] = {}
    for row in rows:
        if "-" not in row["chemsys"]:
            lowest = min(row["energy_per_atom"], own.get(row["chemsys"], np.inf))
            own[row["chemsys"]] = lowest
    compounds = [r for r in rows if "-" in r["chemsys"] and r["id"] in dft]
    compounds = [r for r in compounds if own.keys() >= set(r["chemsys"].split("-"))]
    if not compounds:
        raise ReferenceFileError(f"{references} and {structures} share no compound: expected one")
    symbols = sorted(own)
    shares = np.array([_shares(row["formula"], symbols) for row in compounds])  # (N, E)
    zero = np.array([own[s] for s in symbols])
    energies = np.array([row["energy_per_atom"] for row in compounds])
    missed = np.array([dft[row["id"]] for row in compounds]) - (energies - shares @ zero)
    normal = shares.T @ shares + RIDGE * np.eye(len(symbols))
    shift = np.linalg.solve(normal, shares.T @ missed)
    fitted = dict(zip(symbols, (zero - shift).round(5).tolist(), strict=True))
    before, after = np.abs(missed).mean(), np.abs(missed - shares @ shift).mean()
    return ElementFit(level, fitted, len(compounds), round(before, 5), round(after, 5))


def write_fit(path: Path, fit: ElementFit) -> None:
    """Write a fit as JSON."""
    path.write_text(json.dumps(asdict(fit), indent=1) + "\n", encoding="utf-8")


def read_fit(path: Path) -> ElementFit | None:
    """Read what `write_fit` wrote; None when there is no such file.

    Raises
    ------
    ReferenceFileError
        When the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return ElementFit(**data | {"level": EnergyLevel.from_dict(data["level"])})
    except (ValueError, KeyError, TypeError) as error:
        raise ReferenceFileError(
            f"cannot read fitted elements {path}: {error}: make it again by 'references fit'"
        ) from error


def _published(structures: Path) -> dict[str, float]:
    """Return the finite formation energies of the training split by id."""
    table = read_columns(structures, COLUMNS)
    rows = zip(*(table[name].to_pylist() for name in COLUMNS), strict=True)
    return {i: e for i, e, split in rows if split == "train" and e is not None and np.isfinite(e)}


def _shares(formula: str, symbols: list[str]) -> list[float]:
    composition = Composition(formula)
    amounts = {e.symbol: composition.get_atomic_fraction(e) for e in composition.elements}
    return [amounts.get(symbol, 0.0) for symbol in symbols]
