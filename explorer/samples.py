"""Crystals of a file as the store and the form keep them: packed, and sorted without unpacking."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from explorer.baselines import Drawn, Formula
from explorer.campaign import CampaignSpec, SpecError
from explorer.strangers import structure_from_dict
from model.constraints import Constraints
from model.crystal import WyckoffCrystal


@dataclass(frozen=True)
class Sample:
    """One crystal that another generator wrote, or why it cannot be read.

    Attributes
    ----------
    packed
        All of it, as compressed JSON.
    symbols, formula, atoms, reason
        As those of the `Drawn` that it came from.
    """

    packed: bytes
    symbols: frozenset[str]
    formula: Formula | None
    atoms: int
    reason: str

    @classmethod
    def of(cls, drawn: Drawn) -> Sample:
        """Pack a crystal."""
        crystal, given = drawn.crystal, drawn.given
        values = {
            "symbols": sorted(drawn.symbols),
            "formula": drawn.formula,
            "atoms": drawn.atoms,
            "reason": drawn.reason,
            "name": drawn.name,
            "crystal": None if crystal is None else crystal.to_dict(),
            "given": None if given is None else _cell_and_sites(given),
        }
        return cls.read(zlib.compress(json.dumps(values).encode()))

    @classmethod
    def read(cls, packed: bytes) -> Sample:
        """Return what `of` packed."""
        values = json.loads(zlib.decompress(packed))
        formula = values["formula"]
        return cls(
            packed,
            frozenset(values["symbols"]),
            None if formula is None else tuple((symbol, count) for symbol, count in formula),
            values["atoms"],
            values["reason"],
        )

    def drawn(self, index: int) -> Drawn:
        """Unpack the crystal, as number `index` of the samples."""
        values = json.loads(zlib.decompress(self.packed))
        crystal, given = values["crystal"], values["given"]
        return Drawn(
            index,
            crystal=None if crystal is None else WyckoffCrystal.from_dict(crystal),
            given=None if given is None else structure_from_dict(given),
            reason=self.reason,
            name=values.get("name", ""),  # an older version kept none
        )


def _cell_and_sites(structure: Structure) -> dict[str, Any]:
    """Return what `structure_from_dict` reads: properties of sites may be no JSON."""
    known = ("species", "abc", "label")
    sites = structure.as_dict(verbosity=0)["sites"]
    kept = [{name: value for name, value in site.items() if name in known} for site in sites]
    return {"lattice": {"matrix": structure.lattice.matrix.tolist()}, "sites": kept}


def obeys(one: Drawn | Sample, constraints: Constraints) -> bool:
    """Whether a sample has the elements, formula and size asked for; one without atoms does not.

    Where nothing is said of elements every sample obeys, unreadable ones too.
    """
    if not (constraints.elements or constraints.required or constraints.excluded):
        return True
    if not one.symbols or not constraints.allows_elements(one.symbols):
        return False
    if constraints.formula:
        formula = one.formula
        if formula is None or not constraints.allows_composition(dict(formula)):
            return False
    return one.atoms <= constraints.max_atoms


def count_fitting(spec: CampaignSpec, samples: Sequence[Drawn | Sample]) -> int:
    """Count the samples that a campaign would judge, were its `n` large enough.

    Raises
    ------
    SpecError
        When there is none. The field is "samples".
    """
    asked = spec.asked()
    count = sum(obeys(one, asked) for one in samples)
    if count:
        return count
    name, reasons = Path(spec.samples).name, [one.reason for one in samples]
    if all(reasons) and reasons:
        first = reasons[0].removeprefix("unreadable: ")
        wrong = f"none of the {len(samples)} in {name} can be read, the first because: {first}"
        raise SpecError(f"samples: {wrong}", "samples")
    raise SpecError(
        f"samples: none of the {len(samples)} in {name} is of "
        f"{spec.chemical_system or 'this campaign'}: choose other elements or another file",
        "samples",
    )
