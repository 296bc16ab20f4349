"""What counts as relaxed."""

FMAX = 0.05
"""eV/Å: largest force on an atom of a relaxed crystal."""
SMAX = 0.0005
"""eV/Å³ (0.08 GPa): largest stress component of a relaxed crystal."""
EMAX = 1e-4
"""eV/atom: what the last step of a relaxation may change.

With forces and stress alone, soft crystals stop up to 10 meV/atom early, each engine elsewhere.
"""
