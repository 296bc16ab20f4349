"""Skeletons without replacement: the tree of all rows up to their sites, best first.

Every prefix of a row (header, then sites) is a node; its key is the logarithm of its probability
under the sampling distribution, which no continuation exceeds. Taking the highest key first yields
complete skeletons in exactly falling probability. With Gumbel noise handed down the tree (Kool, van
Hoof and Welling, ICML 2019, algorithm 1) the same search draws them at random, without replacement,
with the probabilities that ordinary sampling has.

Rows of eight elements are so long that the best prefixes of any length would be worked through
before a first row is whole. Where none has been for long, the best prefix is completed at once,
each time by its likeliest token, and the search goes on from what that left.

Letters in shapes: K nodes expanded together, T tokens, C candidates, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model import tokens as vocabulary
from model.automaton import Automaton
from model.checkpoint import LoadedNetwork
from model.grammar import END
from model.headers import HeaderGrammar, elements_in
from model.network import Context, candidates_of
from model.tokens import MAX_ELEMENTS, Role
from model.wyckoff import table

TOGETHER = 96
"""Nodes expanded in one pass of the network."""
PATIENCE = 60
"""Passes without a skeleton after which one is completed out of turn; seven elements take 31."""
PATIENCE_LEFT = 10
"""Once one has been."""


class Skeleton(NamedTuple):
    """A row up to the end of its sites."""

    tokens: tuple[int, ...]
    """From the stability token to ``END``."""
    parts: dict[str, float]
    """Log-likelihood of the elements, the space group and the sites."""
    key: float
    """What the search ordered by; falls from one skeleton to the next of those not out of turn."""
    times: int = 0
    """How often it was given before."""


class Prefix(NamedTuple):
    """A prefix of a row that is worth continuing."""

    tokens: tuple[int, ...]
    roles: tuple[int, ...]
    """Role of each token."""
    parts: tuple[float, float, float]
    """Log-likelihood of elements, space group and sites among all that exist."""
    state: int
    """Node of the automaton before a letter, its half node before an element; -1 in the header."""
    next_role: int
    slots: tuple[int, ...]
    """Where the keys and values of the first tokens are kept; the rest are yet to be read."""
    age: int
    """Of the memory that the slots belong to; a memory that is full is begun anew."""


class Fan(NamedTuple):
    """All tokens that may follow one prefix, the best first, (C,) each.

    Arrays, since a long search keeps millions of them.
    """

    prefix: Prefix
    orders: np.ndarray
    """Minus the key of each, with its noise if any."""
    logps: np.ndarray
    """Logarithm of the probability that the search goes by, without noise."""
    picks: np.ndarray
    """Index of the token among the candidates."""
    tokens: np.ndarray
    likelihoods: np.ndarray
    """Logarithm of the token's likelihood among all that exist."""


class Child(NamedTuple):
    """One more token after a prefix; the heap takes the lowest ``order`` first."""

    order: float
    number: int
    """Decides between equal orders: the older first."""
    fan: Fan
    rank: int
    """Which of the fan; the next one enters the heap when this one leaves it."""
    times: int = 0
    """How often this skeleton was given already."""
    put_off: bool = False
    """Whether its penalty is counted."""

    @property
    def complete(self) -> bool:
        """Whether the token ends the sites."""
        fan = self.fan
        return bool(
            fan.tokens[self.rank] == vocabulary.END and fan.prefix.next_role == Role.POSITION
        )

    @property
    def tokens(self) -> tuple[int, ...]:
        """The prefix and the token."""
        return (*self.fan.prefix.tokens, int(self.fan.tokens[self.rank]))

    def parts(self) -> tuple[float, float, float]:
        """Log-likelihoods of the prefix with this token."""
        parts = list(self.fan.prefix.parts)
        parts[PART[self.fan.prefix.next_role]] += float(self.fan.likelihoods[self.rank])
        return tuple(parts)


class SkeletonSearch:
    """A search without end; ``next`` gives the next skeleton until none is left.

    Parameters
    ----------
    temperature : float
        Divides the logits.
    noise : bool
        Draw at random without replacement; otherwise the likeliest first.
    seed : int
        Of the noise.
    again : float or None
        A skeleton with free coordinates comes again, for another try at them, once its key less
        so many nats for each time is the highest; None gives each skeleton once.
    penalty : callable, optional
        From a skeleton's tokens to the nats, 0 or more, by which it comes later.
    """

    def __init__(
        self,
        loaded: LoadedNetwork,
        grammar: HeaderGrammar,
        *,
        temperature: float = 1.0,
        noise: bool = False,
        seed: int = 0,
        again: float | None = None,
        penalty: Callable[[tuple[int, ...]], float] | None = None,
    ) -> None:
        self.network, self.grammar = loaded.network, grammar
        self.device = self.network.bias.device
        self.temperature, self.noise, self.seed = temperature, noise, seed
        self.again, self.penalty = again, penalty
        self.automaton = Automaton()
        self._number, self._age, self._patience = count(), 0, PATIENCE
        self._heap: list[Child] = []
        with torch.inference_mode():
            self.vectors = self.network.embedding()
        self._renew()
        prompt = (int(Role.PROMPT),) * 2
        root = self._prefix(grammar.prompt(), prompt, (0.0, 0.0, 0.0), -1, ())
        for fan in self._expand([(root, 0.0, 0.0)]):
            self._push(fan, 0)

    def __iter__(self) -> Iterator[Skeleton]:
        """Yield skeletons until none is left."""
        return self

    def __next__(self) -> Skeleton:
        """Return the next skeleton."""
        passes = 0
        while self._heap:
            if self._heap[0].complete:
                leaf = self._pop()
                if self.penalty is not None and not leaf.put_off:
                    order = leaf.order + self.penalty(leaf.tokens)
                    heappush(self._heap, leaf._replace(order=order, put_off=True))
                    continue
                return self._given(leaf)
            if passes >= self._patience and not self.noise:
                self._patience = PATIENCE_LEFT
                return self._given(self._completed())
            for fan in self._expand(self._take()):
                self._push(fan, 0)
            passes += 1
        raise StopIteration

    def _given(self, leaf: Child) -> Skeleton:
        """Turn a complete child into a skeleton, which may come again."""
        if self.again is not None and has_coordinates(leaf.tokens):
            heappush(self._heap, self._later(leaf))
        parts = dict(zip(("elements", "spacegroup", "skeleton"), leaf.parts(), strict=True))
        return Skeleton(leaf.tokens, parts, -leaf.order, leaf.times)

    def _completed(self) -> Child:
        """Go on from the best prefix by its likeliest token, to the end."""
        child = self._pop()
        while not child.complete:
            logp = float(child.fan.logps[child.rank])
            (fan,) = self._expand([(self._grown(child), logp, -child.order)])
            self._push(fan, 1)
            child = Child(float(fan.orders[0]), next(self._number), fan, 0)
        return child

    def _renew(self) -> None:
        """Begin an empty memory; prefixes of the old one are read again when their turn comes."""
        with torch.inference_mode():
            self.memory = self.network.new_memory()
        self._age += 1

    def _pop(self) -> Child:
        """Take the best child off the heap; its next sibling takes its place."""
        child = heappop(self._heap)
        if not child.times and not child.put_off:
            self._push(child.fan, child.rank + 1)
        return child

    def _push(self, fan: Fan, rank: int) -> None:
        if rank < len(fan.orders):
            heappush(self._heap, Child(float(fan.orders[rank]), next(self._number), fan, rank))

    def _later(self, leaf: Child) -> Child:
        return leaf._replace(
            order=leaf.order + self.again, number=next(self._number), times=leaf.times + 1
        )

    def _take(self) -> list[tuple[Prefix, float, float]]:
        """Take the most promising unfinished prefixes off the heap, with their logp and key."""
        taken, leaves = [], []
        while self._heap and len(taken) < TOGETHER:
            if self._heap[0].complete:
                leaves.append(heappop(self._heap))
                continue
            child = self._pop()
            taken.append((self._grown(child), float(child.fan.logps[child.rank]), -child.order))
        for leaf in leaves:
            heappush(self._heap, leaf)
        return taken

    def _grown(self, child: Child) -> Prefix:
        """Turn a child into a prefix of its own."""
        parent, state = child.fan.prefix, -1
        chosen = np.array([parent.state]), np.array([child.fan.picks[child.rank]])
        if parent.next_role == Role.POSITION:
            state = int(self.automaton.choose_letters(*chosen)[0])
        elif parent.next_role == Role.SITE_ELEMENT:
            state = int(self.automaton.choose_slots(*chosen)[0])
        roles = (*parent.roles, parent.next_role)
        slots = parent.slots if parent.age == self._age else ()
        return self._prefix(child.tokens, roles, child.parts(), state, slots)

    def _prefix(
        self,
        tokens: tuple[int, ...],
        roles: tuple[int, ...],
        parts: tuple[float, float, float],
        state: int,
        slots: tuple[int, ...],
    ) -> Prefix:
        """Find out what follows, and write what the header leaves no choice of."""

        def made(state: int, role: Role) -> Prefix:
            return Prefix(tokens, roles, parts, state, int(role), slots, self._age)

        if roles[-1] == Role.POSITION:
            return made(state, Role.SITE_ELEMENT)
        if roles[-1] == Role.SITE_ELEMENT:
            return made(state, Role.POSITION)
        choice = self.grammar.next(tokens)
        while choice and len(choice.tokens) == 1 and choice.role != Role.SPACEGROUP:
            tokens, roles = (*tokens, int(choice.tokens[0])), (*roles, int(choice.role))
            choice = self.grammar.next(tokens)
        if choice:
            return made(-1, choice.role)
        return made(self.automaton.enter(self.grammar.header(tokens)), Role.POSITION)

    @torch.inference_mode()
    def _expand(self, taken: list[tuple[Prefix, float, float]]) -> list[Fan]:
        """Return the children of prefixes."""
        fans = []
        prefixes, states = self._read([prefix for prefix, _, _ in taken])
        for role in sorted({prefix.next_role for prefix in prefixes}):
            where = [k for k, prefix in enumerate(prefixes) if prefix.next_role == role]
            tokens, exists, allowed = self._choices(Role(role), [prefixes[k] for k in where])
            query = self.network.to_logits(states[where])
            own = torch.from_numpy(tokens).to(self.device)
            logits = torch.einsum("kd,kcd->kc", query, self.vectors[own]) + self.network.bias[own]
            values = logits.double().cpu().numpy()
            likelihood = _log_softmax(np.where(exists, values, -np.inf))
            # drawing at random is drawing among what is allowed; what is allowed of a crystal is
            # as likely, compared with another, as it is among all that exist
            among = allowed if self.noise else exists
            asked = _log_softmax(np.where(among, values / self.temperature, -np.inf))
            for row, k in enumerate(where):
                _, logp, key = taken[k]
                picks = np.flatnonzero(allowed[row])
                logps = logp + asked[row, picks]
                fans.append(self._fan(prefixes[k], key, picks, logps, tokens[row], likelihood[row]))
        return fans

    def _fan(
        self,
        prefix: Prefix,
        key: float,
        picks: np.ndarray,
        logps: np.ndarray,
        tokens: np.ndarray,
        likelihood: np.ndarray,
    ) -> Fan:
        """Return the children of one prefix."""
        keys = logps
        if self.noise:
            keys = _handed_down(key, logps, _chances(self.seed, prefix.tokens, len(picks)))
        best = np.argsort(-keys, kind="stable")
        columns = -keys, logps, picks, tokens[picks], likelihood[picks]
        return Fan(prefix, *(column[best] for column in columns))

    def _read(self, prefixes: list[Prefix]) -> tuple[list[Prefix], Tensor]:
        """Read the tokens that are not read yet; the last one's state predicts what follows."""
        if self.memory.full:
            self._renew()
            prefixes = [prefix._replace(slots=(), age=self._age) for prefix in prefixes]
        states = self.vectors.new_zeros(len(prefixes), self.vectors.shape[1])
        prefixes = list(prefixes)
        while any(len(p.slots) < len(p.tokens) for p in prefixes):
            where = [k for k, p in enumerate(prefixes) if len(p.slots) < len(p.tokens)]
            some = [prefixes[k] for k in where]
            places = [len(p.slots) for p in some]
            now = [
                (p.tokens[n], (*p.roles, p.next_role)[n + 1])
                for p, n in zip(some, places, strict=True)
            ]
            token, role = torch.tensor(now, device=self.device).T[:, :, None]  # each (K, 1)
            none = torch.full_like(token, vocabulary.PAD)
            context = Context(token, torch.zeros_like(token), role, none, none)
            new, slots = self.memory.step(context, self.vectors, [p.slots for p in some])
            states[where] = new
            for k, slot in zip(where, slots, strict=True):
                prefixes[k] = prefixes[k]._replace(slots=(*prefixes[k].slots, slot))
        return prefixes, states

    def _choices(
        self, role: Role, prefixes: list[Prefix]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates of each prefix, which exist and which the constraints allow, (K, C) each."""
        states = np.array([prefix.state for prefix in prefixes])
        if role == Role.POSITION:
            tokens, exists = letters_of(self.automaton.first_position[states])
            return tokens, exists, self.automaton.letters[states]
        if role == Role.SITE_ELEMENT:
            tokens = np.array([_elements_of(prefix.tokens) for prefix in prefixes])
            return tokens, tokens != vocabulary.PAD, self.automaton.slots[states]
        candidates = candidates_of(role)
        tokens = np.tile(candidates, (len(prefixes), 1))
        allowed = [np.isin(candidates, self.grammar.next(p.tokens).tokens) for p in prefixes]
        return tokens, np.ones_like(tokens, bool), np.stack(allowed)


PART = {
    int(Role.N_ELEMENTS): 0,
    int(Role.ELEMENT): 0,
    int(Role.COUNT): 0,
    int(Role.SPACEGROUP): 1,
    int(Role.POSITION): 2,
    int(Role.SITE_ELEMENT): 2,
}
"""Index in ``Node.parts`` of what each drawn role adds to."""


def letters_of(first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of all letters of a group, and END, and which of them exist, (K, 28) each.

    Parameters
    ----------
    first : ndarray, shape (K,)
        Row of the Wyckoff table of letter a of each group.
    """
    group = table().group[first].astype(int)
    letters = np.arange(END + 1)
    exists = letters < (table().group_start[group] - first)[:, None]
    exists[:, END] = True
    tokens = vocabulary.POSITION_0 + first[:, None] + letters
    return np.where(exists & (letters < END), tokens, vocabulary.END), exists


def has_coordinates(tokens: tuple[int, ...]) -> bool:
    """Whether any site of a row has a free coordinate."""
    first, last = vocabulary.POSITION_0, vocabulary.POSITION_0 + len(table().freedom)
    return any(table().freedom[t - first] for t in tokens if first <= t < last)


def _elements_of(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Element tokens of the header, by slot, padded to 8."""
    header = tokens[: next(k for k, t in enumerate(tokens) if t >= vocabulary.POSITION_0)]
    symbols = [z + vocabulary.ELEMENT_0 - 1 for z in elements_in(header)]
    return (*symbols, *[vocabulary.PAD] * (MAX_ELEMENTS - len(symbols)))


def _log_softmax(values: np.ndarray) -> np.ndarray:
    """Normalise logarithms along the last axis, (K, C)."""
    top = values.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return values - top - np.log(np.exp(values - top).sum(axis=-1, keepdims=True))


def _chances(seed: int, tokens: tuple[int, ...], number: int) -> np.ndarray:
    """Uniform numbers for the children of a prefix, the same in whatever order it is met."""
    digest = hashlib.blake2b(np.array(tokens, np.int64).tobytes(), digest_size=8).digest()
    key = [seed, int.from_bytes(digest, "little")]
    return np.random.Generator(np.random.Philox(key=key)).random(number)


def _handed_down(parent: float, logps: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Gumbel keys of children whose highest is the parent's (Kool et al. 2019, appendix B)."""
    gumbel = logps - np.log(-np.log(np.clip(chances, 1e-12, 1 - 1e-12)))
    rest = np.log1p(-np.exp(np.minimum(gumbel - gumbel.max(), -1e-12)))
    v = parent - gumbel + rest
    return parent - np.maximum(v, 0.0) - np.log1p(np.exp(-np.abs(v)))
