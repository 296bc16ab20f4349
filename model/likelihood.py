"""Negative log-likelihood of token rows, token by token.

Letters in shapes: B rows, T tokens, K tokens of one kind, D width.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from model import tokens as vocabulary
from model.network import Context, Network, candidates_of
from model.shards import Batch
from model.tokens import Role
from model.wyckoff import table

CONTINUOUS = (
    (Role.VOLUME,),
    (Role.RATIO_B, Role.RATIO_C),
    (Role.ALPHA, Role.BETA, Role.GAMMA),
    (Role.X, Role.Y, Role.Z),
)
KINDS = (
    (Role.N_ELEMENTS,),
    (Role.ELEMENT,),
    (Role.COUNT,),
    (Role.SPACEGROUP,),
    (Role.POSITION,),
    (Role.SITE_ELEMENT,),
    *CONTINUOUS,
)
"""Roles that share a head."""
PARTS = {
    "elements": (Role.N_ELEMENTS, Role.ELEMENT, Role.COUNT),
    "spacegroup": (Role.SPACEGROUP,),
    "skeleton": (Role.POSITION, Role.SITE_ELEMENT),
    "lattice": (*CONTINUOUS[0], *CONTINUOUS[1], *CONTINUOUS[2]),
    "coordinates": CONTINUOUS[3],
}
"""Parts of a crystal's likelihood, by role."""


def context_of(batch: Batch, device: torch.device | str = "cpu") -> tuple[Context, Tensor, Tensor]:
    """Inputs, targets and target roles of a batch: tokens t and what follows them.

    Returns
    -------
    Context of (B, T - 1), targets (B, T - 1, 2) with the token and its step, roles (B, T - 1).
    """
    tokens = torch.as_tensor(batch.tokens, device=device)
    fine = torch.as_tensor(batch.fine, device=device)
    roles = torch.as_tensor(batch.roles, device=device)
    sites = torch.as_tensor(batch.sites, device=device)
    first = (roles == Role.POSITION).int().argmax(dim=1, keepdim=True)  # (B, 1)
    place = (first + 2 * sites[:, 1:]).clamp(min=0)  # where the owning site's position stands
    owned = sites[:, 1:] >= 0
    pad = torch.full_like(place, vocabulary.PAD)
    position = torch.where(owned, tokens.gather(1, place), pad)
    element = torch.where(owned, tokens.gather(1, place + 1), pad)
    context = Context(tokens[:, :-1], fine[:, :-1], roles[:, 1:], position, element)
    return context, torch.stack([tokens[:, 1:], fine[:, 1:]], dim=-1), roles[:, 1:]


def token_nll(
    network: Network,
    batch: Batch,
    device: torch.device | str = "cpu",
    smoothing: float = 0.0,
    fine_weight: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats of each token, and the roles.

    Parameters
    ----------
    smoothing : float
        Share of a continuous target that is given to the two bins beside it, for training;
        0 is the likelihood proper.
    fine_weight : float
        Weight of the step within a bin, for training; 1 is the likelihood proper.

    Returns
    -------
    nll : Tensor, shape (B, T - 1)
        Bin and step together; 0 for prompts and padding.
    roles : Tensor, shape (B, T - 1)
    """
    context, targets, roles = context_of(batch, device)
    vectors = network.embedding()
    states = network(context, vectors)
    nll = states.new_zeros(roles.shape, dtype=torch.float32)
    for kind in KINDS:
        where = _is_one_of(roles, kind)
        if not bool(where.any()):
            continue
        chosen = targets[where]  # (K, 2)
        spread = smoothing if kind in CONTINUOUS else 0.0
        mask = _legal(kind[0], context.tokens, where)
        value = _bin_nll(network, states[where], vectors, kind[0], chosen[:, 0], mask, spread)
        if kind in CONTINUOUS:
            logits = network.fine_logits(states[where], vectors, chosen[:, 0]).float()
            steps = functional.cross_entropy(logits, chosen[:, 1], reduction="none")
            value = value + fine_weight * steps
        nll[where] = value
    return nll, roles


def part_nll(nll: Tensor, roles: Tensor) -> dict[str, Tensor]:
    """Sum of the likelihoods of each part, a dict of (B,) tensors in nats."""
    return {name: (nll * _is_one_of(roles, part)).sum(dim=1) for name, part in PARTS.items()}


def _bin_nll(
    network: Network,
    states: Tensor,
    vectors: Tensor,
    role: Role,
    tokens: Tensor,
    mask: Tensor | None,
    smoothing: float,
) -> Tensor:
    """Cross entropy of the tokens among the candidates of their role, (K,)."""
    candidates, index_of = _candidates(role, str(states.device))
    logits = network.logits(states, vectors, candidates).float()
    if mask is not None:
        logits = logits.masked_fill(~mask, float("-inf"))
    logs = logits.log_softmax(dim=-1)
    index = index_of[tokens]
    exact = -logs.gather(1, index[:, None])[:, 0]
    if not smoothing:
        return exact
    last = len(candidates) - 1
    wraps = role in CONTINUOUS[3]
    beside = [(index + step) % (last + 1) if wraps else (index + step).clamp(0, last)
              for step in (-1, 1)]  # fmt: skip
    around = -sum(logs.gather(1, near[:, None])[:, 0] for near in beside) / 2
    return (1 - smoothing) * exact + smoothing * around


def _legal(role: Role, tokens: Tensor, where: Tensor) -> Tensor | None:
    """Mask (K, candidates) of what the space group and the header leave open, or None."""
    rows = where.nonzero()[:, 0]
    if role == Role.POSITION:
        group = ((tokens >= vocabulary.SPACEGROUP_0) & (tokens < vocabulary.COUNT_0)).int()
        number = tokens.gather(1, group.argmax(dim=1, keepdim=True))[:, 0]
        return _positions_of_groups(str(tokens.device))[number[rows] - vocabulary.SPACEGROUP_0]
    if role == Role.SITE_ELEMENT:
        # site elements seen so far are header elements too, so all element tokens may be counted
        index = tokens - vocabulary.ELEMENT_0
        is_element = (index >= 0) & (index < 118)
        header = torch.zeros(len(tokens), 119, dtype=torch.bool, device=tokens.device)
        header.scatter_(1, torch.where(is_element, index, 118), True)
        return header[rows, :118]
    return None


def _is_one_of(roles: Tensor, kind: tuple[Role, ...]) -> Tensor:
    return torch.isin(roles, torch.tensor(kind, device=roles.device))


@cache
@torch.inference_mode(mode=False)  # kept for training too, whoever asks first
def _candidates(role: Role, device: str) -> tuple[Tensor, Tensor]:
    """Candidate tokens of a role, and each token's index among them."""
    candidates = torch.from_numpy(candidates_of(role)).to(device)
    index_of = torch.zeros(vocabulary.VOCABULARY, dtype=torch.long, device=device)
    index_of[candidates] = torch.arange(len(candidates), device=device)
    return candidates, index_of


@cache
@torch.inference_mode(mode=False)
def _positions_of_groups(device: str) -> Tensor:
    """Which positions, and END, each space group may choose from, (230, 1732) bool."""
    groups = torch.from_numpy(table().group.astype(int))
    mask = torch.ones(230, len(groups) + 1, dtype=torch.bool)
    mask[:, :-1] = groups[None] == torch.arange(1, 231)[:, None]
    return mask.to(device)
