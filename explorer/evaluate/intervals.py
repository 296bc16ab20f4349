"""Shares with the uncertainty that their number of crystals leaves."""

from __future__ import annotations

from typing import Any

from scipy.stats import binomtest


def with_interval(share: float | None, n: int) -> dict[str, Any] | None:
    """Return a share of n with its count and Wilson's 95 % interval; None stays None."""
    if share is None:
        return None
    count = round(share * n)
    low, high = binomtest(count, n).proportion_ci(0.95, method="wilson")
    return {
        "share": round(share, 4),
        "count": count,
        "interval": [round(float(low), 4), round(float(high), 4)],
    }
