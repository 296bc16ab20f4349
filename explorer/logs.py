"""What happened, one line for each event: for people, or as JSON for what collects lines.

HULLSCAPE_LOG chooses, "text" or "json". Every event names its campaign and its candidate where it
has one.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

FORMATS = ("text", "json")

log = logging.getLogger("hullscape")
log.addHandler(logging.NullHandler())  # silent until somebody wants to see it


def log_event(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event, a few words that are always the same, with what it is about.

    While an error is handled, at `logging.ERROR` and above, the log gets its traceback.
    """
    log.log(level, event, extra={"fields": fields}, exc_info=level >= logging.ERROR)


def say(line: str) -> None:
    """Tell the person who waits at the command how far the work is, on stderr."""
    print(line, file=sys.stderr, flush=True)


def log_to_stderr() -> None:
    """Write the program's events to stderr from now on; asked again it changes nothing."""
    if any(isinstance(handler, logging.StreamHandler) for handler in log.handlers):
        return
    chosen = os.environ.get("HULLSCAPE_LOG", "text").lower()
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if chosen == "json" else _Text())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    if chosen not in FORMATS:
        log_event("unknown format of the log", logging.WARNING, expected="text or json", got=chosen)


class _Text(logging.Formatter):
    """`2026-11-21T16:40:07Z INFO relaxed campaign=... candidate=...`, in UTC."""

    converter = time.gmtime
    default_time_format = "%Y-%m-%dT%H:%M:%SZ"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s%(told)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        record.told = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        return super().format(record)


class _Json(logging.Formatter):
    """One object for each line: time, level, event, its fields, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"time": round(record.created, 3), "level": record.levelname.lower()}
        told |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[0]:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def _plain(value: Any) -> str:
    """Return a value as one word, in quotes when it has blanks or line breaks."""
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)
