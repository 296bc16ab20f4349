"""What counts as relaxed."""

FMAX = 0.05
"""eV/Å: largest force on an atom of a relaxed crystal."""
SMAX = 0.0005
"""eV/Å³ (0.08 GPa): largest stress component of a relaxed crystal."""
EMAX = 1e-4
"""eV/atom: what the last step of a relaxation may change.

With forces and stress alone, soft crystals stop up to 10 meV/atom early, each engine elsewhere.
"""
RATTLE = 0.1
"""Å, root mean square: how far campaigns displace the atoms of a relaxed crystal."""
MOST_RATTLE = 0.3
"""Å: displaced by more, it is another crystal."""
