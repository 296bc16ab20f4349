"""From Wyckoff crystals to points on a convex hull."""
