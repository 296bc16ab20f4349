"""The campaign of one folder, served to a notebook: ``python -m explorer.ui.notebook_server DB``.

A process of its own, so that the views answer while the notebook computes. It tells its port
once it listens, and ends with its standard input: when the kernel ends, however that comes.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial

import panel as pn
import panel_material_ui as pmui
from bokeh.models import CustomJS

from explorer.store import Store
from explorer.ui.campaign_views import CampaignViews, news_of
from explorer.ui.good_guest import mind_own_business, settle
from explorer.ui.pulse import TURNS, Pulse
from explorer.ui.theme import PAGE, THEME
from explorer.ui.window import CONNECTED, Window
from explorer.ui.workbench import News, Workbench

BODY = {"sizing_mode": "stretch_width", "margin": (12, 0, 0, 0)}


def campaign_page(store: Store) -> pmui.Page:
    """Return the views of a store's newest campaign as a page of a new session."""
    settle()
    campaign = store.campaigns()[0]
    bench = Workbench(store, campaign_id=campaign.id)
    views = CampaignViews(bench, beside=0)  # there is no form
    window = Window()
    page = pmui.Page(
        title=campaign.spec.name or campaign.spec.composition,
        main=[pn.Column(window, views, views.compare, **BODY)],
        theme_config=THEME,
        sx=PAGE,
        busy_indicator=None,
    )
    mind_own_business(page)
    page.param.watch(lambda event: bench.param.update(dark=event.new), "dark_theme")

    async def take(news: News) -> None:
        with TURNS.measured(), pn.io.hold():
            bench.take(news)

    async def begin() -> None:
        await take(await news_of(bench))
        Pulse(partial(news_of, bench), take).start()

    pn.state.location.sync(page, {"dark_theme": "dark"})
    pn.state.curdoc.js_on_event("document_ready", CustomJS(code=CONNECTED))
    window.connects = True
    pn.state.onload(begin)
    return page


def end_with(stream: int) -> None:
    """End this process when a pipe is closed at its other end."""
    while os.read(stream, 1024):
        pass
    os._exit(0)  # nothing is held that would have to be put away


def main(database: str, port: int) -> None:
    """Serve until standard input ends."""
    threading.Thread(target=end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    pn.extension("tabulator", notifications=True, respect_explicit_sizing=True)
    store = Store(database)
    server = pn.io.server.get_server(
        lambda: campaign_page(store), port, address="localhost", location=True
    )
    print(server.port, flush=True)  # what `explorer.ui.notebook` waits for
    server.start()
    server.io_loop.start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
