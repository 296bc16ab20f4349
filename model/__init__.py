"""Constraints in, Wyckoff crystals out: a transformer over symmetry, with torch and numpy alone."""
