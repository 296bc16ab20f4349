"""From Wyckoff crystals to points on a convex hull."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.found import read_found, search

__all__ = ["read_found", "search"]


def __dir__() -> list[str]:
    """Name what is imported on demand too, for who presses Tab."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for when it does, so that `import explorer` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    from explorer import found  # noqa: PLC0415 - on demand

    return getattr(found, name)
