"""The dashboard: a campaign in, pixels out. Views read the store and send it commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.ui.notebook import view

__all__ = ["view"]


def __dir__() -> list[str]:
    """Name what is imported on demand too, for who presses Tab."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import `view` when a notebook asks for it; the page needs none."""
    if name not in __all__:
        raise AttributeError(f"module 'explorer.ui' has no attribute {name!r}")
    from explorer.ui.notebook import view  # noqa: PLC0415 - on demand

    return view
