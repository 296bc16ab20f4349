"""The measured results on the first page."""

from explorer.ui.results_view import FIGURES, ResultsView
from explorer.ui.workbench import Workbench


def test_results_are_folded_until_somebody_asks(store):
    """The button shows the whole text and the figures in the page's theme, and hides them again."""
    bench = Workbench(store)
    view = ResultsView(bench)
    shown_page = view.body.get_root()  # what a browser is told of
    (text,) = view.body  # the figures come when somebody asks
    assert "S.U.N." in text.object
    for shown, label in ((True, "Hide"), (False, "Show")):
        view.button.clicks += 1
        assert (view.body.visible, view.button.label) == (shown, label)
    plots = view.body[1:]
    assert len(plots) == len(FIGURES) == len(shown_page.children) - 1
    assert all(plot.figure["data"] for plot in plots)
    light = [plot.figure["layout"]["font"]["color"] for plot in plots]
    bench.dark = True  # what nobody sees is not drawn
    assert [plot.figure["layout"]["font"]["color"] for plot in plots] == light
    view.button.clicks += 1
    assert view.body[1:] == plots
    assert all(plot.figure["layout"]["font"]["color"] not in light for plot in plots)
