"""Who runs campaigns: one process for each machine or GPU, apart from the web server.

`python -m explorer.runner --store URL` takes campaigns by lease and works on them until nothing
has been asked of it for a while. It may be killed at any moment.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from logging import ERROR, WARNING
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy.exc import OperationalError

from explorer.campaign import Campaign, CampaignState, SpecError
from explorer.candidate import Candidate
from explorer.complaints import one_line
from explorer.lease import HEARTBEAT_SECONDS, Lease, LeaseLostError, Leases, new_owner
from explorer.logs import log_event, log_to_stderr
from explorer.rows import OtherVersionError
from explorer.schema import StoreError
from explorer.store import Store

if TYPE_CHECKING:
    from explorer.laboratory import Laboratory

POLL_SECONDS = 0.3  # how often a runner looks for commands, and for work
IDLE_SECONDS = 600.0
TURN_SECONDS = 900.0
RESTART_SECONDS = 5.0  # a runner that dies at once is not started again in a loop
RETRY_SECONDS = 2.0  # after a full disk or a database locked by another program

_started: dict[str, tuple[subprocess.Popen, float]] = {}
_starting = threading.Lock()


def ensure_runner(store: Store, idle_seconds: float = IDLE_SECONDS) -> bool:
    """Start a runner in its own session unless one is alive; returns whether one was started.

    May be called by several web processes at once and as often as a page refreshes: of several
    runners that start together one stays. One that is frozen is replaced, and leaves when it wakes.
    """
    if store.runner_alive():
        return False
    with _starting:
        process, since = _started.get(store.url, (None, 0.0))
        young = time.monotonic() - since < RESTART_SECONDS
        if process is not None and (young or _goes(process)):
            return False
        _started[store.url] = (_spawn(store, idle_seconds), time.monotonic())
    return True


def _goes(process: subprocess.Popen) -> bool:
    """Whether a process goes on, or might: neither ended nor frozen."""
    return process.poll() is None and psutil.Process(process.pid).status() != psutil.STATUS_STOPPED


def _spawn(store: Store, idle_seconds: float) -> subprocess.Popen:
    home = Path(__file__).resolve().parent.parent
    paths = [str(home), os.environ.get("PYTHONPATH", "")]
    # The address goes by environment, not by argument: it may hold a password.
    environment = os.environ | {
        "HULLSCAPE_STORE": store.url,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    command = [sys.executable, "-m", "explorer.runner", "--idle", str(idle_seconds)]
    with (store.folder / "runner.log").open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


class Pulse(threading.Thread):
    """Gives signs of life for a lease and listens for commands, while the work goes on.

    Attributes
    ----------
    wanted : str
        The campaign's last command: "run", "pause" or "stop"; "lost" when the lease is gone.
    turn_over : bool
        Whether the campaign has been worked on for `turn_seconds` and another one waits.
    """

    def __init__(
        self,
        leases: Leases,
        lease: Lease | None,
        slot: str | None,
        turn_seconds: float = float("inf"),
    ) -> None:
        super().__init__(daemon=True, name="pulse")
        self.wanted = "run"
        self.turn_over = False
        self._leases, self._lease, self._slot = leases, lease, slot
        self._turn_ends = time.monotonic() + turn_seconds
        self._over = threading.Event()

    def __enter__(self) -> Pulse:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Beat until told otherwise. A database that is busy is tried again at the next beat."""
        beaten, missed = float("-inf"), False
        while not self._over.is_set():
            try:
                if time.monotonic() - beaten >= HEARTBEAT_SECONDS:
                    self._beat()
                    beaten = time.monotonic()
                    self.turn_over = self.turn_over or self._others_turn()
                if self._lease:
                    self.wanted = self._leases.wanted(self._lease)
                missed = False
            except LeaseLostError as error:
                log_event("lost its lease", WARNING, lease=self._lease, reason=error)
                self.wanted = "lost"
                return
            except OperationalError as error:
                if not missed:
                    log_event("heartbeat missed", WARNING, reason=error.orig)
                missed = True
            self._over.wait(POLL_SECONDS)

    def _others_turn(self) -> bool:
        over = self._lease is not None and time.monotonic() > self._turn_ends
        return over and self._leases.somebody_waits(self._lease)

    def _beat(self) -> None:
        if self._slot:
            self._leases.beat_slot(self._slot)
        if self._lease:
            self._leases.beat(self._lease)


class Runner:
    """Takes one campaign after the other until idle for long or told to end.

    Parameters
    ----------
    store : Store
    slot : str
        A machine, or one of its GPUs: a slot has one runner.
    device : str
        Where the network and the potential live: "cpu", "cuda", "cuda:1".
    idle_seconds : float
        Leave when nothing was asked for so long.
    workers : int or None
        Relaxation processes; None for one on each core.
    turn_seconds : float
        After so long a campaign goes to the end of the queue when others wait.

    Attributes
    ----------
    taken : list of str
        Ids of the campaigns that it has worked on, each once.
    """

    def __init__(
        self,
        store: Store,
        slot: str = "",
        device: str = "auto",
        idle_seconds: float = IDLE_SECONDS,
        workers: int | None = None,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self.store = store
        self.slot = slot or socket.gethostname()
        self.device = device
        self.idle_seconds = idle_seconds
        self.workers = workers
        self.turn_seconds = turn_seconds
        self.leases = Leases(store.engine, new_owner())
        self.taken: list[str] = []
        self._ending = threading.Event()
        self._beaten = float("-inf")

    def end(self) -> None:
        """Finish soon: the campaign at hand goes back to the queue."""
        self._ending.set()

    def run(self) -> bool:
        """Work until idle or told to end; False when another runner lives in the slot."""
        if not self._take_slot():
            told = self._ending.is_set()
            why = "told to end" if told else "another runner has the slot"
            log_event(f"leaving, {why}", slot=self.slot)
            return told
        log_event("begun", pid=os.getpid(), slot=self.slot)
        self._warm_up()
        busy = time.monotonic()
        while not self._ending.is_set():
            try:
                if self.work_once():
                    busy = time.monotonic()
                elif time.monotonic() - busy > self.idle_seconds and self._leave_if_idle():
                    return True
                self._ending.wait(POLL_SECONDS)
            except OperationalError as error:
                log_event("database out of order, trying again", WARNING, reason=error.orig)
                self._ending.wait(RETRY_SECONDS)
            except LeaseLostError:
                if not self.leases.take_slot(self.slot):
                    return False
        self.leases.leave_slot(self.slot)
        log_event("leaving, told to end", slot=self.slot)
        return True

    def _take_slot(self) -> bool:
        """Ask for the slot until the database answers; False when another runner has it."""
        while not self._ending.is_set():
            try:
                return self.leases.take_slot(self.slot)
            except OperationalError as error:
                log_event("database out of order, trying again", WARNING, reason=error.orig)
                self._ending.wait(RETRY_SECONDS)
        return False

    def _warm_up(self) -> None:
        """Import what takes seconds before the first campaign asks for it."""
        with Pulse(self.leases, None, self.slot):
            import_module("explorer.discover")

    def _leave_if_idle(self) -> bool:
        leaving = self.leases.leave_slot(self.slot, only_if_idle=True)
        if leaving:
            log_event("leaving, idle", slot=self.slot, seconds=self.idle_seconds)
        return leaving

    def work_once(self) -> bool:
        """Work on a campaign if one is free; returns whether there was one."""
        if time.monotonic() - self._beaten > HEARTBEAT_SECONDS:
            self.leases.beat_slot(self.slot)
            self._beaten = time.monotonic()
        lease = self.leases.take()
        if lease is None:
            return False
        if lease.campaign_id not in self.taken:
            self.taken.append(lease.campaign_id)
        from explorer.laboratory import open_laboratory  # noqa: PLC0415 - imports torch

        with Pulse(self.leases, lease, self.slot, self.turn_seconds) as pulse:
            run_campaign(
                self.store,
                self.leases,
                lease,
                laboratory=partial(open_laboratory, device=self.device, workers=self.workers),
                should_stop=lambda: (
                    pulse.wanted != "run" or pulse.turn_over or self._ending.is_set()
                ),
            )
        return True


def run_campaign(
    store: Store,
    leases: Leases,
    lease: Lease,
    *,
    laboratory: Callable[..., Laboratory],
    should_stop: Callable[[], bool],
    report: Callable[[Sequence[Candidate]], None] = lambda _: None,
) -> None:
    """Work on a leased campaign and give it back with what became of it.

    `laboratory` takes the spec, the campaign's targets and samples, and whom to tell and to ask
    while it relaxes known phases.

    A campaign of a newer program is left to a runner that knows what it asks for.
    What is wrong with one candidate is that candidate's verdict; what is wrong with the campaign
    makes it failed, with one line that says why.
    """
    from explorer.discover import discover  # noqa: PLC0415 - the page needs ensure_runner only
    from explorer.reference_supply import SupplyStoppedError  # noqa: PLC0415

    log_event("taken", campaign=lease.campaign_id, fence=lease.fence)
    try:
        campaign = store.campaign(lease.campaign_id)
        spec = campaign.spec
        opened = laboratory(
            spec,
            targets=store.targets(campaign.id),
            samples=store.samples(campaign.id),
            say=partial(store.say, lease),
            should_stop=should_stop,
        )
        refuse_other_instruments(campaign, opened)
        store.describe(lease, opened.provenance)
        store.say(lease, "")
        with opened.relaxer as relaxer:
            # A cluster may be away for a while; one that was never there is named wrong.
            relaxer.warm_up(patient=campaign.counts["drawn"] > 0)
            done = discover(store, lease, spec, opened, should_stop=should_stop, report=report)
            # Before the workers have left: a person who pressed Pause is waiting.
            _give_back(leases, lease, CampaignState.FINISHED if done else None)
    except SupplyStoppedError:
        _give_back(leases, lease, None)
    except OtherVersionError as error:
        leases.left_alone.add(lease.campaign_id)
        log_event("left to another", WARNING, campaign=lease.campaign_id, reason=error)
        _give_back(leases, lease, None, "waits for a runner of the version that it was made with")
    except (LeaseLostError, OperationalError) as error:
        log_event("dropped", WARNING, campaign=lease.campaign_id, reason=_reason(error))
        raise
    except Exception as error:
        log_event("failed", ERROR, campaign=lease.campaign_id, reason=_reason(error))
        known = isinstance(error, ValueError)
        message = _reason(error) if known else f"{type(error).__name__}: {one_line(error)}"
        _give_back(leases, lease, CampaignState.FAILED, message)


def refuse_other_instruments(campaign: Campaign, opened: Laboratory) -> None:
    """Refuse to go on with a campaign that was begun with another network, potential or hull.

    Raises
    ------
    SpecError
        Its crystals would not be those of one seed, or its energies not of one level.
    """
    for name in ("checkpoint", "potential", "references", "known_phases"):
        began = campaign.provenance.get(name, opened.provenance[name])
        if campaign.counts["drawn"] and began != opened.provenance[name]:
            raise SpecError(
                f"the campaign was begun with {name} {began}, here is {opened.provenance[name]}: "
                "start a new campaign, or go on with the version that began it"
            )


def _give_back(
    leases: Leases, lease: Lease, outcome: CampaignState | None, message: str = ""
) -> None:
    state = leases.release(lease, outcome, message)
    log_event("released", campaign=lease.campaign_id, state=state)


def _reason(error: BaseException) -> str:
    """Return what an error says; its kind when it says nothing."""
    return one_line(error) or type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until idle; the address of the store comes from --store or HULLSCAPE_STORE."""
    parser = argparse.ArgumentParser(prog="python -m explorer.runner", description=main.__doc__)
    parser.add_argument("--store", default=None, help="database URL or SQLite file")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds without work")
    parser.add_argument("--slot", default="", help="a name for the machine or the GPU")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto")
    parser.add_argument("--workers", type=int, default=None, help="relaxation processes")
    parser.add_argument("--turn", type=float, default=TURN_SECONDS, help="seconds, if others wait")
    options = parser.parse_args(arguments)
    log_to_stderr()
    try:
        store = Store(options.store)
    except StoreError as error:
        log_event("cannot begin", WARNING, reason=error)
        return 2
    runner = Runner(
        store, options.slot, options.device, options.idle, options.workers, options.turn
    )
    return 0 if run_until_told(runner) else 1


def run_until_told(runner: Runner) -> bool:
    """Let a runner work until idle, Ctrl-C or SIGTERM; False when another lives in its slot."""
    before = {
        number: signal.signal(number, lambda _number, _frame: runner.end())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        return runner.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
