"""Draw crystals under constraints, and score given ones.

Letters in shapes: N crystals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

import numpy as np
import torch

from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.crystal import WyckoffCrystal
from model.facts import facts_of
from model.growth import Draw, Growth, total
from model.headers import HeaderGrammar
from model.likelihood import part_nll, token_nll
from model.phases import load_phases
from model.proposals import in_turn
from model.sampler import Sampler
from model.search import Skeleton, SkeletonSearch
from model.shards import pad
from model.stability import log_odds
from model.templates import MOST_TRIES, Template, Templates
from model.tokens import crystal_to_row, row_to_crystal
from model.trees import measure

__all__ = [
    "SEARCHES",
    "Draw",
    "likelihood_ratio",
    "log_likelihood",
    "sample",
    "stability_score",
]


TOGETHER = 32
"""Known geometries that are scored in one pass of the network."""
KNOWN = 1e6
"""Taken from the score of a known crystal, so that any other is preferred."""
SEARCHES = ("independent", "distinct", "likeliest")
"""Ways to draw: each crystal on its own; skeletons without replacement, at random with the
probabilities that ordinary drawing gives them; skeletons without replacement, likeliest first."""


def sample(
    loaded: LoadedNetwork,
    constraints: Constraints,
    *,
    seed: int,
    count: int,
    start: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    search: str = "independent",
    geometry_temperature: float | None = None,
    again: float | None = None,
    templates: Templates | None = None,
    unknown: float = 0.0,
    proposed: Iterable[WyckoffCrystal] = (),
    retry_every: int = 0,
    best_of: int = 1,
    batch_size: int = 128,
) -> Iterator[Draw]:
    """Draw crystals ``start`` to ``start + count - 1`` in order, as soon as each is finished.

    Parameters
    ----------
    temperature : float
        Divides the logits; below 1 the likely becomes likelier.
    top_p : float
        Only the most likely tokens that hold this share of the probability are drawn.
    search : {"independent", "distinct", "likeliest"}
        Whether skeletons may repeat, and their order; see ``SEARCHES``. Where the constraints
        leave fewer skeletons than ``count``, a search begins anew.
    geometry_temperature : float or None
        Temperature of the lattice and the coordinates; None for the same.
    again : float or None
        In a search, a skeleton with free coordinates comes again, for other values of them, when
        its log-probability less so many nats for each time is the highest; None: never.
    templates : Templates, optional
        In a search, the first tries at a skeleton are the geometries of known crystals that have
        it, the chemically nearest first; the network draws what comes after.
    unknown : float
        Nats by which skeletons without a known geometry come later, given ``templates``.
    proposed : iterable of WyckoffCrystal
        That satisfy the constraints; in the search for the likeliest, their skeletons come in turn
        with its own.
    retry_every : int
        After so many of these, one with free coordinates comes again for other values of them;
        0 for never.
    best_of : int
        Of so many independent draws the one with the highest `stability_score` is given; one with
        the skeleton and the elements of a crystal among ``templates`` only if all are such.

    Raises
    ------
    ConstraintError
        If nothing can satisfy the constraints.
    ValueError
        If a choice is out of range, or a search is to give the best of several.
    """
    heat = temperature if geometry_temperature is None else geometry_temperature
    _refuse_counts(count, start, batch_size)
    _refuse_choices(min(temperature, heat), top_p, search, again, unknown, retry_every, best_of)
    grammar = HeaderGrammar(constraints, loaded.known_elements)
    grammar.check()
    sampler = Sampler(loaded, grammar, temperature, top_p, heat)
    if search == "independent":
        first, last = best_of * start, best_of * (start + count)
        draws = _alone(sampler, seed, range(first, last), batch_size)
        return draws if best_of == 1 else _best(loaded, draws, start, best_of, templates)
    order = {"temperature": temperature, "noise": search == "distinct", "seed": seed}
    penalty = partial(_penalty, templates, unknown) if templates and unknown else None
    anew = partial(SkeletonSearch, loaded, grammar, **order, again=again, penalty=penalty)
    others = {"proposed": proposed if search == "likeliest" else (), "retry_every": retry_every}
    skeletons = _rounds(anew, partial(in_turn, grammar=grammar, **others))
    wanted = islice(skeletons, start, start + count)
    return _filled(sampler, seed, start, wanted, batch_size, templates)


def _refuse_counts(count: int, start: int, batch_size: int) -> None:
    """Raise ValueError for a count that is none."""
    if count < 0 or start < 0 or batch_size < 1:
        raise ValueError(f"expected counts of 0 or more, got {count=} {start=} {batch_size=}")


def _refuse_choices(
    heat: float,
    top_p: float,
    search: str,
    again: float | None,
    unknown: float,
    retry_every: int,
    best_of: int,
) -> None:
    """Raise ValueError for a choice out of range; ``heat`` is the lower temperature."""
    if not heat > 0 or not 0 < top_p <= 1:
        raise ValueError(f"expected temperatures > 0 and 0 < top_p <= 1, got {heat}, {top_p}")
    if search not in SEARCHES:
        raise ValueError(f"expected a search of {', '.join(SEARCHES)}, got {search!r}")
    if again is not None and not again > 0:
        raise ValueError(f"expected more than 0 nats for a skeleton to come again, got {again}")
    if retry_every < 0:
        raise ValueError(f"expected a retry every 0 or more skeletons, got {retry_every}")
    if unknown < 0:
        raise ValueError(f"expected 0 or more nats for an unknown skeleton, got {unknown}")
    if best_of < 1 or (best_of > 1 and search != "independent"):
        raise ValueError(
            f"expected the best of 1 or more independent draws, got {best_of} in search {search!r}"
        )


def _alone(sampler: Sampler, seed: int, indices: range, batch_size: int) -> Iterator[Draw]:
    """Draw crystals on their own, batch after batch."""
    for first in range(0, len(indices), batch_size):
        yield from Growth(sampler, seed, indices[first : first + batch_size]).run()


def _best(
    loaded: LoadedNetwork,
    draws: Iterator[Draw],
    start: int,
    best_of: int,
    templates: Templates | None,
) -> Iterator[Draw]:
    """Give the one that scores highest of each ``best_of`` draws, a new crystal if there is one."""
    rounds = max(1, TOGETHER // best_of)
    while some := list(islice(draws, rounds * best_of)):
        whole = [place for place, draw in enumerate(some) if draw.crystal is not None]
        crystals = [some[place].crystal for place in whole]
        scores = np.full(len(some), -np.inf)
        scores[whole] = stability_score(loaded, crystals)
        if templates:
            known = [
                templates.hold(crystal_to_row(crystal).tokens.tolist()) for crystal in crystals
            ]
            scores[whole] -= KNOWN * np.array(known)
        for k, place in enumerate(scores.reshape(-1, best_of).argmax(axis=1)):
            yield some[best_of * k + place]._replace(index=start + k)
        start += len(some) // best_of


def _filled(
    sampler: Sampler,
    seed: int,
    start: int,
    skeletons: Iterator[Skeleton],
    batch_size: int,
    templates: Templates | None,
) -> Iterator[Draw]:
    """Find or draw a lattice and coordinates for each skeleton; the first crystal is ``start``."""
    while some := list(islice(skeletons, batch_size)):
        numbered = list(enumerate(some, start))
        told = _told(sampler, numbered, templates) if templates else {}
        drawn = [(index, skeleton) for index, skeleton in numbered if index not in told]
        indices, scripts = [index for index, _ in drawn], [s.tokens for _, s in drawn]
        grown = iter(Growth(sampler, seed, indices, scripts).run()) if drawn else iter(())
        for index, _ in numbered:
            yield told[index] if index in told else next(grown)
        start += len(some)


def _told(
    sampler: Sampler, skeletons: list[tuple[int, Skeleton]], templates: Templates
) -> dict[int, Draw]:
    """Give skeletons the geometry of a known crystal, as long as there are any untried ones."""
    found = {}
    constraints = sampler.grammar.constraints
    for index, skeleton in skeletons:
        known = templates.of(
            skeleton.tokens, MOST_TRIES if constraints.placed else skeleton.times + 1
        )
        if constraints.placed:
            known = [one for one in known if constraints.assign(_crystal(one).sites) is not None]
        if skeleton.times < len(known):
            found[index] = known[skeleton.times]
    told = {}
    # rows of like length together: most of the work would be padding
    for some in _by_length(found):
        with torch.inference_mode():
            rows = pad([found[index].row for index in some])
            parts = part_nll(*token_nll(sampler.network, rows, sampler.device))
        for place, index in enumerate(some):
            template = found[index]
            crystal = _crystal(template)
            logs = {name: -float(values[place]) for name, values in parts.items()}
            told[index] = Draw(index, crystal, total(logs), logs, "", template.model)
    return told


def _crystal(template: Template) -> WyckoffCrystal:
    return row_to_crystal(template.row.tokens, template.row.fine)


def _by_length(found: dict[int, Template]) -> Iterator[list[int]]:
    """Indices of templates, some at a time, the shortest rows first."""
    ordered = sorted(found, key=lambda index: len(found[index].row))
    for start in range(0, len(ordered), TOGETHER):
        yield ordered[start : start + TOGETHER]


def _penalty(templates: Templates, unknown: float, tokens: tuple[int, ...]) -> float:
    """Nats by which a skeleton comes later: only one that no known crystal has."""
    return 0.0 if templates.knows(tokens) else unknown


def _rounds(
    search: Callable[[], SkeletonSearch],
    with_others: Callable[[Iterator[Skeleton]], Iterator[Skeleton]],
) -> Iterator[Skeleton]:
    """All skeletons; where there are fewer than asked for, again and again for other numbers."""
    yield from with_others(search())
    while True:
        for skeleton in search():
            yield skeleton._replace(times=MOST_TRIES)  # all known geometries were tried


def log_likelihood(
    loaded: LoadedNetwork,
    crystals: list[WyckoffCrystal],
    stability: str = "any",
    batch_size: int = 64,
) -> np.ndarray:
    """Log-likelihood of given crystals, of space group, sites, lattice and coordinates.

    Parameters
    ----------
    crystals : list of WyckoffCrystal
        In canonical form (as ``explorer.encode`` makes them).
    stability : {"low", "high", "any"}
        The condition; the difference of "low" and "high" is a stability score.

    Returns
    -------
    ndarray, shape (len(crystals),)
        Natural logarithms, given the elements.

    Raises
    ------
    TokenError
        If a crystal does not fit the vocabulary.
    """
    device = loaded.network.bias.device
    rows = [crystal_to_row(crystal, stability=stability) for crystal in crystals]
    order = np.argsort([len(row) for row in rows])
    totals = np.zeros(len(rows))
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            some = order[start : start + batch_size]
            nll, roles = token_nll(loaded.network, pad([rows[k] for k in some]), device)
            parts = {name: value.cpu().numpy() for name, value in part_nll(nll, roles).items()}
            totals[some] = [
                -total({name: value[k] for name, value in parts.items()}) for k in range(len(some))
            ]
    return totals


def stability_score(loaded: LoadedNetwork, crystals: list[WyckoffCrystal]) -> np.ndarray:
    """Tell how much likelier a crystal is to lie near the hull than not, before any relaxation.

    The log-odds of an energy above the hull up to ``LOW_LIMIT``: the mean of what the stability
    networks and the trees tell, or, without stability networks, log p(x | low) - log p(x | high).

    Returns
    -------
    ndarray, shape (len(crystals),)

    Raises
    ------
    TokenError
        If a crystal does not fit the vocabulary.
    """
    if not loaded.stability:
        return likelihood_ratio(loaded, crystals)
    facts = facts_of(crystals, load_phases()) if loaded.reads_facts else None
    told = log_odds(loaded.stability, crystals, facts)
    if loaded.trees is None:
        return told
    return (told + loaded.trees.total(measure(crystals, facts))) / 2


def likelihood_ratio(loaded: LoadedNetwork, crystals: list[WyckoffCrystal]) -> np.ndarray:
    """Return log p(x | low) - log p(x | high) of each crystal, (len(crystals),)."""
    low, high = (log_likelihood(loaded, crystals, kind) for kind in ("low", "high"))
    return low - high
