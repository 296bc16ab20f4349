"""How the page looks: one palette in two themes, and the card that every view sits in."""

from __future__ import annotations

from typing import Any

import panel as pn

# Material UI's theme; the names are its own.
NARROW = 960  # CSS pixels; a window below has no room for the form beside the results
NARROWEST = "@media (max-width: 420px)"
"""A telephone: two fields side by side have no room for the names of both but in small letters."""
LABEL = 0.86  # of a field's letters, on its upper edge; the library's 0.75 are less than 10 pixels
_SHARED = {
    "breakpoints": {"values": {"xs": 0, "sm": NARROW, "md": 1100, "lg": 1280, "xl": 1920}},
    "typography": {"fontSize": 12.5, "button": {"textTransform": "none", "fontWeight": 500}},
    "shape": {"borderRadius": 6},
    # A tooltip lies inside its button, which would make it as narrow. The library shows by a ripple
    # what has the keyboard's focus: hardly seen on a pale button.
    "components": {
        "MuiButtonBase": {
            "styleOverrides": {
                "root": {
                    "&.Mui-focusVisible": {"outline": "2px solid", "outlineOffset": "-2px"},
                }
            }
        },
        # In a narrow window the form lies over the header, which it need not leave room for, and
        # beside it there must be a place to click that closes it.
        "MuiDrawer": {
            "styleOverrides": {
                "modal": {
                    "& .MuiDrawer-paper": {
                        "maxWidth": "calc(100vw - 40px)",
                        "backgroundImage": "none",  # a dark one would be paler than its own foot
                    },
                    "& .MuiDrawer-paper > .MuiToolbar-root": {"display": "none"},
                }
            }
        },
        # A small select is lower than a small text field, beside which many stand.
        "MuiOutlinedInput": {
            "styleOverrides": {
                "root": {"&.MuiInputBase-sizeSmall": {"minHeight": 35}},
                "notchedOutline": {
                    "& legend": {"fontSize": f"{LABEL}em"},
                    NARROWEST: {"& legend": {"fontSize": "0.76em"}},
                },
            }
        },
        "MuiInputLabel": {
            "styleOverrides": {
                "outlined": {
                    "&.MuiInputLabel-shrink": {
                        "transform": f"translate(14px, -8px) scale({LABEL})",
                        "maxWidth": f"calc({1 / LABEL:.0%} - 28px)",
                        NARROWEST: {
                            "transform": "translate(14px, -7px) scale(0.76)",
                            "maxWidth": "calc(130% - 28px)",
                        },
                    }
                }
            }
        },
        # A small button's letters would be 10 pixels high, beside words of 13.
        "MuiButton": {"styleOverrides": {"root": {"fontSize": 13}, "sizeSmall": {"fontSize": 12}}},
        "MuiToggleButton": {"styleOverrides": {"sizeSmall": {"fontSize": 12}}},
        "MuiSlider": {"styleOverrides": {"valueLabel": {"fontSize": 12}}},
        # Of the size of the other words, beside the middle of its sign.
        "MuiAlert": {
            "styleOverrides": {
                "root": {"padding": "2px 12px", "alignItems": "center"},
                "message": {"fontSize": 13, "lineHeight": 1.45},
            }
        },
        "MuiTooltip": {"styleOverrides": {"tooltip": {"width": "max-content", "maxWidth": 280}}},
    },
}
THEME = {
    "light": {
        **_SHARED,
        "palette": {
            "primary": {"main": "#1558a6"},
            "secondary": {"main": "#5b6675"},
            "success": {"main": "#00785a"},
            "background": {"default": "#f1f4f8", "paper": "#ffffff"},
            "text": {"primary": "#1c2430", "secondary": "#5b6675"},
        },
    },
    "dark": {
        **_SHARED,
        "palette": {
            "primary": {"main": "#7db8f5"},
            "secondary": {"main": "#9aa7b6"},
            "success": {"main": "#2fd6a3"},
            "background": {"default": "#0e1319", "paper": "#171d26"},
            "text": {"primary": "#e6eaf0", "secondary": "#9aa7b6"},
        },
    },
}

BAR = "52px"
HEADER_GROUND = "#12233b"
PAGE = {
    "& .header": {"backgroundColor": HEADER_GROUND, "backgroundImage": "none", "color": "#fff"},
    "& .MuiToolbar-root": {"minHeight": f"{BAR} !important", "paddingLeft": "16px"},
    "& .title": {"fontSize": "1.25rem", "fontWeight": 600, "letterSpacing": "0.01em"},
    "& .logo": {"height": "30px !important"},
    "& .main": {"backgroundColor": "background.default"},
    "& .sidebar": {"backgroundImage": "none"},
}

TAB_LOOK = {
    "& .MuiButtonBase-root": {
        "whiteSpace": "nowrap",
        "padding": "2px 9px",
        "textTransform": "none",
    }
}

# Material UI for Panel draws these buttons in a grey that the dark theme swallows.
STEPPERS = {"& .MuiIconButton-root:not(.Mui-disabled)": {"color": "text.secondary"}}

HIDDEN_LABEL = {"& .MuiFormLabel-root": {"display": "none"}}  # read aloud, not shown

# Panel sets a tooltip at the right of its button, over the next one or beyond the form's edge.
TOOLTIP_BELOW = """
:host { position: relative; }
.MuiTooltip-popper { inset: 100% 0 auto auto !important; transform: none !important; }
.MuiTooltip-tooltip { margin: 2px 0 0 !important; }
.MuiTooltip-arrow { display: none; }
"""

LINE = "color-mix(in srgb, var(--panel-on-surface-color) 15%, transparent)"
CARD = """
:host { background: var(--panel-surface-color); border: 1px solid LINE; border-radius: 10px;
  padding: 12px 14px; box-sizing: border-box; min-width: 0; color: var(--panel-on-surface-color); }
""".replace("LINE", LINE)

WORDS = """
:host { color: var(--panel-on-surface-color); font-size: 13px; line-height: 1.45;
  --muted: color-mix(in srgb, var(--panel-on-surface-color) 66%, transparent); }
h1, h2 { font-size: 14px; font-weight: 600; margin: 0; letter-spacing: 0.005em; }
h3 { font-size: 11px; font-weight: 600; margin: 0; letter-spacing: 0.06em; color: var(--muted);
  text-transform: uppercase; }
p { margin: 0; }
.muted { color: var(--muted); }
.problem { color: light-dark(#b3261e, #ff8a80); }
"""


HEADING = 130  # pixels that a card's title needs beside its tools
WRAP = ":host { flex-wrap: wrap; row-gap: 4px; }"


def words(html: str = "", extra: str = "", **params: Any) -> pn.pane.HTML:
    """Return a text pane; whatever comes from data must have gone through `words.escape`."""
    params.setdefault("sizing_mode", "stretch_width")
    params.setdefault("margin", 0)
    return pn.pane.HTML(html, stylesheets=[WORDS + extra], **params)


def card(*objects: Any, name: str, extra: str = "", **params: Any) -> pn.Column:
    """Return a bordered surface with a CSS class to place it by."""
    params.setdefault("sizing_mode", "stretch_width")
    params.setdefault("margin", 0)
    return pn.Column(*objects, css_classes=[name], stylesheets=[CARD + extra], **params)


def heading(title: str, *tools: Any, level: int = 2) -> pn.Row:
    """Return a card's first line: what it shows, and its tools at the right.

    Of level 1 is what the whole page is about.
    """
    label = words(
        f"<h{level}>{title}</h{level}>",
        sizing_mode="stretch_width",
        align="center",
        min_width=HEADING,
    )
    return pn.Row(
        label, *tools, margin=(0, 0, 6, 0), sizing_mode="stretch_width", min_height=30,
        stylesheets=[WRAP],
    )  # fmt: skip
