"""What was measured of this version, as the README tells it: on the first page, behind a button."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui

from explorer.ui.campaigns_view import WIDE
from explorer.ui.theme import card, heading

RESULTS = Path(__file__).parent.parent / "data" / "results.md"
LOOK = """
:host { color: var(--panel-on-surface-color); font-size: 13px; line-height: 1.5; }
h3 { font-size: 14px; font-weight: 600; margin: 18px 0 6px; }
table { border-collapse: collapse; width: 100%; margin: 10px 0 14px !important; font-size: 13px;
  border: none !important; font-variant-numeric: tabular-nums; }
th, td { text-align: left !important; vertical-align: top; padding: 6px 14px 6px 0 !important;
  border: none; background: none; color: inherit;
  border-bottom: 1px solid color-mix(in srgb, var(--panel-on-surface-color) 16%, transparent); }
tr { background: none !important; }
th { font-weight: 600; }
code { font-size: 12px; overflow-wrap: anywhere; background: none; color: inherit; }
"""


def results() -> pn.Column:
    """Return the measured results, folded until somebody asks."""
    whole = RESULTS.read_text(encoding="utf-8")
    for together in (" %", " / "):  # a number is not parted from its sign, nor a pair of them
        whole = whole.replace(together, together.replace(" ", "\N{NO-BREAK SPACE}"))
    text = pn.pane.Markdown(
        whole,
        stylesheets=[LOOK],
        sizing_mode="stretch_width",
        margin=0,
        visible=False,
    )
    button = pmui.Button(
        label="Show", icon="expand_more", variant="text", size="small", margin=0, align="center"
    )

    def turn(_: Any) -> None:
        text.visible = not text.visible
        shown = ("Hide", "expand_less") if text.visible else ("Show", "expand_more")
        button.label, button.icon = shown

    button.on_click(turn)
    title = heading("How good is it? Measured results, beside other generators", button)
    return card(title, text, name="measured", extra=WIDE)
