"""Output files and folders: refused before the work, written whole or not at all.

Nothing that this program did not write is ever deleted: a folder that holds something is no place
for a new one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import numpy as np

from explorer.campaign import SpecError


@contextmanager
def replacing(path: Path, *, own: bool = False) -> Iterator[Path]:
    """Give a path to write to, and put what was written in the place of `path` when it is whole.

    Parameters
    ----------
    path
        A file, a folder, or a device or pipe such as /dev/stdout, which gets the bytes.
    own
        Whether a folder that stands there is known to be one that this program wrote; otherwise
        only an empty one makes room.

    Raises
    ------
    OSError
        When the place cannot be written, or holds files of somebody.
    """
    if is_stream(path):
        with TemporaryDirectory() as folder:
            part = Path(folder, path.name)
            yield part
            with path.open("wb") as stream:
                stream.write(part.read_bytes())
        return
    path = path.resolve()  # what a link leads to is written, not a file in the link's place
    with TemporaryDirectory(prefix=".hullscape-", dir=path.parent) as folder:
        part = Path(folder, path.name)  # the name tells the format
        yield part
        if path.is_dir():
            shutil.rmtree(path) if own else path.rmdir()
        part.replace(path)


def refuse_unwritable(path: Path) -> None:
    """Make the folder of an output file, and find out now whether it can be written.

    Raises
    ------
    SpecError
        With the system's reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_stream(path):
            _refuse_closed(path)
            return
        with NamedTemporaryFile(dir=path.parent):
            pass
        if path.is_dir() and path.suffix:
            raise IsADirectoryError("it is a folder")
    except OSError as error:
        reason = error.strerror or str(error)
        raise SpecError(f"cannot write {path}: {reason}: choose another place") from error


def refuse_full_folder(path: Path) -> None:
    """Refuse to write a folder where one is that holds something.

    Raises
    ------
    SpecError
        With what it holds.
    """
    if not path.is_dir():
        return
    held = sorted(item.name for item in path.iterdir())
    if held or path.resolve() == Path.cwd():
        holds = f"it holds {held[0]}" if held else "it is the folder you are in"
        raise SpecError(
            f"cannot write {path}: expected a new or an empty folder, {holds}: name another one, "
            "or a file such as out.zip"
        )


def is_stream(path: Path) -> bool:
    """Whether a path is a device or a pipe, which nothing may be put in the place of."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _refuse_closed(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError("it takes nothing")


def as_json(result: Any, *, ascii_only: bool = False) -> str:
    """Return a result as JSON that any program reads: what is no number is null there."""
    return json.dumps(_plain(result), indent=2, ensure_ascii=ascii_only, allow_nan=False)


def write_json(path: Path, values: Any) -> None:
    """Keep values that are read back by Python alone, whole or not at all: NaN stays NaN."""
    with replacing(path) as part:
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return values as JSON has them; its numbers are all finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
