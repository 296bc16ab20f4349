"""Crystal Toolkit's 3-D scene as a Panel component."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer.ui.scripts import crystal_toolkit_urls

STATIC = Path(__file__).parent / "static"

STYLES = """
:host { display: block; }
.scene-box { position: relative; width: 100%; height: 100%; min-height: 240px; overflow: hidden; }
.scene-stage { width: 100%; height: 100%; display: flex; justify-content: center;
  align-items: center; }
.scene-stage .three-container { outline: none; }
.scene-note { position: absolute; inset: 0; display: flex; align-items: center;
  justify-content: center; padding: 12% 16%; text-align: center; font-size: 13px;
  line-height: 1.5;
  color: color-mix(in srgb, var(--panel-on-surface-color, #1c2430) 62%, transparent); }
.scene-note[hidden] { display: none; }
"""


class CrystalView(JSComponent):
    """A structure in 3-D; drag to turn it, scroll to come nearer."""

    scene = param.Dict(default=None, allow_None=True, doc="Scene.to_json() of Crystal Toolkit")
    subject = param.String(default="", doc="the view is kept while this stays the same")
    dark = param.Boolean(default=False, doc="light cell edges for a dark page")
    label = param.String(default="Crystal in 3-D", doc="what it shows, for screen readers")
    placeholder = param.String(default="", doc="words shown while there is no scene")
    scripts = param.List(default=[], item_type=str, doc="URLs in loading order")

    _esm: ClassVar[Path] = STATIC / "crystal_scene.js"
    _stylesheets: ClassVar[list[str]] = [STYLES]

    def __init__(self, **params: Any) -> None:
        params.setdefault("scripts", crystal_toolkit_urls())
        super().__init__(**params)
