"""The network, read top to bottom: embeddings, blocks, heads.

A causal transformer over token rows. The state at token t knows, besides the tokens so far, the
role of token t + 1 and (for a coordinate) its site; it gives logits over that role's tokens alone.
Output weights are the input embeddings, which are sums of learned vectors and of features: elements
from the periodic table, positions from their site symmetry, multiplicity, freedom and group.

Letters in shapes: B rows, T tokens, D width, H heads, V tokens of the vocabulary, K rows at a head.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model import tokens as vocabulary
from model.elements import elements
from model.tokens import Role
from model.wyckoff import crystal_family, table

FAMILIES = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "hexagonal", "cubic")


LARGEST = {"width": 8192, "layers": 256, "heads": 256}
"""Sizes that a network may have: those of a stranger's file are asked for before they are built."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network; travels inside the checkpoint."""

    width: int = 192
    """Size D of the vectors."""
    layers: int = 6
    """Number of blocks."""
    heads: int = 6
    """Attention heads; divides ``width``."""
    dropout: float = 0.1
    """Share of feed-forward outputs dropped in training."""

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be, or that no machine could hold."""
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(
                    f"expected {name} as a whole number from 1 to {most}, got {value!r}"
                )
        if self.width % self.heads:
            raise ValueError(f"expected heads that divide {self.width}, got {self.heads}")
        if type(self.dropout) not in {int, float} or not 0 <= self.dropout < 1:
            raise ValueError(f"expected dropout from 0 to below 1, got {self.dropout!r}")

    def to_dict(self) -> dict:
        """Plain values for a checkpoint."""
        return asdict(self)


class Context(NamedTuple):
    """What the network reads at each token."""

    tokens: Tensor
    """(B, T) int."""
    fine: Tensor
    """Step within the bin, (B, T) int."""
    next_role: Tensor
    """Role of the following token, (B, T) int."""
    next_position: Tensor
    """Token of the Wyckoff position that the following coordinate belongs to, else PAD, (B, T)."""
    next_element: Tensor
    """Token of its element, else PAD, (B, T) int."""


class Cache(NamedTuple):
    """Keys and values of the tokens so far, one pair a layer."""

    keys: list[Tensor]
    """Each (B, H, T, D / H)."""
    values: list[Tensor]
    """Each (B, H, T, D / H)."""

    def select(self, rows: Tensor) -> Cache:
        """Keep some rows of the batch."""
        return Cache([k[rows] for k in self.keys], [v[rows] for v in self.values])


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """Whole rows at once, (B, T, D) -> (B, T, D).

        Each token sees those before it or, where ``real`` tells which there are, (B, T), all.
        """
        query, key, value = self._project(x)
        if real is None:
            return self._finish(x, _causal_attention(query, key, value))
        return self._finish(x, _whole_attention(query, key, value, real))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, place: int) -> Tensor:
        """One token a row, (B, 1, D) -> (B, 1, D); writes its key and value at ``place``."""
        query, key, value = self._project(x)
        keys[:, :, place], values[:, :, place] = key[:, :, 0], value[:, :, 0]
        mixed = functional.scaled_dot_product_attention(
            query, keys[:, :, : place + 1], values[:, :, : place + 1]
        )
        return self._finish(x, mixed)

    def branch(self, x: Tensor, past: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """One token after each of several histories of different length.

        Parameters
        ----------
        x : Tensor, shape (B, 1, D)
        past : Tensor, shape (2, B, H, T, D / H)
            Keys and values of the histories.
        known : Tensor, shape (B, T + 1)
            Which of them exist, and the token itself.

        Returns
        -------
        Tensor of (B, 1, D), and the token's own key and value, (2, B, H, 1, D / H)
        """
        query, key, value = self._project(x)
        own = torch.stack([key, value])
        keys, values = torch.cat([past, own], dim=3)
        mask = known[:, None, None]
        mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return self._finish(x, mixed), own

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, length, width = x.shape
        packed = self.query_key_value(self.attention_norm(x))
        packed = packed.view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)  # each (B, H, T, D / H)
        return query, key, value

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.drop(self.feed(self.feed_norm(x)))


def _causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Mix the values of the tokens so far, (B, H, T, D / H) each."""
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    # rows are short: on a CPU the blocked kernel's backward pass takes as long as all else together
    length = query.shape[2]
    later = torch.full((length, length), float("-inf"), device=query.device).triu(1)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return (scores.float() + later).softmax(dim=-1).to(value.dtype) @ value


def _whole_attention(query: Tensor, key: Tensor, value: Tensor, real: Tensor) -> Tensor:
    """Mix the values of all tokens that there are, (B, H, T, D / H) each and (B, T)."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    scores = scores.float().masked_fill(~real[:, None, None], float("-inf"))
    return scores.softmax(dim=-1).to(value.dtype) @ value


class TokenEmbedding(nn.Module):
    """Vectors of all tokens: a learned one for each, plus features that alike tokens share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wyckoff = table()
        features = torch.from_numpy(elements().features)
        symmetries, site_symmetry = np.unique(wyckoff.site_symmetry, return_inverse=True)
        sizes, size = np.unique(wyckoff.primitive_multiplicity, return_inverse=True)
        groups = np.arange(230)
        families = [FAMILIES.index(crystal_family(int(g) + 1)) for g in groups]
        self.learned = nn.Embedding(vocabulary.VOCABULARY, width)
        self.element = nn.Linear(features.shape[1], width, bias=False)
        self.point_group = nn.Embedding(32, width)
        self.family = nn.Embedding(len(FAMILIES), width)
        self.centering = nn.Embedding(5, width)
        self.site_symmetry = nn.Embedding(len(symmetries), width)
        self.size = nn.Embedding(len(sizes), width)
        self.freedom = nn.Embedding(4, width)
        self.letter = nn.Embedding(27, width)
        self._index("features", features)
        self._index("point_groups", torch.from_numpy(wyckoff.point_group.astype(int)))
        self._index("families", torch.tensor(families))
        self._index("centerings", torch.from_numpy(wyckoff.centering.astype(int)))
        self._index("groups", torch.from_numpy(wyckoff.group.astype(int) - 1))
        self._index("site_symmetries", torch.from_numpy(site_symmetry))
        self._index("sizes", torch.from_numpy(size))
        self._index("freedoms", torch.from_numpy(wyckoff.freedom.astype(int)))
        self._index("letters", torch.from_numpy(wyckoff.letter.astype(int)))
        for part in self.children():
            nn.init.normal_(part.weight, std=0.02)

    def _index(self, name: str, values: Tensor) -> None:
        """Keep a table of the symmetry data; it is known, so no checkpoint carries it."""
        self.register_buffer(name, values, persistent=False)

    def forward(self) -> Tensor:
        """Return the vectors of all tokens, (V, D)."""
        group = (
            self.point_group(self.point_groups)
            + self.family(self.families)
            + self.centering(self.centerings)
        )  # (230, D)
        position = (
            group[self.groups]
            + self.site_symmetry(self.site_symmetries)
            + self.size(self.sizes)
            + self.freedom(self.freedoms)
            + self.letter(self.letters)
        )  # (1731, D)
        known = torch.zeros_like(self.learned.weight)
        known[vocabulary.ELEMENT_0 : vocabulary.SPACEGROUP_0] = self.element(self.features)
        known[vocabulary.SPACEGROUP_0 : vocabulary.COUNT_0] = group
        known[vocabulary.POSITION_0 : vocabulary.VOLUME_0] = position
        return self.learned.weight + known


class Network(nn.Module):
    """Transformer over token rows."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = TokenEmbedding(width)
        self.fine = nn.Embedding(vocabulary.FINE_STEPS, width)
        self.role = nn.Embedding(len(Role), width)
        self.place = nn.Embedding(vocabulary.MAX_LENGTH, width)
        self.site_position = nn.Linear(width, width, bias=False)
        self.site_element = nn.Linear(width, width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.to_logits = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(vocabulary.VOCABULARY))
        self.fine_hidden = nn.Linear(2 * width, width)
        self.fine_out = nn.Linear(width, vocabulary.FINE_STEPS)
        for part in (self.fine, self.role, self.place):
            nn.init.normal_(part.weight, std=0.02)

    def forward(self, context: Context, vectors: Tensor, *, whole: bool = False) -> Tensor:
        """States that predict the following token.

        Parameters
        ----------
        context : Context
            Rows of T tokens.
        vectors : Tensor, shape (V, D)
            The output of ``embedding``.
        whole : bool
            Whether each token sees the whole row, as nothing that is to predict may.

        Returns
        -------
        Tensor, shape (B, T, D)
        """
        places = torch.arange(context.tokens.shape[1], device=context.tokens.device)
        x = self.read(context, vectors) + self.place(places)
        real = context.tokens != vocabulary.PAD if whole else None
        for block in self.blocks:
            x = block(x, real)
        return self.norm(x)

    def step(self, context: Context, vectors: Tensor, cache: Cache, place: int) -> Tensor:
        """State after one more token of every row, (B, D); the cache grows by it."""
        x = self.read(context, vectors) + self.place.weight[place]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            x = block.step(x, keys, values, place)
        return self.norm(x)[:, 0]

    def new_cache(self, rows: int) -> Cache:
        """Empty cache for rows of the greatest length."""
        heads = self.config.heads
        shape = (rows, heads, vocabulary.MAX_LENGTH, self.config.width // heads)
        weight = self.bias
        keys = [weight.new_zeros(shape) for _ in self.blocks]
        return Cache(keys, [weight.new_zeros(shape) for _ in self.blocks])

    def new_memory(self) -> Memory:
        """Empty memory for rows that branch."""
        return Memory(self)

    def logits(self, states: Tensor, vectors: Tensor, candidates: Tensor) -> Tensor:
        """Logits over some tokens, (K, D) -> (K, number of candidates)."""
        return self.to_logits(states) @ vectors[candidates].T + self.bias[candidates]

    def fine_logits(self, states: Tensor, vectors: Tensor, chosen: Tensor) -> Tensor:
        """Logits over the steps within the bins ``chosen`` (K,), (K, D) -> (K, 64)."""
        joined = torch.cat([states, vectors[chosen]], dim=-1)
        return self.fine_out(functional.gelu(self.fine_hidden(joined)))

    def read(self, context: Context, vectors: Tensor) -> Tensor:
        """Input vectors of tokens, without their places, (B, T, D)."""
        continuous = context.tokens >= vocabulary.VOLUME_0
        x = vectors[context.tokens] + self.role(context.next_role)
        x = x + self.fine(context.fine) * continuous[..., None]
        owned = (context.next_position != vocabulary.PAD)[..., None]
        site = self.site_position(vectors[context.next_position])
        return x + (site + self.site_element(vectors[context.next_element])) * owned


class Memory:
    """Keys and values of tokens that many rows share, as in a tree; each token is read once."""

    MOST_BYTES = 512 * 2**20
    """What the keys and values may take; more, and a search begins its memory anew."""

    def __init__(self, network: Network) -> None:
        config = network.config
        self.network = network
        shape = (1024, config.layers, 2, config.heads, config.width // config.heads)
        self._kept = network.bias.new_zeros(shape)
        """(slots, layers, 2, H, D / H)"""
        self._used = 0

    @property
    def full(self) -> bool:
        """Whether as much is kept as may be."""
        return self._used * self._kept[0].numel() * self._kept.element_size() > self.MOST_BYTES

    def step(
        self, context: Context, vectors: Tensor, histories: list[tuple[int, ...]]
    ) -> tuple[Tensor, list[int]]:
        """Read one more token after each history.

        Parameters
        ----------
        context : Context
            Of that token, (K, 1) each.
        vectors : Tensor, shape (V, D)
        histories : list of tuples
            Slots of the tokens before it.

        Returns
        -------
        States (K, D), and the slots of the tokens read.
        """
        device = vectors.device
        longest = max(len(slots) for slots in histories)
        padded = [[*slots, *[0] * (longest - len(slots))] for slots in histories]
        places = torch.tensor([len(slots) for slots in histories], device=device)
        known = torch.arange(longest, device=device) < places[:, None]
        known = torch.cat([known, known.new_ones(len(histories), 1)], dim=1)  # (K, T + 1)
        index = torch.tensor(padded, dtype=torch.long, device=device).view(len(histories), longest)
        past = self._kept[index].permute(2, 3, 0, 4, 1, 5)  # (layers, 2, K, H, T, D / H)
        x = self.network.read(context, vectors) + self.network.place(places)[:, None]
        made = []
        for block, before in zip(self.network.blocks, past, strict=True):
            x, own = block.branch(x, before, known)
            made.append(own[:, :, :, 0])
        slots = self._keep(torch.stack(made).permute(2, 0, 1, 3, 4))
        return self.network.norm(x)[:, 0], slots

    def _keep(self, made: Tensor) -> list[int]:
        """Store keys and values, (K, layers, 2, H, D / H); returns their slots."""
        first, self._used = self._used, self._used + len(made)
        while self._used > len(self._kept):
            self._kept = torch.cat([self._kept, torch.zeros_like(self._kept)])
        self._kept[first : self._used] = made
        return list(range(first, self._used))


def candidates_of(role: Role) -> np.ndarray:
    """Tokens that a role may choose from, before any mask."""
    v = vocabulary
    bounds = {
        Role.N_ELEMENTS: (v.N_ELEMENTS_0, v.ELEMENT_0),
        Role.ELEMENT: (v.ELEMENT_0, v.SPACEGROUP_0),
        Role.SITE_ELEMENT: (v.ELEMENT_0, v.SPACEGROUP_0),
        Role.SPACEGROUP: (v.SPACEGROUP_0, v.COUNT_0),
        Role.COUNT: (v.COUNT_0, v.POSITION_0),
    }
    if role == Role.POSITION:
        return np.append(np.arange(v.POSITION_0, v.VOLUME_0), v.END)
    if role in vocabulary.SCALES:
        scale = vocabulary.SCALES[role]
        return np.arange(scale.first, scale.first + scale.bins)
    return np.arange(*bounds[role])
