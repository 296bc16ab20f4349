"""Logs: one event, one line, with its campaign and candidate, for people or for machines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

EVENTS = """
import logging
from explorer.logs import log_event, log_to_stderr
log_to_stderr()
log_to_stderr()
log_event("relaxed", campaign="abc", candidate="000001", above_hull=0.01, reason="")
try:
    1 / 0
except ZeroDivisionError:
    log_event("failed", logging.ERROR, campaign="abc", reason="two words\\nand lines")
"""


def logged(form: str) -> list[str]:
    """Return the lines that two events leave on stderr."""
    command = [sys.executable, "-c", EVENTS]
    environment = os.environ | {"HULLSCAPE_LOG": form}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_each_event_is_one_json_object():
    """Also when it carries a traceback; the fields keep their types."""
    relaxed, failed = map(json.loads, logged("json"))
    assert relaxed.pop("time") > 1.7e9
    assert relaxed == {
        "level": "info",
        "event": "relaxed",
        "campaign": "abc",
        "candidate": "000001",
        "above_hull": 0.01,
        "reason": "",
    }
    assert (failed["event"], failed["level"], failed["campaign"]) == ("failed", "error", "abc")
    assert "ZeroDivisionError" in failed["error"]


def test_a_line_for_people_has_the_same_facts():
    """In UTC, with names before the values; what has blanks stands in quotes."""
    lines = logged("text")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    fields = r"campaign=abc candidate=000001 above_hull=0.01 reason=''"
    assert re.fullmatch(rf"{stamp} INFO relaxed {fields}", lines[0])
    assert re.fullmatch(rf"{stamp} ERROR failed campaign=abc reason='two .*\\nand lines'", lines[1])
    assert lines[-1].startswith("ZeroDivisionError")


def test_an_unknown_format_is_named_and_text_is_taken():
    """A misspelt switch is no reason not to work."""
    lines = logged("xml")
    assert "unknown format of the log expected='text or json' got=xml" in lines[0]
    assert "INFO relaxed campaign=abc" in lines[1]
