"""Registry of interatomic potentials: each has a name, a checkpoint hash and an energy level.

Names: "chgnet" (weights inside its wheel, so no internet is needed), "matgl:NAME_OR_PATH" (a path
that `matgl.load_model` reads, or a model of its hub), "sevennet", "mace", "orb" and "mattersim"
with or without ":MODEL" (optional packages), and whatever an installed package offers as an entry
point of the group "hullscape.potentials" (any ASE calculator).
"""

from __future__ import annotations

from importlib.util import find_spec

from explorer.ase_potentials import FAMILIES, from_entry_point, offered, optional
from explorer.chgnet_potential import chgnet
from explorer.matgl_potential import matgl
from explorer.potential_base import EnergyLevel, Potential, PotentialError

__all__ = ["EnergyLevel", "Potential", "PotentialError", "available", "potential"]


def available() -> list[str]:
    """Names that work on this machine; "matgl:NAME_OR_PATH" always may."""
    names = ["chgnet"] if find_spec("chgnet") else []
    names += [name for name, family in FAMILIES.items() if find_spec(family.package)]
    return names + offered()


def potential(name: str, device: str = "cpu") -> Potential:
    """Return the potential of that name, hashed.

    Raises
    ------
    PotentialError
        When the name is unknown, the package is missing or the weights cannot be read.
    """
    family, _, argument = name.strip().partition(":")
    if family == "chgnet":
        return chgnet(argument, device)
    if family == "matgl":
        return matgl(argument, device)
    if family in FAMILIES:
        return optional(family, argument, device)
    if name in offered():
        return from_entry_point(name, device)
    raise PotentialError(
        f"unknown potential {name!r}: expected one of {', '.join(available())} "
        "or matgl:NAME_OR_PATH"
    )
