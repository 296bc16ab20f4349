"""Substitution: the elements of a system put into every known prototype, the likeliest first.

By frequency, a prototype counts as likely as it has members. By similarity, each member of a
prototype counts as much as its elements resemble those asked for, by the data-mined probabilities
that one ion replaces another (Hautier et al., Inorg. Chem. 50, 656, 2011), as pymatgen has them.
No Wyckoff skeleton is drawn twice before all have been drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from heapq import merge
from itertools import islice, permutations
from operator import itemgetter
from pathlib import Path

import numpy as np

from explorer.baselines import Drawn
from explorer.encode import descriptions
from explorer.ordered_variants import likeliest_variants
from explorer.prototypes import Prototype, PrototypeLibrary, load_library, skeleton
from model.constraints import ConstraintError, Constraints
from model.crystal import WyckoffCrystal
from model.elements import atomic_number
from model.wyckoff import LETTERS

SIMILARITY = Path(__file__).parent / "data" / "similarity.npz"
Choice = tuple[Prototype, tuple[str, ...]]
"""A prototype and the element on each of its kinds of atoms."""


def substitution(
    constraints: Constraints,
    *,
    n: int,
    seed: int = 0,
    start: int = 0,
    similar: bool = False,
    library: PrototypeLibrary | None = None,
) -> Iterator[Drawn]:
    """Fill prototypes with the elements of the constraints, up to ``n`` crystals.

    The order is the same whichever crystal it starts at.

    Parameters
    ----------
    seed : int
        Settles the order of what is equally likely.
    start : int
        Number of the first crystal that is wanted.
    similar : bool
        Whether to go by chemical similarity, not by frequency.

    Raises
    ------
    ConstraintError
        If no elements are given.
    """
    if not constraints.elements:
        raise ConstraintError(
            "elements", "expected the elements to substitute, got none: give a system or a formula"
        )
    library = library or load_library()
    return islice(_stream(constraints, n, seed, similar, library), start, None)


def proposals(constraints: Constraints, variants: bool = False) -> Iterator[WyckoffCrystal]:
    """Put the elements of the constraints on known sites, the likeliest way first, canonically.

    None where no elements are given; each skeleton once, in a choice of origin and axes that
    satisfies the constraints.

    Parameters
    ----------
    variants : bool
        Whether ordered variants of known prototypes are ranked among these.
    """
    if not constraints.elements:
        return
    constraints = constraints.without_coordinates()  # skeletons alone are proposed
    seen = set()
    for _, crystal in _likeliest(constraints, variants):
        if not satisfies(crystal, constraints):
            continue
        key = skeleton(crystal)
        if key in seen:  # other coordinates, which nobody asks for here
            continue
        seen.add(key)
        fitting = (d for d in descriptions(crystal) if satisfies(d, constraints))
        yield next(fitting, crystal)


def _likeliest(constraints: Constraints, variants: bool) -> Iterator[tuple[float, WyckoffCrystal]]:
    """Known prototypes, and ordered variants if asked for, with minus their resemblance."""
    library = load_library()
    known = (
        (-score, prototype.filled(elements, library.volumes))
        for score, (prototype, elements) in _ranked(constraints, 0, True, library)
    )
    if not variants:
        return known
    return merge(known, likeliest_variants(constraints, element_similarity()), key=itemgetter(0))


def satisfies(crystal: WyckoffCrystal, constraints: Constraints) -> bool:
    """Whether a crystal has the elements, formula, group, size and sites asked for."""
    if not constraints.allows_composition(crystal.composition):
        return False
    if constraints.spacegroups and crystal.spacegroup not in constraints.spacegroups:
        return False
    if crystal.n_atoms > constraints.max_atoms:
        return False
    empty = constraints.empty_letters(crystal.spacegroup)
    if any(LETTERS.index(site.letter) in empty for site in crystal.sites):
        return False
    return constraints.assign(crystal.sites) is not None


@cache
def element_similarity() -> np.ndarray:
    """Probability that the second element replaces the first, over all their ions, (119, 119).

    Read from the file that `compute_similarity` wrote, which takes seconds.
    """
    with np.load(SIMILARITY) as stored:
        return stored["chances"]


def compute_similarity() -> np.ndarray:
    """Compute what `element_similarity` returns from pymatgen's table of substitutions."""
    from pymatgen.analysis.structure_prediction.substitution_probability import (  # noqa: PLC0415
        SubstitutionProbability,
    )

    ions = SubstitutionProbability()
    known = sorted(s for s in ions.species if s.symbol != "D")
    numbers = np.array([s.Z for s in known])
    joint = np.zeros((119, 119))
    pairs = np.array([[ions.prob(first, second) for second in known] for first in known])
    np.add.at(joint, (numbers[:, None], numbers[None]), pairs)
    total = joint.sum(axis=1, keepdims=True)
    # an element without ions in the table replaces itself alone
    return np.where(total > 0, joint / np.maximum(total, 1e-300), np.eye(119))


def _stream(
    constraints: Constraints, n: int, seed: int, similar: bool, library: PrototypeLibrary
) -> Iterator[Drawn]:
    index = 0
    ranked = [choice for _, choice in _ranked(constraints, seed, similar, library)]
    for prototype, elements in _distinct_first(ranked):
        if index >= n:
            return
        crystal = prototype.filled(elements, library.volumes)
        if satisfies(crystal, constraints):
            yield Drawn(index, crystal, template=prototype.typical.formula)
            index += 1


def _ranked(
    constraints: Constraints, seed: int, similar: bool, library: PrototypeLibrary
) -> list[tuple[float, Choice]]:
    """All ways to fill prototypes with what they are ranked by, the likeliest first."""
    rng = np.random.default_rng(seed)
    choices: list[Choice] = []
    scores: list[np.ndarray] = []
    for chosen in constraints.element_sets:
        prototypes = [p for p in library.prototypes if p.kinds == len(chosen)]
        orders = list(permutations(chosen))
        choices += [(p, order) for p in prototypes for order in orders]
        if similar:
            scores.append(_resemblance(prototypes, orders).ravel())
        else:
            scores.append(np.repeat([p.count for p in prototypes], len(orders)))
    score = np.concatenate(scores)
    order = np.lexsort((rng.random(len(score)), -score))
    return [(float(score[k]), choices[k]) for k in order]


def _resemblance(prototypes: list[Prototype], orders: list[tuple[str, ...]]) -> np.ndarray:
    """How much the members of each prototype resemble each filling, (prototypes, orders)."""
    if not prototypes:
        return np.zeros((0, len(orders)))
    similarity = element_similarity()
    members = np.concatenate([p.members for p in prototypes])  # (M, kinds)
    starts = np.cumsum([0] + [p.count for p in prototypes[:-1]])
    scores = []
    for order in orders:
        numbers = [atomic_number(symbol) for symbol in order]
        scores.append(np.add.reduceat(similarity[members, numbers].prod(axis=1), starts))
    return np.stack(scores, axis=1)


def _distinct_first(choices: list[Choice]) -> Iterator[Choice]:
    """Put off what repeats a skeleton with other coordinates."""
    seen, repeated = set(), []
    for prototype, elements in choices:
        key = id(prototype), prototype.skeleton_key(elements)
        if key in seen:
            repeated.append((prototype, elements))
            continue
        seen.add(key)
        yield prototype, elements
    yield from (choice for choice in repeated if any(free for *_, free in choice[0].sites))
