"""The measured results on the first page."""

import panel_material_ui as pmui
from panel.pane import Markdown

from explorer.ui.results_view import results


def test_results_are_folded_until_somebody_asks():
    """The button shows the whole text, and hides it again."""
    view = results()
    (button,) = view.select(pmui.Button)
    (text,) = view.select(Markdown)
    assert not text.visible
    assert "S.U.N." in text.object
    for shown, label in ((True, "Hide"), (False, "Show")):
        button.clicks += 1
        assert (text.visible, button.label) == (shown, label)
