"""Who keeps SQLite's write lock, when nobody else can write any more.

A process that is frozen in the middle of a transaction keeps the lock until it goes on or ends,
and no lease helps against that: to take one over is a write too. Linux tells who has the lock. A
runner of this machine that keeps it and is stopped, or has given no sign of life for long, is
ended, which costs what it had not committed; the lock of any other program is waited for.
"""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path

import psutil
from sqlalchemy import Connection

from explorer.lease import HEARTBEAT_EXPIRY, last_heartbeats
from explorer.logs import log_event

WRITE_LOCK_BYTE = 120
"""Of the file "-shm": whoever writes has locked it (sqlite.org/walformat.html, 2.3)."""
PROGRAMS = {"explorer.runner", "hullscape"}
"""What the command line of a runner begins with, after Python and its options."""
CLOCK_SECONDS = 1.0
"""By how much the system may be wrong about when a process started."""
LOCKS = Path("/proc/locks")


class Watch:
    """Looks at who keeps the lock, again and again while somebody waits for it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._suspect: tuple[int, float] | None = None

    def look(self, connection: Connection) -> None:
        """End a runner that keeps the lock and is stopped or silent, when seen twice so.

        Twice with the same last sign of life: one that only now got the lock, after somebody else
        had it for long, is about to give the next.
        """
        before, self._suspect = self._suspect, self._silent_holder(connection)
        if self._suspect is None or self._suspect != before:
            return
        pid, heartbeat = self._suspect
        try:
            psutil.Process(pid).kill()
        except psutil.Error as error:
            log_event("a frozen runner cannot be ended", logging.WARNING, pid=pid, reason=error)
            return
        log_event("ended a frozen runner", logging.WARNING, pid=pid, heard_of=heartbeat)

    def _silent_holder(self, connection: Connection) -> tuple[int, float] | None:
        """Return process and last sign of life, 0.0 for none, of a runner that keeps the lock."""
        holder = lock_holder(self._database)
        if holder is None:
            return None
        for owner, heartbeat in last_heartbeats(connection).items():
            host, pid, _ = owner.rsplit("/", 2)
            if host != socket.gethostname() or int(pid) != holder:
                continue
            silent = abs(time.time() - heartbeat) > HEARTBEAT_EXPIRY
            if silent and _began_before(int(pid), heartbeat):
                return int(pid), heartbeat
        return (holder, 0.0) if _is_stopped_runner(holder) else None


def _is_stopped_runner(pid: int) -> bool:
    """Whether a process is a runner of this user that somebody, or the system, has stopped."""
    try:
        process = psutil.Process(pid)
        program = PROGRAMS & {Path(word).name for word in process.cmdline()[:3]}
        mine = process.uids().real == psutil.Process().uids().real
        return bool(program) and mine and process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _began_before(pid: int, moment: float) -> bool:
    """Whether a process is as old as that: no later one that was given the same number."""
    try:
        return psutil.Process(pid).create_time() <= moment + CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return False


def lock_holder(database: Path) -> int | None:
    """Return the process of this machine that has SQLite's write lock; None when none is known.

    The file is not opened: closing it again would lose this process all locks of its own.
    """
    try:
        inode = Path(f"{database}-shm").stat().st_ino
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux, or nobody has the database open
        return None
    for line in lines:
        words = line.split()
        # "1: POSIX ADVISORY WRITE 1689 fe:00:2148189 120 120"; one that waits has a "->" inside.
        # The device is not compared: some file systems go by another number there.
        if words[1] != "POSIX" or words[3] != "WRITE" or words[5].split(":")[2] != str(inode):
            continue
        last = float("inf") if words[7] == "EOF" else int(words[7])
        if int(words[6]) <= WRITE_LOCK_BYTE <= last:
            return int(words[4])
    return None
