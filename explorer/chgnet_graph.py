"""The two graphs that CHGNet reads, for many crystals at once and without a Python loop.

Bonds reach to 6 Å; bonds below 3 Å that share an atom make angles. Shapes: N atoms, E bonds, of
which the first S are short, D = 2 S directed short bonds, A ordered pairs of those.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explorer.batch_edges import Edges


@dataclass(frozen=True)
class AngleGraph:
    """Ordered pairs of different short bonds that leave one atom.

    Attributes
    ----------
    center
        Atom that each directed short bond leaves, ascending, (D,).
    bond
        Short bond of each directed one, (D,).
    sign
        +1 where the directed bond runs from `first` to `second`, else -1, (D, 1).
    left, right
        Directed short bonds that make each angle, (A,); `left` ascends.
    half, whole
        Angles with left < right, (A / 2,), and the place in them of every angle, (A,).
    """

    center: Tensor
    bond: Tensor
    sign: Tensor
    left: Tensor
    right: Tensor
    half: Tensor
    whole: Tensor


def short_first(edges: Edges, cutoff: float) -> tuple[Edges, int]:
    """Order bonds so that those below `cutoff` (Å) come first; returns how many those are."""
    short = edges.vectors.norm(dim=1) < cutoff
    order = torch.argsort(short, descending=True, stable=True)
    return edges.take(order), int(short.sum())


def angle_graph(edges: Edges, short: int, atoms: int) -> AngleGraph:
    """Pair the first `short` bonds at each atom."""
    device = edges.first.device
    center = torch.cat([edges.first[:short], edges.second[:short]])
    order = torch.argsort(center, stable=True)
    center, bond = center[order], order % max(short, 1)
    sign = 1.0 - 2.0 * (order >= short)
    count = torch.bincount(center, minlength=atoms)
    start = torch.cumsum(count, 0) - count
    partners = count[center]
    left = torch.repeat_interleave(torch.arange(2 * short, device=device), partners)
    block = torch.repeat_interleave(torch.cumsum(partners, 0) - partners, partners)
    right = start[center[left]] + torch.arange(len(left), device=device) - block
    apart = left != right
    left, right = left[apart], right[apart]
    half, whole = _mirrored(left, right, 2 * short)
    return AngleGraph(center, bond, sign[:, None], left, right, half, whole)


def _mirrored(left: Tensor, right: Tensor, bonds: int) -> tuple[Tensor, Tensor]:
    """Find the angles with left < right, and for every angle which of those has its bonds."""
    half = torch.nonzero(left < right)[:, 0]
    keys = left[half] * bonds + right[half]
    low, high = torch.minimum(left, right), torch.maximum(left, right)
    return half, torch.searchsorted(keys, low * bonds + high)
