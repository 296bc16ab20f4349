"""Grow token rows into crystals, a batch together, each crystal from its own random numbers.

Crystal i depends on the seed and on i, not on the batch that it was drawn in (to the last bits of
floating-point sums), so a run can be continued anywhere.

Letters in shapes: B rows drawn together, A rows still growing, K rows at one head, C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model import tokens as vocabulary
from model.coordinates import Interval, smallest_box, steps_of
from model.crystal import Site, WyckoffCrystal, lattice_vectors
from model.elements import symbol_of
from model.exclusion import Exclusion
from model.grammar import END
from model.headers import elements_in
from model.likelihood import CONTINUOUS, PARTS
from model.network import Context, candidates_of
from model.sampler import Sampler
from model.search import letters_of
from model.tokens import (
    ANGLE_SCALE,
    COORDINATE_SCALE,
    MAX_ELEMENTS,
    MAX_LENGTH,
    MAX_SITES,
    SCALES,
    Role,
    TokenError,
    lattice_of,
    row_tail,
    row_to_crystal,
)
from model.wyckoff import LETTERS, table

PART_OF = {role: name for name, roles in PARTS.items() for role in roles}


class Draw(NamedTuple):
    """One drawn crystal."""

    index: int
    """Number of the draw, from 0, for this seed."""
    crystal: WyckoffCrystal | None
    """None if the row is no crystal; ``reason`` then says why."""
    log_likelihood: float
    """Natural logarithm of the probability (density of bins) of all that was drawn."""
    parts: dict[str, float]
    """The same by part: header, skeleton, lattice, coordinates."""
    reason: str
    """Empty if the row is a crystal."""
    template: str = ""
    """Formula of the known crystal whose geometry it has; empty if the network drew it."""


class Growth:
    """One batch of rows, grown token by token until all are crystals."""

    def __init__(
        self,
        sampler: Sampler,
        seed: int,
        indices: Sequence[int],
        scripts: Sequence[tuple[int, ...]] = (),
    ) -> None:
        rows = len(indices)
        self.sampler, self.indices = sampler, indices
        self.chance = np.stack([_random_numbers(seed, index) for index in indices])
        self.tokens = np.full((rows, MAX_LENGTH), vocabulary.PAD)
        self.script = np.full((rows, MAX_LENGTH), vocabulary.PAD)
        """The tokens that each row must take, as far as they are told."""
        for row, script in enumerate(scripts):
            self.script[row, : len(script)] = script
        self.fine = np.zeros((rows, MAX_LENGTH), int)
        self.parts = {name: np.zeros(rows) for name in PARTS}
        self.role = np.full(rows, int(Role.PROMPT))
        """Role of each row's next token."""
        self.forced = np.full(rows, sampler.grammar.prompt()[1])
        """The next token where there is no choice, else -1."""
        self.tokens[:, 0] = sampler.grammar.prompt()[0]
        self.header = np.full((rows, MAX_ELEMENTS), vocabulary.PAD)
        """Element tokens of the header, by slot."""
        self.node = np.zeros(rows, int)
        self.half = np.zeros(rows, int)
        self.sites = np.full((rows, MAX_SITES, 2), vocabulary.PAD)
        """Position and element tokens of the sites so far."""
        self.site_count = np.zeros(rows, int)
        self.tail = np.full((rows, MAX_LENGTH, 2), (int(Role.DONE), -1))
        """Role and owning site of each number after the skeleton."""
        self.tail_at = np.zeros(rows, int)
        self.asked: dict[tuple[int, int], Interval] = {}
        """What a number after the skeleton may be, by row and place in its tail."""
        self.exclusions: dict[int, Exclusion] = {}
        """The atoms placed so far, by row."""

    @torch.inference_mode()
    def run(self) -> Iterator[Draw]:
        """Grow all rows; yields each crystal once it and all before it are finished."""
        network, vectors = self.sampler.network, self.sampler.vectors
        active, flushed = np.arange(len(self.indices)), 0
        cache = network.new_cache(len(active))
        for place in range(MAX_LENGTH - 1):
            states = network.step(self._context(active, place), vectors, cache, place)
            self._extend(active, states, place + 1)
            growing = self.role[active] != Role.DONE
            while flushed < len(self.indices) and self.role[flushed] == Role.DONE:
                yield self._draw(flushed)
                flushed += 1
            if not growing.any():
                return
            if growing.mean() < 0.7:
                kept = torch.from_numpy(np.flatnonzero(growing)).to(self.sampler.device)
                cache, active = cache.select(kept), active[growing]
        raise RuntimeError(f"expected every row to end within {MAX_LENGTH} tokens")

    def _context(self, active: np.ndarray, place: int) -> Context:
        """What the network reads: the last token, and what comes next."""
        role = self.role[active]
        owner = np.where(role >= Role.X, self.tail[active, self.tail_at[active], 1], -1)
        site = self.sites[active, np.maximum(owner, 0)]
        site = np.where((owner >= 0)[:, None], site, vocabulary.PAD)
        columns = (self.tokens[active, place], self.fine[active, place], role, *site.T)
        device = self.sampler.device
        return Context(*(torch.from_numpy(c.copy()).to(device)[:, None] for c in columns))

    def _extend(self, active: np.ndarray, states: Tensor, place: int) -> None:
        """Write every row's next token, then find out what follows it."""
        fixed = active[self.forced[active] >= 0]
        self.tokens[fixed, place] = self.forced[fixed]
        for roles, draw in DRAWERS:
            here = np.isin(self.role[active], roles) & (self.forced[active] < 0)
            if here.any():
                rows = active[here]
                kept = torch.from_numpy(np.flatnonzero(here)).to(states.device)
                draw(self, rows, states[kept], place)
        role = self.role[active]
        self._follow_header(active[role <= Role.SPACEGROUP], place)
        self._follow_position(active[role == Role.POSITION], place)
        self.role[active[role == Role.SITE_ELEMENT]] = Role.POSITION
        self._follow_number(active[(role >= Role.VOLUME) & (role < Role.DONE)])

    def _draw_header(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Draw the number of elements, an element, a count of the formula or the space group."""
        for role in np.unique(self.role[rows]):
            here = self.role[rows] == role
            some = rows[here]
            candidates = candidates_of(Role(role))
            choices = [self.sampler.grammar.next(self._prefix(row, place)) for row in some]
            mask = np.stack([np.isin(candidates, choice.tokens) for choice in choices])
            logits = self._logits(states[torch.from_numpy(here).to(states.device)], candidates)
            tokens = np.tile(candidates, (len(some), 1))
            picked = self._pick(some, logits, mask, None, place, tokens)
            self.tokens[some, place] = candidates[picked]

    def _draw_position(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Draw the next site's letter, or the end of the sites."""
        automaton = self.sampler.automaton
        tokens, exists = letters_of(automaton.first_position[self.node[rows]])  # (K, 28)
        allowed = automaton.letters[self.node[rows]]
        logits = self._row_logits(states, tokens)
        picked = self._pick(rows, logits, allowed, exists, place, tokens)
        self.tokens[rows, place] = tokens[np.arange(len(rows)), picked]
        sited = picked != END
        self.half[rows[sited]] = automaton.choose_letters(self.node[rows[sited]], picked[sited])

    def _draw_site_element(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Draw which element of the header sits on the letter."""
        automaton = self.sampler.automaton
        tokens = self.header[rows]  # (K, 8)
        allowed = automaton.slots[self.half[rows]]
        exists = tokens != vocabulary.PAD
        logits = self._row_logits(states, tokens)
        picked = self._pick(rows, logits, allowed, exists, place, tokens)
        chosen = tokens[np.arange(len(rows)), picked]
        self.tokens[rows, place] = chosen
        self.node[rows] = automaton.choose_slots(self.half[rows], picked)
        self.sites[rows, self.site_count[rows], 0] = self.tokens[rows, place - 1]
        self.sites[rows, self.site_count[rows], 1] = chosen
        self.site_count[rows] += 1

    def _draw_number(self, rows: np.ndarray, states: Tensor, place: int) -> None:
        """Draw a bin of a lattice parameter or coordinate, then the step within it."""
        roles = self.role[rows]
        scale = SCALES[Role(roles[0])]
        candidates = np.arange(scale.first, scale.first + scale.bins)
        mask = self._mask(rows, place)
        picked = self._pick(rows, self._logits(states, candidates), mask, None, place)
        chosen = candidates[picked]
        bins = torch.from_numpy(chosen).to(states.device)
        logits = self.sampler.network.fine_logits(states, self.sampler.vectors, bins)
        self.tokens[rows, place] = chosen
        steps = self._steps(rows, picked)
        self.fine[rows, place] = self._pick(rows, logits, steps, None, place, fine=1)
        for row in rows[self._closes_site(rows)]:
            self._place_site(row, place)

    def _mask(self, rows: np.ndarray, place: int) -> np.ndarray | None:
        """Bins that the crystals so far leave open, (K, bins); None where all are."""
        role = self.role[rows[0]]
        if role in CONTINUOUS[2]:
            return self._cells(rows, place)
        if role not in CONTINUOUS[3]:
            return None
        mask = np.ones((len(rows), COORDINATE_SCALE.bins), bool)
        for k in np.flatnonzero(self._closes_site(rows)):
            position, number, known = self._open_site(rows[k], place)
            mask[k] = self._exclusion(rows[k]).allowed(position, number, known)
        for k, interval in self._intervals(rows):
            inside = steps_of(interval).any(axis=1)
            mask[k] = mask[k] & inside if (mask[k] & inside).any() else inside
        return mask

    def _steps(self, rows: np.ndarray, bins: np.ndarray) -> np.ndarray | None:
        """Steps within the drawn bins that are asked for, (K, 64); None where all are."""
        asked = self._intervals(rows)
        if not asked:
            return None
        steps = np.ones((len(rows), vocabulary.FINE_STEPS), bool)
        for k, interval in asked:
            steps[k] = steps_of(interval)[bins[k]]
        return steps

    def _intervals(self, rows: np.ndarray) -> list[tuple[int, Interval]]:
        """What is asked of the numbers drawn now: place among the rows, and interval."""
        if not self.asked:
            return []
        found = ((k, self.asked.get((row, self.tail_at[row]))) for k, row in enumerate(rows))
        return [(k, interval) for k, interval in found if interval is not None]

    def _ask(self, row: int, tail: Sequence[tuple[int, int]]) -> None:
        """Find out which numbers of a row have to be what the constraints ask for."""
        pairs = self.sites[row, : self.site_count[row]]
        sites = [
            Site(
                LETTERS[table().letter[position - vocabulary.POSITION_0]],
                symbol_of(int(element) - vocabulary.ELEMENT_0 + 1),
            )
            for position, element in pairs
        ]
        for owner, wanted in (self.sampler.grammar.constraints.assign(sites) or {}).items():
            for interval in smallest_box(wanted.position, wanted.coordinates):
                place = tail.index((int(Role.X) + interval.axis, owner))
                self.asked[row, place] = interval

    def _closes_site(self, rows: np.ndarray) -> np.ndarray:
        """Whether the number drawn now is the last free coordinate of its site, (K,) bool."""
        owner = self.tail[rows, self.tail_at[rows], 1]
        return (owner >= 0) & (self.tail[rows, self.tail_at[rows] + 1, 1] != owner)

    def _open_site(self, row: int, place: int) -> tuple[int, int, list[float]]:
        """Position and atomic number of the site drawn now, and its coordinates so far."""
        owner = self.tail[row, self.tail_at[row], 1]
        position, element = self.sites[row, owner]
        position -= vocabulary.POSITION_0
        first = place - int(table().freedom[position]) + 1
        pairs = zip(self.tokens[row, first:place], self.fine[row, first:place], strict=True)
        known = [COORDINATE_SCALE.decode(int(token), int(fine)) for token, fine in pairs]
        return int(position), int(element) - vocabulary.ELEMENT_0 + 1, known

    def _place_site(self, row: int, place: int) -> None:
        """Put the atoms of a site whose last coordinate is drawn."""
        position, number, known = self._open_site(row, place)
        last = COORDINATE_SCALE.decode(int(self.tokens[row, place]), int(self.fine[row, place]))
        self._exclusion(row).place(position, number, [*known, last])

    def _exclusion(self, row: int) -> Exclusion:
        """The atoms of a row; those of sites without freedom are there from the start."""
        if row not in self.exclusions:
            tail = self.tail[row]
            count = int((tail[:, 1] < 0).argmin())
            start = int((self.tokens[row] == vocabulary.END).argmax()) + 1
            numbers = [
                SCALES[Role(role)].decode(int(token), int(fine))
                for (role, _), token, fine in zip(
                    tail[:count],
                    self.tokens[row, start : start + count],
                    self.fine[row, start : start + count],
                    strict=True,
                )
            ]
            placed = self.sites[row, : self.site_count[row]] - (
                vocabulary.POSITION_0,
                vocabulary.ELEMENT_0 - 1,
            )
            positions = [int(position) for position, _ in placed]
            shape = dict(zip((Role(role) for role, _ in tail[:count]), numbers, strict=True))
            exclusion = Exclusion(lattice_vectors(*lattice_of(positions, shape)))
            for position, number in placed:
                if not table().freedom[position]:
                    exclusion.place(int(position), int(number), [])
            self.exclusions[row] = exclusion
        return self.exclusions[row]

    def _cells(self, rows: np.ndarray, place: int) -> np.ndarray:
        """Bins of an angle with which alpha, beta and gamma can meet in a cell, (K, bins)."""
        bins = np.arange(ANGLE_SCALE.bins)
        width = (ANGLE_SCALE.high - ANGLE_SCALE.low) / ANGLE_SCALE.bins
        angle = ANGLE_SCALE.low + bins * width
        mask = np.ones((len(rows), len(bins)), bool)
        for k in np.flatnonzero(self.role[rows] == Role.GAMMA):
            known = self.tokens[rows[k], place - 2 : place] - ANGLE_SCALE.first
            alpha, beta = ANGLE_SCALE.low + known * width
            room = 4 * width
            mask[k] = (angle > abs(alpha - beta) + room) & (angle < alpha + beta - room)
            mask[k] &= angle < 360 - alpha - beta - room
            if not mask[k].any():
                mask[k] = True
        return mask

    def _pick(
        self,
        rows: np.ndarray,
        logits: Tensor,
        allowed: np.ndarray | None,
        exists: np.ndarray | None,
        place: int,
        tokens: np.ndarray | None = None,
        fine: int = 0,
    ) -> np.ndarray:
        """Draw among the allowed; count the likelihood among all that exist, (K,).

        Of ``tokens`` (K, C), a row takes the one that its script tells.
        """
        sampler = self.sampler
        heat = sampler.temperature if tokens is not None else sampler.geometry_temperature
        picked = sampler.choose(logits, allowed, self.chance[rows, place, fine], heat)
        if tokens is not None:
            told = tokens == self.script[rows, place, None]
            if exists is not None:
                told &= exists
            picked = np.where(told.any(axis=1), told.argmax(axis=1), picked)
        logits = logits.double()
        if exists is not None:
            outside = torch.from_numpy(~exists).to(logits.device)
            logits = logits.masked_fill(outside, float("-inf"))
        logs = logits.log_softmax(dim=1).cpu().numpy()[np.arange(len(rows)), picked]
        for role in np.unique(self.role[rows]):
            here = self.role[rows] == role
            self.parts[PART_OF[Role(role)]][rows[here]] += logs[here]
        return picked

    def _logits(self, states: Tensor, candidates: np.ndarray) -> Tensor:
        """Logits over the same candidates for all rows, (K, C)."""
        tokens = torch.from_numpy(candidates).to(states.device)
        return self.sampler.network.logits(states, self.sampler.vectors, tokens)

    def _row_logits(self, states: Tensor, tokens: np.ndarray) -> Tensor:
        """Logits over each row's own candidates, (K, C)."""
        own = torch.from_numpy(tokens).to(states.device)
        network = self.sampler.network
        query = network.to_logits(states)
        return torch.einsum("kd,kcd->kc", query, self.sampler.vectors[own]) + network.bias[own]

    def _prefix(self, row: int, place: int) -> tuple[int, ...]:
        return tuple(int(token) for token in self.tokens[row, :place])

    def _follow_header(self, rows: np.ndarray, place: int) -> None:
        """Find out what follows in the header, or begin the sites."""
        grammar = self.sampler.grammar
        for row in rows:
            prefix = self._prefix(row, place + 1)
            choice = grammar.next(prefix)
            if choice is not None:
                self.role[row] = choice.role
                drawn = len(choice.tokens) > 1 or choice.role == Role.SPACEGROUP
                self.forced[row] = -1 if drawn else choice.tokens[0]
                continue
            self.role[row], self.forced[row] = Role.POSITION, -1
            symbols = [z + vocabulary.ELEMENT_0 - 1 for z in elements_in(prefix)]
            self.header[row, : len(symbols)] = symbols
            self.node[row] = self.sampler.automaton.enter(grammar.header(prefix))

    def _follow_position(self, rows: np.ndarray, place: int) -> None:
        """Ask for the element of the letter, or begin the lattice after the last site."""
        ended = self.tokens[rows, place] == vocabulary.END
        self.role[rows[~ended]] = Role.SITE_ELEMENT
        for row in rows[ended]:
            positions = self.sites[row, : self.site_count[row], 0] - vocabulary.POSITION_0
            tail = _tail(tuple(int(p) for p in positions))
            self.tail[row, : len(tail)] = tail
            if self.sampler.grammar.constraints.placed:
                self._ask(row, tail)
            self.role[row] = tail[0][0]

    def _follow_number(self, rows: np.ndarray) -> None:
        self.tail_at[rows] += 1
        self.role[rows] = self.tail[rows, self.tail_at[rows], 0]

    def _draw(self, row: int) -> Draw:
        """Read a finished row."""
        crystal, reason = None, ""
        try:
            crystal = row_to_crystal(self.tokens[row], self.fine[row])
        except TokenError as error:
            reason = str(error)
        parts = {name: float(values[row]) for name, values in self.parts.items()}
        return Draw(self.indices[row], crystal, total(parts), parts, reason)


DRAWERS = (
    ((Role.N_ELEMENTS, Role.ELEMENT, Role.COUNT, Role.SPACEGROUP), Growth._draw_header),
    ((Role.POSITION,), Growth._draw_position),
    ((Role.SITE_ELEMENT,), Growth._draw_site_element),
    *((roles, Growth._draw_number) for roles in CONTINUOUS),
)
"""Which method draws which roles."""


def total(parts: dict[str, float]) -> float:
    """Everything but the elements, which are mostly given."""
    return float(sum(value for name, value in parts.items() if name != "elements"))


def _random_numbers(seed: int, index: int) -> np.ndarray:
    """Uniform numbers of one crystal, for the bin and the step of each token, (T, 2)."""
    return np.random.Generator(np.random.Philox(key=[seed, index])).random((MAX_LENGTH, 2))


@lru_cache(maxsize=10_000)
def _tail(positions: tuple[int, ...]) -> list[tuple[int, int]]:
    """Role and owning site of each number after a skeleton, and the end."""
    spacegroup = int(table().group[positions[0]])
    tail = [(int(role), owner) for role, owner in row_tail(spacegroup, list(positions))]
    return [*tail, (int(Role.DONE), -1)]
