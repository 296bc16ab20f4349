"""The facets under candidates, told by the phases that they would decompose into."""

from dataclasses import replace

from explorer.figures.facets import facets_of, products_of


def test_candidates_share_a_facet_whatever_their_shares(make_candidate):
    """The lowest candidate's facet comes first; one whose decomposition is not told has none."""
    told = ("0.75 CaAl2 + 0.25 Cu", "0.5 Cu (predicted) + 0.5 CaAl2", "Mg2Si", None)
    above = (0.2, 0.3, 0.1, 0.0)
    candidates = [
        replace(make_candidate(k, "Al", "Ca", above=up, energy=-0.1), decomposition=text)
        for k, (text, up) in enumerate(zip(told, above, strict=True))
    ]
    assert [products_of(c) for c in candidates[1:]] == [("CaAl2", "Cu"), ("Mg2Si",), ()]
    facets = facets_of(candidates)
    assert [(f.products, f.count, f.lowest) for f in facets] == [
        (("Mg2Si",), 1, 0.1),
        (("CaAl2", "Cu"), 2, 0.2),
    ]
    assert facets[1].words == "CaAl₂ + Cu: 2 candidates, lowest 0.200 eV/atom"
