"""Recipes, weights and states from strangers: refused in one line, and nothing in them runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest

from model.checkpoint import CheckpointError, load_network, load_state
from model.train import Recipe, RecipeError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\xff\xfe", "expected a TOML recipe"),
        (b"steps = " + b"9" * 5000, "expected a TOML recipe"),
        (b"network = 3", "expected a table"),
        (b"steps = 'many'", "steps: expected int"),
        (b"learning_rate = nan", "learning_rate: expected a number"),
        (b"[network]\nwidth = 1000000000", "width as a whole number from 1 to 8192"),
        (b"[network]\nheads = 5", "heads that divide 192"),
        (b"[network]\ndropout = 2.0", "dropout from 0 to below 1"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(
    text: bytes, told: str, tmp_path: Path
) -> None:
    """Before anything of that size is built."""
    (tmp_path / "bad.toml").write_bytes(text)
    with pytest.raises(RecipeError, match=told) as caught:
        Recipe.read(tmp_path / "bad.toml")
    assert "\n" not in str(caught.value)


class Trap:
    """Unpickles to a command."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch sprung",)


def test_a_pickle_in_the_place_of_a_state_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with a digest that fits; one line says so."""
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(Trap())
    (tmp_path / "state-0.bin").write_bytes(content)
    told = {"parts": ["state-0.bin"], "sha256": hashlib.sha256(content).hexdigest(), "step": 0}
    (tmp_path / "state.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="none of ours") as caught:
        load_state(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "description", ["[]", "{}", '{"format": 1, "sha256": 3}', "\ud800", "[" * 5000]
)
def test_a_strange_description_of_a_network_is_refused(description: str, tmp_path: Path) -> None:
    """Whatever the folder holds, one line that names it."""
    (tmp_path / "network.json").write_text(description, errors="surrogatepass")
    with pytest.raises(CheckpointError, match=tmp_path.name) as caught:
        load_network(tmp_path)
    assert "\n" not in str(caught.value)
