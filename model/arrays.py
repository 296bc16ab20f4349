"""Files of arrays that ``python -m explorer.prepare`` makes and that come with the program."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_arrays(path: Path, what: str, command: str) -> dict[str, np.ndarray]:
    """Read all arrays of a file by name.

    Parameters
    ----------
    what, command : str
        What it holds, and which command of ``explorer.prepare`` makes it.

    Raises
    ------
    ValueError
        If there is no file at ``path``.
    """
    if not path.is_file():
        raise ValueError(
            f"no {what} at {path}: make them with 'python -m explorer.prepare {command}'"
        )
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
