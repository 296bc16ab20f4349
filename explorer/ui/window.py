"""What the browser's window knows: how wide it is, and what was looked at before a reload."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer.ui.theme import NARROW
from explorer.ui.workbench import Workbench

KEPT = ("selected", "chosen", "threshold", "starred_only")
"""What of a `Workbench` stays with the tab."""

# While a page connects, Panel drops the server's answers to what the browser sends: a form that
# takes a click then stays as it was. To be run when the document is ready, see `Window`.
CONNECTED = """
document.documentElement.dataset.connected = "true"
document.body.inert = false
window.hullscapeServer?.connected()
"""


class Window(JSComponent):
    """Tells when the window becomes narrow, by its size or by zooming in; shows nothing.

    Until the page is connected it takes no click and no key, since nobody would answer. What is
    selected and filtered stays with the tab while the page is loaded again: the page's address, of
    which each change is a step of the browser's history, holds what a link should say.
    """

    narrow = param.Boolean(default=False)
    connects = param.Boolean(default=False, doc="whether the page will say when it is connected")
    view = param.String(default="", doc="what to keep, as JSON")
    kept = param.String(default="", doc="what the tab has kept, as JSON")
    limit = param.Integer(default=NARROW, constant=True, doc="CSS pixels")

    _esm: ClassVar[str] = """
    export function render({model}) {
      if (model.connects && !document.documentElement.dataset.connected) {
        document.body.inert = true
      }
      const query = window.matchMedia(`(max-width: ${model.limit - 1}px)`)
      const tell = () => { model.narrow = query.matches }
      query.addEventListener("change", tell)
      model.on("remove", () => query.removeEventListener("change", tell))
      tell()
      const name = "hullscape-view"
      model.kept = sessionStorage.getItem(name) ?? ""
      model.on("view", () => sessionStorage.setItem(name, model.view))
      return document.createElement("span")
    }
    """

    def __init__(self, **params: object) -> None:
        super().__init__(**{"margin": 0, "height": 0} | params)

    def restore(self, bench: Workbench) -> None:
        """Show what the tab showed of this campaign before, and keep it from now on."""
        with suppress(ValueError, TypeError, LookupError):  # a tab may have kept anything
            kept = json.loads(self.kept)
            if kept["campaign_id"] == bench.campaign_id:
                bench.param.update(**{name: kept[name] for name in KEPT})
        names = ["campaign_id", *KEPT]

        def keep(*_: Any) -> None:
            self.view = json.dumps({name: getattr(bench, name) for name in names})

        bench.param.watch(keep, names)
        keep()
