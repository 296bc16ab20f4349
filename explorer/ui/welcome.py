"""What the page says before there is a campaign to look at."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

from explorer.figures.words import escape
from explorer.ui.draft import PRESETS, Draft
from explorer.ui.theme import PAGE, THEME, card, words

HELLO = """
<h1>Which crystals can these elements form?</h1>
<p class='lead'>A transformer draws crystals, an interatomic potential relaxes them, and they land
on a convex hull while you watch.</p>
<ol>
<li><b>Choose elements</b> in the periodic table, and constraints if you have any: a formula, space
groups, atoms on Wyckoff sites.</li>
<li><b>Press Run search.</b> The campaign goes on when you close this page; its address brings you
back to it.</li>
<li><b>Click a point of the hull</b> or a row of the table to see the crystal, and download what you
choose in the format that you need.</li>
</ol>
"""
LOOK = """
h1 { font-size: 26px; font-weight: 600; margin: 0 0 8px; letter-spacing: -0.01em;
  line-height: 1.2; }
.lead { font-size: 15px; color: var(--muted); max-width: 60ch; }
ol { margin: 22px 0 6px; padding: 0; list-style: none; counter-reset: step; max-width: 68ch; }
li { position: relative; padding: 0 0 14px 40px; font-size: 14px; line-height: 1.5; }
li::before { counter-increment: step; content: counter(step); position: absolute; left: 0;
  top: -1px; width: 26px; height: 26px; border-radius: 50%; display: grid; place-items: center;
  font-weight: 600; font-size: 13px; color: var(--panel-primary-color);
  background: color-mix(in srgb, var(--panel-primary-color) 14%, transparent); }
"""
CENTRE = """
:host { width: calc(100% - 24px) !important; max-width: 760px; margin: 24px auto !important;
  padding: 30px 40px 26px !important; }
@media (max-width: 600px) { :host { padding: 20px !important; margin: 12px auto !important; } }
"""


def welcome(draft: Draft) -> pn.Column:
    """Return the empty state, with a preset to start from."""
    preset = pmui.Button(
        label="Fill in Al-Ca-Cu", icon="auto_awesome", variant="contained", color="primary",
        margin=(6, 0, 0, 0),
    )  # fmt: skip
    preset.on_click(lambda _: draft.take(PRESETS["Al-Ca-Cu"]))
    return card(words(HELLO, LOOK), preset, name="welcome", extra=CENTRE)


def broken(reason: str) -> pmui.Page:
    """Return the page of a server that cannot open its store, or not to this visitor."""
    text = (
        "<h1>The campaigns cannot be opened</h1>"
        f"<p class='lead'>{escape(reason)}</p>"
        "<p>Mend this and reload the page. HULLSCAPE_HOME names the folder of the store.</p>"
    )
    box = card(words(text, LOOK), name="welcome", extra=CENTRE)
    return pmui.Page(title="Hullscape", main=[box], theme_config=THEME, sx=PAGE)
