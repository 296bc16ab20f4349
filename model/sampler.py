"""How a token is chosen: the network's logits, a temperature, a nucleus, the constraints.

Letters in shapes: K rows at one head, C candidates.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.automaton import Automaton
from model.checkpoint import LoadedNetwork
from model.headers import HeaderGrammar


class Sampler:
    """A network, a grammar and how to choose; knows no crystal."""

    def __init__(
        self,
        loaded: LoadedNetwork,
        grammar: HeaderGrammar,
        temperature: float,
        top_p: float,
        geometry_temperature: float,
    ) -> None:
        self.network, self.grammar = loaded.network, grammar
        self.device = self.network.bias.device
        self.temperature, self.top_p = temperature, top_p
        self.geometry_temperature = geometry_temperature
        self.automaton = Automaton()
        with torch.inference_mode():
            self.vectors = self.network.embedding()

    def choose(
        self, logits: Tensor, mask: np.ndarray | None, chance: np.ndarray, temperature: float
    ) -> np.ndarray:
        """Draw one candidate a row by inverting the cumulative distribution, (K, C) -> (K,)."""
        values = logits.double().cpu().numpy() / temperature
        if mask is not None:
            values = np.where(mask, values, -np.inf)
        weights = np.exp(values - values.max(axis=1, keepdims=True))
        if self.top_p < 1.0:
            weights = _nucleus(weights, self.top_p)
        total = weights.cumsum(axis=1)
        picked = (total < (chance * total[:, -1])[:, None]).sum(axis=1)
        # rounding may step past the last candidate that has any weight
        last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
        return np.minimum(picked, last)


def _nucleus(weights: np.ndarray, share: float) -> np.ndarray:
    """Keep the heaviest candidates of each row that together hold ``share``."""
    order = np.argsort(-weights, axis=1)
    ranked = np.take_along_axis(weights, order, axis=1)
    before = ranked.cumsum(axis=1) - ranked
    kept = before < share * ranked.sum(axis=1, keepdims=True)
    trimmed = np.zeros_like(weights)
    np.put_along_axis(trimmed, order, np.where(kept, ranked, 0.0), axis=1)
    return trimmed
