"""Networks on disk: a folder with ``network.json`` and safetensors shards of at most 16 MB."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.boosted import Trees
from model.network import Network, NetworkConfig
from model.stability import StabilityNetwork, load_stability
from model.trees import load_trees

SHIPPED = Path(__file__).with_name("weights")
SHARD_BYTES = 15_000_000
KIND = "hullscape"
"""Of a network that weights are for, unless they name another."""
FORMAT = 1
"""Grows when rows or the network change so that older weights no longer fit."""
MOST_WORDS = 300
"""Characters of a library's error that are told."""


class CheckpointError(ValueError):
    """A folder that holds no network that this version can read; one line says why."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to draw, and what is known of it."""

    network: nn.Module
    """In evaluation mode; a ``Network`` unless the kind is another."""
    checkpoint_id: str
    """Name and the first 12 hex digits of the SHA-256 of the weights."""
    known_elements: tuple[str, ...]
    """Symbols that the training crystals hold."""
    info: dict[str, Any]
    """What the training wrote down: data, tokens, losses."""
    sha256: str = ""
    """Of the weights."""
    stability: tuple[StabilityNetwork, ...] = ()
    """Tell together how likely a crystal is to lie near the hull."""
    kind: str = KIND
    """What network it is."""
    trees: Trees | None = None
    """Tell with the stability networks how likely a crystal is to lie near the hull."""

    @property
    def reads_facts(self) -> bool:
        """Whether its stability score needs what is known of other crystals."""
        return self.trees is not None or any(network.informed for network in self.stability)


def save_network(
    network: nn.Module,
    folder: Path,
    *,
    name: str,
    known_elements: list[str],
    info: dict[str, Any],
    kind: str = KIND,
) -> None:
    """Write a network as half-precision shards; the description comes last, so it is never half."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.json").unlink(missing_ok=True)
    for old in folder.glob("part-*.safetensors"):
        old.unlink()
    weights = {key: value.detach().half().cpu() for key, value in network.state_dict().items()}
    digest = hashlib.sha256()
    for k, part in enumerate(_parts(weights)):
        path = folder / f"part-{k:02d}.safetensors"
        save_file(part, path)
        digest.update(path.read_bytes())
    description = {
        "format": FORMAT,
        "kind": kind,
        "name": name,
        "sha256": digest.hexdigest(),
        "config": network.config.to_dict(),
        "known_elements": known_elements,
        "info": info,
    }
    (folder / "network.json").write_text(json.dumps(description, indent=1) + "\n")


def load_network(folder: Path | str | None = None, device: str = "cpu") -> LoadedNetwork:
    """Read a network, by default the one that ships with the package.

    Raises
    ------
    CheckpointError
        If the folder holds no network, one of another kind or format, or damaged weights.
    """
    folder = Path(folder) if folder is not None else SHIPPED
    return load_weights(folder, device, KIND, Network)


def load_weights(
    folder: Path, device: str, kind: str, build: Callable[[NetworkConfig], nn.Module]
) -> LoadedNetwork:
    """Read a network of a kind, given how one is built; raises as `load_network` does."""
    try:
        return _read_network(folder, device, kind, build)
    except CheckpointError:
        raise
    except Exception as error:  # whatever else a stranger's files make the libraries throw
        raise CheckpointError(f"{folder} holds no network: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    """Return the kind of an error and the beginning of its text."""
    return f"{type(error).__name__}: {str(error)[:MOST_WORDS]}"


def _read_network(
    folder: Path, device: str, kind: str, build: Callable[[NetworkConfig], nn.Module]
) -> LoadedNetwork:
    description = _description(folder)
    if (found := description.get("kind", KIND)) != kind:
        raise CheckpointError(
            f"{folder} has weights of the kind {found!r:.80}, expected {kind!r}; "
            "'hullscape evaluate generation', 'retrieval' and 'sun' take either kind"
        )
    paths = sorted(folder.glob("part-*.safetensors"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    if digest != description["sha256"]:
        raise CheckpointError(
            f"the weights in {folder} are damaged: their SHA-256 is {digest[:12]}"
        )
    network = build(NetworkConfig(**description["config"]))
    weights = {key: value for path in paths for key, value in load_file(path).items()}
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    network.eval().requires_grad_(requires_grad=False).to(device)
    return LoadedNetwork(
        network,
        f"{description['name']}-{digest[:12]}",
        tuple(description["known_elements"]),
        description["info"],
        digest,
        load_stability(folder, digest, network.config, device),
        kind,
        load_trees(folder),
    )


def kind_of(folder: Path) -> str:
    """Tell which kind of network the weights in a folder are for; raises as `load_network` does."""
    return _description(folder).get("kind", KIND)


def _description(folder: Path) -> dict[str, Any]:
    """Read what a folder says of its weights."""
    try:
        description = json.loads((folder / "network.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"expected a folder with network.json and part-*.safetensors, got {folder} "
            f"({_in_words(error)})"
        ) from None
    if not isinstance(description, dict):
        raise CheckpointError(f"{folder} holds no network: expected an object in network.json")
    if description.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} has weights of format {description.get('format')!r:.80}, expected {FORMAT}; "
            "train again, or use the version that made them"
        )
    return description


def _parts(weights: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Split weights into shards; a single tensor larger than a shard has one of its own."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in weights.items():
        bytes_ = value.numel() * value.element_size()
        if parts[-1] and size + bytes_ > SHARD_BYTES:
            parts.append({})
            size = 0
        parts[-1][key] = value.contiguous()
        size += bytes_
    return parts


def save_state(run: Path, state: dict[str, Any], step: int) -> None:
    """Write a training state as parts of at most 15 MB; ``state.json``, written last, names them.

    A run that is cut off while it writes leaves the state before.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    names = []
    for k, start in enumerate(range(0, len(content), SHARD_BYTES)):
        names.append(f"state-{step:07d}-{k:02d}.bin")
        (run / names[-1]).write_bytes(content[start : start + SHARD_BYTES])
    manifest = {"step": step, "sha256": hashlib.sha256(content).hexdigest(), "parts": names}
    partial = run / "state.partial"
    partial.write_text(json.dumps(manifest) + "\n")
    partial.replace(run / "state.json")
    for old in set(run.glob("state-*.bin")) - {run / name for name in names}:
        old.unlink()


def load_state(run: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Read what `save_state` wrote; None where a run has no state yet.

    Raises
    ------
    CheckpointError
        If a part is missing or damaged.
    """
    if not (run / "state.json").is_file():
        return None
    try:
        manifest = json.loads((run / "state.json").read_text())
        content = b"".join((run / name).read_bytes() for name in manifest["parts"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(f"cannot read the state of {run}: {_in_words(error)}") from None
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise CheckpointError(
            f"the state of {run} is damaged: its SHA-256 is not that of state.json; remove "
            "state.json to begin the run anew"
        )
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # a pickle that is no state, and may be a trick, is never executed
        raise CheckpointError(
            f"the state of {run} is none of ours: {_in_words(error)}; remove state.json to begin "
            "the run anew"
        ) from error
