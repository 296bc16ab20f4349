"""A relaxation on its way as bytes: arrays by part and name in an npz file, without pickles."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np

Parts = Mapping[str, Mapping[str, Any]]


def to_bytes(parts: Parts) -> bytes:
    """Write arrays and numbers, each to its last bit."""
    named = {f"{part}.{name}": v for part, values in parts.items() for name, v in values.items()}
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def from_bytes(data: bytes) -> Parts:
    """Read what `to_bytes` wrote.

    Raises
    ------
    ValueError
        When it is something else.
    """
    parts: defaultdict[str, dict[str, np.ndarray]] = defaultdict(dict)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            for named in stored.files:
                part, _, name = named.partition(".")
                parts[part][name] = stored[named]
    except (OSError, BadZipFile) as error:
        raise ValueError(f"not a relaxation on its way: {error}") from error
    return parts
