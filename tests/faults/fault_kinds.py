"""What can happen to the program: one function for each fault, and how it recovers from it."""

from __future__ import annotations

import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from random import Random

import psutil
from fault_machine import Machine, kill, kill_tree, let_write, wait_until_stopped
from fault_witness import Witness

from explorer.campaign import CampaignState
from explorer.write_lock import lock_holder

PATIENCE = 240.0
"""Seconds after which a recovery counts as failed, on however busy a machine."""

Fault = Callable[[Machine, Witness, Random], None]


def kill_runner(machine: Machine, witness: Witness, random: Random) -> None:
    """Kill -9 of the runner; another is started at once, or a little later."""
    kill(machine.runner)
    witness.watch(random.choice((0.0, random.uniform(0, 2))))
    machine.runner = machine.start_runner()


def terminate_runner(machine: Machine, witness: Witness, random: Random) -> None:
    """SIGTERM, as at a reboot: the runner leaves by itself."""
    machine.runner.terminate()
    machine.runner.wait(PATIENCE)
    machine.runner = machine.start_runner()


def kill_worker(machine: Machine, witness: Witness, random: Random) -> None:
    """Kill -9 of one of the runner's children, whatever it is doing."""
    workers = machine.workers()
    if workers:
        with suppress(psutil.NoSuchProcess):
            random.choice(workers).kill()


def kill_web(machine: Machine, witness: Witness, random: Random) -> None:
    """Kill -9 of the server of the page; the campaign must not notice."""
    if machine.web is not None:
        kill(machine.web)
        machine.web = machine.start_web()


def kill_all(machine: Machine, witness: Witness, random: Random) -> None:
    """A power cut."""
    for process in filter(None, (machine.web, machine.runner)):
        kill_tree(process)
    machine.runner = machine.start_runner()
    machine.web = machine.start_web() if machine.serves else None


def freeze_runner(machine: Machine, witness: Witness, random: Random) -> None:
    """The runner sleeps until another has taken its campaign, then wakes up and is refused."""
    machine.runner.send_signal(signal.SIGSTOP)
    _replace_frozen(machine, witness, random)


def freeze_writing_runner(machine: Machine, witness: Witness, random: Random) -> None:
    """The runner falls asleep in the middle of a transaction: nobody else can write."""
    runner, file = machine.runner, machine.home / "campaigns.db"
    while witness.look().active:
        runner.send_signal(signal.SIGSTOP)
        wait_until_stopped(runner)
        if lock_holder(file) == runner.pid:
            break
        runner.send_signal(signal.SIGCONT)
        witness.watch(random.uniform(0, 0.05))
    _replace_frozen(machine, witness, random)


def _replace_frozen(machine: Machine, witness: Witness, random: Random) -> None:
    frozen, began = machine.runner, time.monotonic()
    machine.runner = machine.start_runner()
    try:
        _taken_over(witness, began)
    finally:
        frozen.send_signal(signal.SIGCONT)
    witness.watch(random.uniform(0.5, 3))
    kill_tree(frozen)
    kill_tree(machine.runner)
    machine.runner = machine.start_runner()


def _taken_over(witness: Witness, since: float) -> None:
    before = witness.fence()
    witness.until(lambda _: witness.fence() > before, PATIENCE, "a takeover", over=True)
    if witness.fence() > before:
        witness.taken_over(since)


def lock_database(machine: Machine, witness: Witness, random: Random) -> None:
    """Another program holds the database's write lock for some seconds."""
    with closing(sqlite3.connect(machine.home / "campaigns.db", timeout=60)) as other:
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE")
        witness.watch(random.uniform(0.5, 4))
        other.execute("ROLLBACK")


def fill_disk(machine: Machine, witness: Witness, random: Random) -> None:
    """No file of the runner may grow for some seconds, which is what a full disk is to it."""
    with suppress(ProcessLookupError):
        let_write(machine.runner, random.choice((0, 4096)))
        witness.watch(random.uniform(0.5, 4))
        let_write(machine.runner, resource.RLIM_INFINITY)


def pause_and_resume(machine: Machine, witness: Witness, random: Random) -> None:
    """A person presses Pause, waits for it and goes on."""
    machine.store.command(witness.campaign_id, "pause")
    witness.until(lambda it: it.state == CampaignState.PAUSED, PATIENCE, "the pause", over=True)
    machine.store.command(witness.campaign_id, "resume")


def start_another_runner(machine: Machine, witness: Witness, random: Random) -> None:
    """Somebody starts a second runner by mistake; then the first one dies."""
    other = machine.start_runner()
    witness.watch(random.uniform(0, 12))
    kill_tree(machine.runner)
    machine.runner = other


FAULTS: dict[str, Fault] = {
    function.__name__: function
    for function in (
        kill_runner,
        terminate_runner,
        kill_worker,
        kill_web,
        kill_all,
        freeze_runner,
        freeze_writing_runner,
        lock_database,
        fill_disk,
        pause_and_resume,
        start_another_runner,
    )
}
KILLS = {"kill_runner", "kill_worker", "kill_web", "kill_all"}
