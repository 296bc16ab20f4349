"""The processes that train one network together, as ``torchrun`` starts them; one without it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

Batch = TypeVar("Batch")


class Fleet:
    """One process of a training run, and how it agrees with the others.

    Parameters
    ----------
    device : str
        Where the network is; of several GPUs each process takes its own.
    """

    def __init__(self, device: str) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = device
        if self.size == 1:
            return
        if device == "cuda":
            self.device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(self.device)
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")

    @property
    def leads(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    def share(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Deal out batches; those that do not go round at the end are left out."""
        hand: list[Batch] = []
        for batch in batches:
            hand.append(batch)
            if len(hand) == self.size:
                yield hand[self.rank]
                hand.clear()

    def average_gradients(self, network: nn.Module) -> None:
        """Put the mean over all processes into the gradients."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        pieces = flat.div_(self.size).split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def decide(self, *wishes: bool) -> list[bool]:
        """Return the wishes of the process that leads."""
        if self.size == 1:
            return list(wishes)
        flags: Tensor = torch.tensor(wishes, dtype=torch.int32, device=self.device)
        distributed.broadcast(flags, 0)
        return [bool(flag) for flag in flags.tolist()]
