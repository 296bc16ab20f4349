"""Health, readiness and metrics: right while the store answers, and honest when it does not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.health import Health, Look, Metrics, Ready, living_runners
from explorer.lease import Leases, new_owner
from explorer.overview import read_overview
from explorer.store import Store


@contextmanager
def serving() -> Iterator[str]:
    """Serve the three routes on a port of their own, with answers that are never stale."""
    loop = asyncio.new_event_loop()
    (listening,) = bind_sockets(0, "127.0.0.1")

    def serve() -> None:
        asyncio.set_event_loop(loop)
        routes = [
            ("/health", Health),
            ("/ready", Ready, {"look": Look(living_runners, 0.0)}),
            ("/metrics", Metrics, {"look": Look(read_overview, 0.0)}),
        ]
        HTTPServer(Application(routes)).add_sockets([listening])
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()


def asked(url: str) -> tuple[int, str]:
    """Ask, and return the status and the text of the answer, whatever it is."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metrics(url: str) -> dict[tuple[str, str], float]:
    """Read the metrics with Prometheus' own parser: (name, state) to value."""
    families = text_string_to_metric_families(asked(f"{url}/metrics")[1])
    samples = (sample for family in families for sample in family.samples)
    return {(item.name, item.labels.get("state", "")): item.value for item in samples}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the store that the server is to look into."""
    monkeypatch.setenv("HULLSCAPE_STORE", str(tmp_path / "campaigns.db"))
    return tmp_path / "campaigns.db"


def test_the_numbers_are_those_of_the_store(file):
    """Campaigns and candidates by state, runners, seconds; a deleted campaign counts as such."""
    store = Store(file)
    runner = Leases(store.engine, new_owner())
    runner.take_slot("here")
    store.delete(store.create(CampaignSpec(elements=("Na", "Cl"))))
    store.create(CampaignSpec(elements=("Cs", "Cl")))
    states = (State.REJECTED, State.REJECTED, State.RELAXED)
    drawn = [Candidate(id=f"{i}", index=i, state=state) for i, state in enumerate(states)]
    store.put_candidates(runner.take(), drawn, seconds_sampling=1.5, seconds_relaxing=20.0)
    store.create(CampaignSpec(elements=("K", "Cl")))
    with serving() as url:
        assert asked(f"{url}/health") == (200, '{"alive": true}')
        status, text = asked(f"{url}/ready")
        assert (status, json.loads(text)) == (200, {"ready": True, "runners": 1})
        told = metrics(url)
    of_campaigns = {state: n for (name, state), n in told.items() if name == "hullscape_campaigns"}
    assert {state: n for state, n in of_campaigns.items() if n} == {
        "running": 1,
        "queued": 1,
        "deleted": 1,
    }
    assert told["hullscape_candidates", "rejected"] == 2
    assert told["hullscape_candidates", "relaxed"] == 1
    assert told["hullscape_runners", ""] == told["hullscape_store_up", ""] == 1
    assert told["hullscape_sampling_seconds_total", ""] == 1.5
    assert told["hullscape_relaxing_seconds_total", ""] == 20.0
    assert told["process_resident_memory_bytes", ""] > 1e6


def test_a_campaign_without_a_runner_is_seen_to_wait(file):
    """Whoever watches the numbers learns that nobody works."""
    store = Store(file)
    store.create(CampaignSpec(elements=("Cs", "Cl")))
    before = read_overview(store.engine).seconds_waiting
    began = time.monotonic()
    while time.monotonic() == began:
        pass
    assert read_overview(store.engine).seconds_waiting > before >= 0
    Leases(store.engine, new_owner()).take()
    assert read_overview(store.engine).seconds_waiting == 0


def test_a_server_without_its_store_lives_but_is_not_ready(file):
    """A database held by another program: no traceback, no wait; ready again when it is free."""
    Store(file).close()
    with serving() as url:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = DELETE")
            other.execute("BEGIN EXCLUSIVE")
            status, text = asked(f"{url}/ready")
            assert (status, json.loads(text)) == (503, {"ready": False, "runners": None})
            assert asked(f"{url}/health")[0] == 200
            assert metrics(url)["hullscape_store_up", ""] == 0
            other.execute("ROLLBACK")
        status = 0
        for _ in range(20):
            status, text = asked(f"{url}/ready")
            if status == 200:
                break
        assert (status, json.loads(text)["ready"]) == (200, True)


def test_a_file_that_is_no_store_is_told_as_not_ready_without_its_name(file):
    """What stands in the way is for the log, not for whoever asks."""
    file.write_text("not a database, " * 100)
    with serving() as url:
        status, text = asked(f"{url}/ready")
    assert status == 503
    assert file.name not in text
