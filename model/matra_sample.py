"""Draw crystals from the published baseline's network, a batch together.

Elements, counts, groups and orbits are drawn from the whole vocabulary of their role, values are
what the network regresses. So a row may be no crystal, as in the published work; it is given with
the reason. Crystal i depends on the seed and on i, not on the batch that it was drawn in.

Letters in shapes: B rows drawn together, A rows still growing, K rows at one head.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from model import tokens as vocabulary
from model.checkpoint import LoadedNetwork
from model.crystal import WyckoffCrystal
from model.growth import Draw
from model.matra import MatraContext, natural
from model.matra_rows import (
    MAX_LENGTH,
    NUMBER,
    MatraRow,
    Role,
    following,
    matra_to_crystal,
)
from model.tokens import STABILITY, TokenError, element_token


def draw_matra(
    loaded: LoadedNetwork,
    *,
    seed: int,
    count: int,
    start: int = 0,
    elements: Sequence[str] = (),
    stability: str = "low",
    temperature: float = 1.0,
    batch_size: int = 256,
) -> Iterator[Draw]:
    """Draw crystals ``start`` to ``start + count - 1`` in order; likelihoods are not defined.

    Parameters
    ----------
    elements : sequence of str
        Symbols in formula order that the row begins with; the network may use others all the same.
        Empty: it chooses.
    stability : {"low", "high", "any"}
        What the row begins with.
    temperature : float
        Divides the logits.

    Raises
    ------
    ValueError
        If the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"expected a temperature > 0, got {temperature}")
    prompt = [STABILITY[stability]]
    if elements:
        prompt.append(vocabulary.N_ELEMENTS_0 + len(elements) - 1)
        prompt += [element_token(symbol) for symbol in elements]
    for first in range(start, start + count, batch_size):
        indices = range(first, min(first + batch_size, start + count))
        yield from _Growth(loaded, seed, indices, prompt, temperature).run()


class _Growth:
    """One batch of rows, grown entry by entry until all are finished."""

    def __init__(
        self,
        loaded: LoadedNetwork,
        seed: int,
        indices: Sequence[int],
        prompt: Sequence[int],
        temperature: float,
    ) -> None:
        rows = len(indices)
        self.network, self.indices, self.prompt = loaded.network, indices, prompt
        self.device = self.network.place.weight.device
        self.temperature = temperature
        keys = ([seed, index] for index in indices)
        random = [np.random.Generator(np.random.Philox(key=key)) for key in keys]
        self.chance = np.stack([one.random(MAX_LENGTH) for one in random])
        self.tokens = np.full((rows, MAX_LENGTH), vocabulary.PAD)
        self.values = np.zeros((rows, MAX_LENGTH), np.float32)
        self.roles = np.full((rows, MAX_LENGTH), int(Role.DONE))
        self.ahead = [deque([Role.AMOUNT]) for _ in indices]
        """Roles that are known to come, by row; none is left where a row is finished."""
        self.tokens[:, 0], self.roles[:, 0] = prompt[0], Role.PROMPT

    @torch.inference_mode()
    def run(self) -> Iterator[Draw]:
        """Grow all rows, then read them."""
        active = np.arange(len(self.indices))
        cache = self.network.new_cache(len(active))
        for place in range(1, MAX_LENGTH):
            context = self._context(active, place - 1)
            self._extend(active, self.network.step(context, cache, place - 1), place)
            growing = np.array([bool(self.ahead[row]) for row in active])
            if not growing.any():
                break
            if growing.mean() < 0.7:
                kept = torch.from_numpy(np.flatnonzero(growing)).to(self.device)
                cache, active = cache.select(kept), active[growing]
        for row in range(len(self.indices)):
            yield self._draw(row)

    def _context(self, active: np.ndarray, place: int) -> MatraContext:
        """What the network reads: the last entry, and what comes next."""
        coming = np.array([next(iter(self.ahead[row]), Role.DONE) for row in active], int)
        told = (self.tokens, self.values, self.roles)
        columns = [*(array[active, place] for array in told), coming]
        return MatraContext(*(torch.from_numpy(c).to(self.device)[:, None] for c in columns))

    def _extend(self, active: np.ndarray, states: Tensor, place: int) -> None:
        """Write the next entry of every row that is not finished, and what follows it."""
        growing = np.flatnonzero([bool(self.ahead[row]) for row in active])
        rows = active[growing]
        self.roles[rows, place] = [self.ahead[row].popleft() for row in rows]
        told = self.roles[rows, place] >= Role.X
        for write, here in ((self._draw_tokens, ~told), (self._regress, told)):
            if here.any():
                kept = torch.from_numpy(growing[here]).to(self.device)
                write(rows[here], states[kept], place)
        for row in rows[~told]:
            line = self.tokens[row, : place + 1], self.roles[row, : place + 1]
            self.ahead[row].extend(following(*line))

    def _draw_tokens(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Draw by inverting the cumulative distribution, or take what the prompt says."""
        if place < len(self.prompt):
            self.tokens[rows, place] = self.prompt[place]
            return
        roles = torch.from_numpy(self.roles[rows, place]).to(self.device)
        logits = self.network.logits(states, roles).double() / self.temperature
        total = logits.softmax(dim=1).cumsum(dim=1).cpu().numpy()
        picked = (total <= (self.chance[rows, place] * total[:, -1])[:, None]).sum(axis=1)
        self.tokens[rows, place] = picked

    def _regress(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Write the values that the network tells."""
        roles = torch.from_numpy(self.roles[rows, place]).to(self.device)
        values = natural(self.network.numbers(states, roles), roles)
        self.tokens[rows, place] = NUMBER
        self.values[rows, place] = values.cpu().numpy()

    def _draw(self, row: int) -> Draw:
        """Read a finished row."""
        crystal: WyckoffCrystal | None = None
        reason = ""
        try:
            length = int((self.roles[row] != Role.DONE).sum())
            told = (array[row, :length] for array in (self.tokens, self.values, self.roles))
            crystal = matra_to_crystal(MatraRow(*told))
        except TokenError as error:
            reason = str(error)
        return Draw(self.indices[row], crystal, float("nan"), {}, reason)
