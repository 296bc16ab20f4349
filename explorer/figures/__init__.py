"""Figures: a result in, a figure out. Nothing here knows of Panel or of the store."""
