"""Facets of a hull that has no picture: the known phases that candidates compete with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from explorer.candidate import Candidate
from explorer.figures.words import energy_label, formula_label
from explorer.phases import MARK


@dataclass(frozen=True)
class Facet:
    """Known phases that share a facet, and the candidates over it.

    Attributes
    ----------
    products
        Formulas of the phases that the candidates would decompose into, in alphabetical order.
    count
        Candidates over it.
    lowest
        eV/atom above the hull of the lowest of them.
    """

    products: tuple[str, ...]
    count: int
    lowest: float

    @property
    def words(self) -> str:
        """Its phases, how many candidates lie over it, and how low."""
        phases = " + ".join(formula_label(product) for product in self.products)
        many = "1 candidate" if self.count == 1 else f"{self.count} candidates, lowest"
        return f"{phases}: {many} {energy_label(self.lowest)}"


def products_of(candidate: Candidate) -> tuple[str, ...]:
    """Return the formulas in "0.75 CaAl2 + 0.25 Cu", in alphabetical order; () when untold."""
    told = (candidate.decomposition or "").replace(MARK, "")
    parts = (part.split() for part in told.split("+"))
    return tuple(sorted(part[-1] for part in parts if part))


def facets_of(candidates: Iterable[Candidate]) -> list[Facet]:
    """Return the facets under candidates with a place on the hull, the lowest candidate's first.

    Parameters
    ----------
    candidates
        Each with a finite distance from the hull.
    """
    over: dict[tuple[str, ...], list[float]] = {}
    for candidate in candidates:
        products = products_of(candidate)
        if products:
            over.setdefault(products, []).append(candidate.energy_above_hull)
    facets = [Facet(products, len(above), min(above)) for products, above in over.items()]
    return sorted(facets, key=lambda facet: (facet.lowest, facet.products))
