"""The skeleton grammar as growing tables, so that a step of a whole batch is a look-up.

Letters in shapes: K rows, N nodes (states after a whole site), M half nodes (a letter is chosen).
"""

from __future__ import annotations

import numpy as np

from model.grammar import END, Header, Skeletons, State
from model.tokens import MAX_ELEMENTS
from model.wyckoff import table


class Automaton:
    """States of ``grammar.Skeletons``, numbered as they are met."""

    def __init__(self) -> None:
        self._skeletons: dict[Header, Skeletons] = {}
        self._nodes: dict[tuple[Header, State], int] = {}
        self._states: list[tuple[Skeletons, State]] = []
        self._halves: list[tuple[int, int]] = []
        self.letters = np.zeros((256, END + 1), bool)
        """Letters that may follow each node, and END, (N, 28)."""
        self.slots = np.zeros((256, MAX_ELEMENTS), bool)
        """Slots that may take the letter of each half node, (M, 8)."""
        self.first_position = np.zeros(256, int)
        """Row of the Wyckoff table of letter a of each node's group, (N,)."""
        self._by_letter = np.full((256, END), -1)
        self._by_slot = np.full((256, MAX_ELEMENTS), -1)

    def enter(self, header: Header) -> int:
        """Node before the first site of a header's skeleton."""
        if header not in self._skeletons:
            self._skeletons[header] = Skeletons(header)
        return self._node(self._skeletons[header], self._skeletons[header].start)

    def choose_letters(self, nodes: np.ndarray, letters: np.ndarray) -> np.ndarray:
        """Half nodes after the letters, (K,)."""
        halves = self._by_letter[nodes, letters]
        for k in np.flatnonzero(halves < 0):
            node, letter = int(nodes[k]), int(letters[k])
            if self._by_letter[node, letter] < 0:
                self._by_letter[node, letter] = self._half(node, letter)
            halves[k] = self._by_letter[node, letter]
        return halves

    def choose_slots(self, halves: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Nodes after the elements, (K,)."""
        nodes = self._by_slot[halves, slots]
        for k in np.flatnonzero(nodes < 0):
            half, slot = int(halves[k]), int(slots[k])
            if self._by_slot[half, slot] < 0:
                node, letter = self._halves[half]
                skeletons, state = self._states[node]
                after = skeletons.after(state, letter, slot)
                # the table may grow while the node is made, so it is indexed afterwards
                made = self._node(skeletons, after)
                self._by_slot[half, slot] = made
            nodes[k] = self._by_slot[half, slot]
        return nodes

    def _node(self, skeletons: Skeletons, state: State) -> int:
        key = (skeletons.header, state)
        if key not in self._nodes:
            number = len(self._states)
            if number == len(self.letters):
                self.letters = _doubled(self.letters)
                self.first_position = _doubled(self.first_position)
                self._by_letter = _doubled(self._by_letter, -1)
            self._states.append((skeletons, state))
            self._nodes[key] = number
            self.letters[number] = skeletons.letters(state)
            self.first_position[number] = table().group_start[skeletons.header.spacegroup - 1]
        return self._nodes[key]

    def _half(self, node: int, letter: int) -> int:
        number = len(self._halves)
        if number == len(self.slots):
            self.slots = _doubled(self.slots)
            self._by_slot = _doubled(self._by_slot, -1)
        self._halves.append((node, letter))
        skeletons, state = self._states[node]
        self.slots[number] = skeletons.slots(state, letter)
        return number


def _doubled(array: np.ndarray, fill: int = 0) -> np.ndarray:
    """Return the array with as many rows again."""
    return np.concatenate([array, np.full_like(array, fill)])
