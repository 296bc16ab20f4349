"""Train the network on shards: one command, resumable, on a CPU or a bare GPU machine alike.

``python -m model.train RECIPE.toml --shards FOLDER --run FOLDER`` goes on from the last state. With
``torchrun --nproc-per-node 4 -m model.train`` and the same options the processes share each epoch
and average their gradients, so a step sees so many times more tokens.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model.checkpoint import load_state, save_network, save_state
from model.elements import symbol_of
from model.fleet import Fleet
from model.matra import Matra
from model.network import NetworkConfig
from model.objective import Likelihood, Objective
from model.shards import Batch, Shards, batches
from model.tokens import ELEMENT_0, SPACEGROUP_0

MOST_WORDS = 300
"""Characters of what a stranger's recipe says that are told back."""


class RecipeError(ValueError):
    """A recipe with an unknown or impossible setting; one line says which."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run."""

    name: str = "hullscape"
    """Name of the weights."""
    kind: str = Likelihood.kind
    """What is trained: our own network, or ``matra``, the published baseline."""
    seed: int = 0
    """Seed of initial weights, order and drawn row forms."""
    steps: int = 6000
    """Optimizer steps in all."""
    tokens_per_batch: int = 4096
    """Padded tokens in a batch."""
    learning_rate: float = 2e-3
    """Peak of AdamW's rate."""
    muon_rate: float = 0.0
    """Peak of Muon's rate for the matrices of the blocks (Jordan et al., 2024, orthogonalised
    momentum); 0 leaves them to AdamW."""
    warmup: int = 200
    """Steps of linear rise."""
    decay: float = 0.4
    """Share of the steps, at the end, over which the rate falls linearly to zero."""
    weight_decay: float = 0.05
    """AdamW's decay of matrices."""
    smoothing: float = 0.1
    """Share of a continuous target given to the bins beside it."""
    fine_weight: float = 1.0
    """Weight of the step within a bin against the bin, in the training loss alone."""
    value_weight: float = 1.0
    """Of the kind ``matra`` alone: weight of a squared error against a nat."""
    average: float = 0.999
    """Decay of the running average of the weights that is shipped."""
    clip: float = 1.0
    """Largest gradient norm."""
    any_setting: bool = False
    """Whether each pass draws a crystal's choice of origin and axes among those in the shards, or
    keeps to the canonical one."""
    patience: int = 0
    """Validations without a better one after which the run ends; 0: it goes to its last step."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Shape of the network."""

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a TOML recipe.

        Raises
        ------
        RecipeError
            If the file cannot be read or has an unknown setting.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            told = str(error)[:MOST_WORDS]
            raise RecipeError(f"expected a TOML recipe, got {path}: {told}") from None
        shape = values.pop("network", {})
        if not isinstance(shape, dict):
            raise RecipeError(f"{path}: expected a table [network], got {shape!r:.80}")
        known = {f.name for f in fields(cls)} | {f.name for f in fields(NetworkConfig)}
        unknown = sorted((set(values) | set(shape)) - known)
        if unknown:
            named = str(unknown)[:MOST_WORDS]
            raise RecipeError(f"{path}: unknown settings {named}; known are {sorted(known)}")
        try:
            return cls(**values, network=NetworkConfig(**shape))
        except (ValueError, TypeError) as error:
            raise RecipeError(f"{path}: {error}") from None

    def __post_init__(self) -> None:
        """Refuse settings of another kind than the usual ones, and numbers that are none."""
        for setting in fields(self):
            value, usual = getattr(self, setting.name), setting.default
            if setting.name == "network":
                continue
            kinds = {int, float} if type(usual) is float else {type(usual)}
            if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
                kind = "a number" if type(usual) is float else type(usual).__name__
                raise ValueError(f"{setting.name}: expected {kind}, got {value!r:.80}")
        if self.kind not in (Likelihood.kind, Matra.kind):
            known = f"{Likelihood.kind!r} or {Matra.kind!r}"
            raise ValueError(f"kind: expected {known}, got {self.kind!r:.80}")

    def objective(self) -> Objective:
        """What is made small."""
        if self.kind == Matra.kind:
            return Matra(self.value_weight)
        return Likelihood(self.smoothing, self.fine_weight)

    def rate(self, step: int) -> float:
        """Share of the peak rates at a step: rise, plateau, fall."""
        falling = self.steps * self.decay
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = min(1.0, (self.steps - step) / max(1.0, falling))
        return rise * fall


class Trainer:
    """A training run in a folder: state, log and the averaged weights."""

    def __init__(
        self,
        recipe: Recipe,
        shards: Path,
        run: Path,
        device: str = "cpu",
        start: Path | None = None,
    ) -> None:
        self.fleet = Fleet(device)
        self.recipe, self.run, self.device = recipe, run, self.fleet.device
        self.train, self.val = Shards(shards / "train.npz"), Shards(shards / "val.npz")
        torch.manual_seed(recipe.seed)
        self.objective = recipe.objective()
        self.network = self.objective.build(recipe.network).to(self.device)
        if start is not None:
            begun = self.objective.start(start, self.device)
            self.network.load_state_dict(begun.state_dict())
        self.average = self.objective.build(recipe.network).to(self.device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizers = _optimizers(self.network, recipe)
        self.step, self.epoch, self.tokens_seen, self.seconds = 0, 0, 0, 0.0
        self.best, self.waited = math.inf, 0
        run.mkdir(parents=True, exist_ok=True)
        self._load()
        torch.manual_seed(recipe.seed + self.fleet.rank)  # dropout differs between processes

    def fit(self, minutes: float, save_every: float = 180.0) -> None:
        """Train until the recipe's last step or for so many minutes; saves as it goes."""
        started = saved = time.monotonic()
        for batch in self._stream():
            begun = time.monotonic()
            loss = self._update(batch)
            self.seconds += time.monotonic() - begun
            now = time.monotonic()
            ends, saves = self.fleet.decide(
                self.step >= self.recipe.steps or now - started > 60 * minutes,
                now - saved > save_every,
            )
            if self.fleet.leads and self.step % 50 == 0:
                self._report(loss)
            if ends or saves:
                if self.fleet.leads:
                    self.save()
                saved = time.monotonic()
                (impatient,) = self.fleet.decide(0 < self.recipe.patience <= self.waited)
                if ends or impatient:
                    break

    def _stream(self) -> Iterator[Batch]:
        """Batches from where the run stands: an epoch's order depends on its number alone."""
        while True:
            rng = np.random.default_rng([self.recipe.seed, self.epoch])
            drawn = batches(
                self.train,
                self.recipe.tokens_per_batch,
                rng,
                any_setting=self.recipe.any_setting,
            )
            yield from self.fleet.share(drawn)
            self.epoch += 1

    def _update(self, batch: Batch) -> float:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * self.recipe.rate(self.step)
        self.network.train()
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            summed = self.objective.loss(self.network, batch, self.device)
        # rows of a batch are of like length: a fixed divisor weighs all tokens of an epoch alike
        loss = summed / self.recipe.tokens_per_batch
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        self.fleet.average_gradients(self.network)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.tokens_seen += int((batch.tokens > 0).sum()) * self.fleet.size
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average; early on it follows faster."""
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Means over the validation crystals, as the objective tells them."""
        return self.objective.validate(self.average, self.val, self.device)

    def save(self) -> None:
        """Write the state, one line of the log and, if none were better, the averaged weights."""
        losses = self.validate()
        decisive = losses[self.objective.decides]
        better = decisive < self.best
        self.best = min(self.best, decisive)
        self.waited = 0 if better else self.waited + 1
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counters": [self.step, self.epoch, self.tokens_seen, self.seconds],
            "best": [self.best, self.waited],
        }
        save_state(self.run, state, self.step)
        if better:
            self._keep(losses)
        with (self.run / "log.jsonl").open("a") as log:
            log.write(json.dumps({**losses, "step": self.step, "seconds": self.seconds}) + "\n")
        print(f"step {self.step}: " + _format(losses), file=sys.stderr, flush=True)

    def _keep(self, losses: dict[str, float]) -> None:
        """Write the averaged weights."""
        info = {
            "recipe": asdict(self.recipe),
            "training_crystals": len(self.train),
            "step": self.step,
            "tokens_seen": self.tokens_seen,
            "seconds": round(self.seconds),
            "validation": {k: round(v, 3) for k, v in losses.items()},
        }
        save_network(
            self.average,
            self.run / "weights",
            name=self.recipe.name,
            known_elements=known_elements(self.train),
            info=info,
            kind=self.objective.kind,
        )

    def _load(self) -> None:
        state = load_state(self.run, self.device)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.epoch, self.tokens_seen, self.seconds = state["counters"]
        self.best, self.waited = state["best"]
        self.epoch += 1  # the rest of the interrupted epoch is left out

    def _report(self, loss: float) -> None:
        speed = self.tokens_seen / max(self.seconds, 1e-9)
        left = (self.recipe.steps - self.step) * self.seconds / max(self.step, 1) / 60
        print(
            f"step {self.step}/{self.recipe.steps} loss {loss:.3f} nats/token "
            f"{speed:.0f} tokens/s {left:.0f} min left",
            file=sys.stderr,
            flush=True,
        )


def _optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the matrices of the blocks and AdamW for the rest."""
    blocks = [p for p in network.blocks.parameters() if p.ndim == 2] if recipe.muon_rate else []
    taken = {id(p) for p in blocks}
    rest = [p for p in network.parameters() if id(p) not in taken]
    peak, decay = recipe.learning_rate, recipe.weight_decay
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": decay, "peak": peak},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0, "peak": peak},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=(0.9, 0.98))]
    if blocks:
        group = {"params": blocks, "peak": recipe.muon_rate}
        optimizers.append(torch.optim.Muon([group], weight_decay=decay, nesterov=True))
    return optimizers


def known_elements(shards: Shards) -> list[str]:
    """Symbols in the training crystals, by atomic number."""
    tokens = np.unique(shards.all_tokens())
    return [symbol_of(int(t) - ELEMENT_0 + 1) for t in tokens if ELEMENT_0 <= t < SPACEGROUP_0]


def _format(losses: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in losses.items())


def main() -> None:
    """Run from the shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights to begin a new run with")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = Recipe.read(options.recipe)
    trainer = Trainer(recipe, options.shards, options.run, options.device, options.start)
    trainer.fit(options.minutes)


if __name__ == "__main__":
    main()
