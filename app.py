"""Front door of the dashboard: ``panel serve app.py``.

Nothing that must outlive a browser tab may be defined here: this module is cleared when its
session ends. The page only reads the store; campaigns are run by a process of their own.
"""

import panel as pn

from explorer.logs import log_to_stderr
from explorer.store import StoreError
from explorer.ui.page import open_page
from explorer.ui.welcome import broken

pn.extension(
    "tabulator",
    notifications=True,
    reconnect=True,
    disconnect_notification="The server is away; this page comes back by itself.",
    respect_explicit_sizing=True,
)

log_to_stderr()
try:
    page = open_page()
except StoreError as error:
    page = broken(str(error))
page.servable()
