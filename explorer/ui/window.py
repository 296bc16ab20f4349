"""How wide the browser's window is: a narrow one has the form over the results, not beside them."""

from __future__ import annotations

from typing import ClassVar

import param
from panel.custom import JSComponent

from explorer.ui.theme import NARROW

# While a page connects, Panel drops the server's answers to what the browser sends: a form that
# takes a click then stays as it was. To be run when the document is ready, see `Window`.
CONNECTED = """
document.documentElement.dataset.connected = "true"
document.body.inert = false
"""


class Window(JSComponent):
    """Tells when the window becomes narrow, by its size or by zooming in; shows nothing.

    Until the page is connected it takes no click and no key, since nobody would answer.
    """

    narrow = param.Boolean(default=False)
    connects = param.Boolean(default=False, doc="whether the page will say when it is connected")
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
      return document.createElement("span")
    }
    """

    def __init__(self, **params: object) -> None:
        super().__init__(**{"margin": 0, "height": 0} | params)
