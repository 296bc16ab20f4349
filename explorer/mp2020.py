"""The MP2020 corrections of the Materials Project, for potentials trained on energies without them.

Published formation energies mix PBE and PBE+U and carry empirical corrections of anions, oxides and
the metals that get a U (Wang et al., Sci. Rep. 11, 15496, 2021). Most universal potentials learned
the plain total energies of the same calculations; with the corrections added, their energies are on
the published scale. The corrections depend on the elements, and on which anions are bonded to each
other: they pull at no atom.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.mixing import SumCalculator
from pymatgen.core import Composition, Structure
from pymatgen.entries.compatibility import CompatibilityError, MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from explorer.crystals import from_atoms


def correction(structure: Structure) -> float:
    """Return the MP2020 correction of a crystal, eV for the whole cell.

    It is that of `pymatgen.entries.compatibility.MaterialsProject2020Compatibility` for a
    calculation with the settings of the Materials Project, which give vanadium, chromium,
    manganese, iron, cobalt, nickel, molybdenum and tungsten a U in oxides and fluorides.

    Raises
    ------
    ValueError
        Where the scheme has none for the crystal.
    """
    composition = structure.composition
    if len(composition) == 1:
        return 0.0
    with warnings.catch_warnings():
        # Without oxidation states the most electronegative element is taken for the anion; noble
        # gases have no electronegativity. Both are as they should be.
        warnings.simplefilter("ignore", UserWarning)
        hubbards = _hubbards(composition)
        runs = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards}
        told = {"oxidation_states": _oxidation_states(composition.reduced_formula)}
        entry = ComputedStructureEntry(structure, 0.0, parameters=runs, data=told)
        try:
            adjustments = _scheme().get_adjustments(entry)
        except CompatibilityError as error:
            raise ValueError(f"no MP2020 correction of {composition.formula}: {error}") from error
    return float(sum(adjustment.value for adjustment in adjustments))


class CorrectionCalculator(Calculator):
    """The correction as an energy without forces and stress, to be added to another calculator."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results`: eV, eV/Å, eV/Å³."""
        super().calculate(atoms, properties, system_changes)
        energy = correction(from_atoms(self.atoms))
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": np.zeros(6),
        }


def corrected(calculator: Any) -> SumCalculator:
    """Return a calculator whose energies carry the corrections; forces and stress stay."""
    return SumCalculator([calculator, CorrectionCalculator()])


@cache
def _scheme() -> MaterialsProject2020Compatibility:
    return MaterialsProject2020Compatibility(check_potcar=False)


def _hubbards(composition: Composition) -> dict[str, float]:
    """Return the U of each element, eV, as the Materials Project sets it; none without any."""
    elements = sorted(composition.elements, key=lambda element: element.X)
    settings = _scheme().u_settings.get(elements[-1].symbol, {})
    values = {element.symbol: float(settings.get(element.symbol, 0)) for element in elements}
    return values if any(values.values()) else {}


@lru_cache(maxsize=4096)
def _oxidation_states(formula: str) -> dict[str, float]:
    """Guess them once for a composition, as the scheme does for each entry."""
    try:
        guesses = Composition(formula).oxi_state_guesses(max_sites=-20)
    except ValueError:
        return {}
    return dict(guesses[0]) if guesses else {}
