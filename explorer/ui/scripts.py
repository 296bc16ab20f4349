"""Scripts of the installed wheels, handed to the browser by the server that serves the page.

Bokeh's server gives out every folder in ``extension_dirs`` under ``/static/extensions/NAME/``, so
``panel serve app.py`` needs no flag and the page no network.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import panel as pn
from bokeh.embed.bundle import extension_dirs


def _folder(package: str, inside: str = "") -> Path:
    """Return a folder of an installed package without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"the page needs the package {package!r}; mend it with: pip install {package}"
        )
    return Path(spec.origin).parent / inside


def _newest_react(deps: Path) -> str:
    """Return the newest React 18 version that the wheel of dash brings."""
    found = (re.fullmatch(r"react@(18\.\d+\.\d+)\.min\.js", file.name) for file in deps.iterdir())
    versions = [match[1] for match in found if match]
    if not versions:
        raise FileNotFoundError(f"expected react@18.*.min.js in {deps}, got none: reinstall dash")
    return max(versions, key=lambda version: tuple(int(part) for part in version.split(".")))


@cache
def _crystal_toolkit() -> tuple[str, ...]:
    deps = _folder("dash", "deps")
    extension_dirs["hullscape-react"] = deps
    extension_dirs["hullscape-crystal"] = _folder("dash_mp_components")
    react = _newest_react(deps)
    names = (f"react@{react}.min.js", f"react-dom@{react}.min.js", "prop-types@15.8.1.min.js")
    return (
        *(f"hullscape-react/{name}" for name in names),
        "hullscape-crystal/dash_mp_components.min.js",
    )


@cache
def _plotly() -> tuple[str, ...]:
    extension_dirs["hullscape-plotly"] = _folder("plotly", "package_data")
    return ("hullscape-plotly/plotly.min.js",)


def crystal_toolkit_urls() -> list[str]:
    """Return React and the Crystal Toolkit bundle in loading order, relative to the page."""
    return [_url(path) for path in _crystal_toolkit()]


def plotly_urls() -> list[str]:
    """Return the plotly.js that belongs to the installed Python package."""
    return [_url(path) for path in _plotly()]


def _url(path: str) -> str:
    prefix = f"{pn.state.rel_path}/" if pn.state.rel_path else ""
    return f"{prefix}static/extensions/{path}"
