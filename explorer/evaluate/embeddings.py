"""What the network has learned of elements and space groups, read off its vectors.

The maps are those of Matra-Genoa's Fig. 9 and 10 (De Breuck et al., arXiv 2501.16051): t-SNE of the
vectors of elements and space groups. A map can mislead, so each comes with a number: how often
the nearest neighbour belongs to the same group of the periodic table, or crystal system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pymatgen.core import Element
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from model import tokens
from model.checkpoint import LoadedNetwork
from model.spacegroups import crystal_system

PERPLEXITY = 15.0
"""Neighbours that t-SNE tries to keep; a group of the periodic table has five or six elements."""
METRIC = "cosine"
SHUFFLES = 1000
PARTS = {
    "whole": "the vectors that the network reads",
    "own": "what is learned for each alone",
    "shared": "what follows from features: the periodic table, or the group's point group, crystal "
    "family and centring",
}
"""Parts of a vector; the whole is the sum of the others."""


def evaluate_embeddings(loaded: LoadedNetwork, *, seed: int = 0) -> dict[str, Any]:
    """Map the vectors of elements and space groups, and tell what their neighbours share.

    Parameters
    ----------
    loaded : LoadedNetwork
        Of its elements those that the training crystals hold are taken; of space groups all 230.
    seed : int
        Of t-SNE and of the shuffles.

    Returns
    -------
    dict
        ``elements`` and ``spacegroups``, each with their number ``n``; ``nearest``, for each of
        `PARTS` the ``share`` and ``count`` of vectors whose nearest neighbour has the same label,
        and the mean and 95 % interval of that share with labels ``shuffled``; ``points`` with
        ``name``, ``label``, ``kind`` (block of the periodic table, or crystal system) and the map's
        ``x`` and ``y``, of the whole vectors. ``words`` says what the parts are.
    """
    vectors = embedding_parts(loaded)
    symbols = [Element.from_Z(z).symbol for z in range(1, 119)]
    held = [place for place, symbol in enumerate(symbols) if symbol in loaded.known_elements]
    chosen = {
        "elements": (np.array(held) + tokens.ELEMENT_0, [element_kinds(symbols[k]) for k in held]),
        "spacegroups": (
            np.arange(tokens.SPACEGROUP_0, tokens.COUNT_0),
            [(str(g), crystal_system(g), crystal_system(g)) for g in range(1, 231)],
        ),
    }
    told: dict[str, Any] = {}
    for name, (places, kinds) in chosen.items():
        labels = [label for _, label, _ in kinds]
        mapped = mapping(vectors["whole"][places], seed)
        told[name] = {
            "n": len(places),
            "labels": len(set(labels)),
            "nearest": {
                part: nearest_share(vectors[part][places], labels, seed=seed) for part in PARTS
            },
            "points": [
                {"name": own, "label": label, "kind": kind, "x": round(x, 3), "y": round(y, 3)}
                for (own, label, kind), (x, y) in zip(kinds, mapped.tolist(), strict=True)
            ],
        }
    asked = {"seed": seed, "metric": METRIC, "perplexity": PERPLEXITY, "shuffles": SHUFFLES}
    return told | {"words": PARTS, "generator": loaded.checkpoint_id, "asked": asked}


def embedding_parts(loaded: LoadedNetwork) -> dict[str, np.ndarray]:
    """Return the parts of the vectors of all tokens by the names of `PARTS`, (V, D) each."""
    with torch.inference_mode():
        whole = loaded.network.embedding().float().cpu().numpy()
        own = loaded.network.embedding.learned.weight.float().cpu().numpy()
    return {"whole": whole, "own": own, "shared": whole - own}


def element_kinds(symbol: str) -> tuple[str, str, str]:
    """Return an element's symbol, its group, and its block; the f block has two groups."""
    element = Element(symbol)
    if element.is_lanthanoid or element.is_actinoid:
        return symbol, "lanthanoid" if element.is_lanthanoid else "actinoid", "f"
    return symbol, str(element.group), element.block


def mapping(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Lay vectors out on a plane by t-SNE, (N, D) -> (N, 2)."""
    plane = TSNE(
        metric=METRIC,
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        init="pca",
        random_state=seed,
        n_jobs=1,
    )
    return plane.fit_transform(_centred(vectors))


def nearest_share(
    vectors: np.ndarray, labels: Sequence[str], *, seed: int = 0, shuffles: int = SHUFFLES
) -> dict[str, Any]:
    """Count the vectors whose nearest neighbour, by angle about their mean, has the same label.

    Parameters
    ----------
    vectors : ndarray, shape (N, D)
    labels : sequence of str
        N of them; one that is alone in its class counts against the share.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    # Asked without points, sklearn leaves each vector out of its own neighbours.
    nearest = NearestNeighbors(n_neighbors=1, metric=METRIC).fit(_centred(vectors))
    neighbour = nearest.kneighbors(return_distance=False)[:, 0]
    same = codes == codes[neighbour]
    rng = np.random.default_rng(seed)
    by_chance = [
        float((mixed == mixed[neighbour]).mean())
        for mixed in (rng.permutation(codes) for _ in range(shuffles))
    ]
    low, high = np.quantile(by_chance, (0.025, 0.975))
    return {
        "share": round(float(same.mean()), 4),
        "count": int(same.sum()),
        "shuffled": round(float(np.mean(by_chance)), 4),
        "shuffled_interval": [round(float(low), 4), round(float(high), 4)],
    }


def _centred(vectors: np.ndarray) -> np.ndarray:
    """Take away what all vectors have in common; angles would be small otherwise."""
    return vectors - vectors.mean(axis=0)
