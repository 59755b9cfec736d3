"""A process of a storm that acquires the locks by a Python library, by flock(1) or by dotlockfile(1). It writes the log that
journal.js describes, and counts in the files that files.js names.

Usage: neighbour.py PROGRAM PLAN, where PROGRAM is locket, filelock, flock, dotlockfile, filelock's SoftFileLock, or a class of
lockfile.
"""

import json
import math
import os
import random
import signal
import struct
import sys
import time

COUNTER = struct.Struct("<I")

# How long the libraries that poll sleep in between, in seconds.
POLL = 0.002

# The longest timeout, and the longest pause between two attempts, in milliseconds.
LONGEST = 40
PAUSE = 5

# What flock(1) exits with when it is refused: a number that its failures do not use.
REFUSED_EXIT = 75

# What dotlockfile(1) exits with.
REFUSED_BY_DOTLOCKFILE = 4


class Refused(Exception):
    """The lock did not become free in time."""


class Library:
    shares = False

    def acquire(self):
        try:
            self._lock.acquire()
        except self._error as error:
            raise Refused from error

    def release(self):
        self._lock.release()


class Locket(Library):
    def __init__(self, path, shared, timeout):
        import locket

        self._error = locket.LockError
        self._lock = locket.lock_file(path, timeout=timeout, retry_period=POLL)


class Filelock(Library):
    def __init__(self, path, shared, timeout):
        import filelock

        self._error = filelock.Timeout
        timeout = -1 if timeout is None else timeout
        self._lock = filelock.FileLock(path, timeout, poll_interval=POLL, fallback_to_soft=False)


class Flock:
    """As a shell script does it: the file is open here, and flock(1) inherits it and locks it."""

    shares = True

    def __init__(self, path, shared, timeout):
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        os.set_inheritable(self._fd, True)
        wait = [] if timeout is None else ["--nonblock"] if timeout == 0 else ["--timeout", str(timeout)]
        mode = "--shared" if shared else "--exclusive"
        self._command = ["flock", mode, *wait, "--conflict-exit-code", str(REFUSED_EXIT), str(self._fd)]

    def acquire(self):
        pid = os.posix_spawnp("flock", self._command, os.environ)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            return
        os.close(self._fd)
        if code == REFUSED_EXIT:
            raise Refused
        raise RuntimeError(f"{self._command} has ended with {code}")

    def release(self):
        os.close(self._fd)


class SoftFileLock(Library):
    def __init__(self, path, shared, timeout):
        import filelock

        self._error = filelock.Timeout
        self._lock = filelock.SoftFileLock(path, -1 if timeout is None else timeout, poll_interval=POLL)


def lockfile(name):
    """The class `name` of the library lockfile. It polls ten times within its timeout, so it is tried again and again."""

    class Lockfile(Library):
        def __init__(self, path, shared, timeout):
            from lockfile import AlreadyLocked, linklockfile, mkdirlockfile, pidlockfile, symlinklockfile

            modules = [linklockfile, mkdirlockfile, pidlockfile, symlinklockfile]
            # SymlinkLockFile reads a link that it has seen, and that may be gone by then.
            self._error = (AlreadyLocked, FileNotFoundError)
            self._lock = next(getattr(module, name)(path) for module in modules if hasattr(module, name))
            self._timeout = timeout

        def acquire(self):
            poll(lambda: self._lock.acquire(0), self._error, self._timeout)

    return Lockfile


class Dotlockfile:
    shares = False

    # With its option -p it writes the number of this process, and breaks the locks of dead ones.
    arguments = []

    def __init__(self, path, shared, timeout):
        self._path, self._timeout = path, timeout

    def acquire(self):
        poll(lambda: self._run("-l", *self.arguments, "-r", "0"), Refused, self._timeout)

    def release(self):
        self._run("-u")

    def _run(self, *arguments):
        pid = os.posix_spawnp("dotlockfile", ["dotlockfile", *arguments, self._path], os.environ)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == REFUSED_BY_DOTLOCKFILE:
            raise Refused
        if code != 0:
            raise RuntimeError(f"dotlockfile {arguments} has ended with {code}")


def poll(take, error, timeout):
    """Takes the lock within so many seconds, or is refused."""
    end = time.monotonic() + (math.inf if timeout is None else timeout)
    while True:
        try:
            return take()
        except error as refusal:
            if time.monotonic() >= end:
                raise Refused from refusal
        time.sleep(POLL)


LIBRARIES = {
    "locket": Locket,
    "filelock": Filelock,
    "flock": Flock,
    "SoftFileLock": SoftFileLock,
    "dotlockfile": Dotlockfile,
}


class Journal:
    def __init__(self, path, start):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._start = start
        self.write("opened", pid=os.getpid())

    def now(self):
        return time.monotonic_ns() - self._start

    def write(self, event, at=None, **details):
        at = self.now() if at is None else at
        os.write(self._fd, (json.dumps({"time": at, "event": event, **details}) + "\n").encode())


def main(library, plan):
    lock_type = LIBRARIES.get(library) or lockfile(library)
    if plan["options"].get("pid"):
        lock_type.arguments = ["-p"]
    folder = plan["folder"]
    journal = Journal(f"{folder}/{plan['process']}.0.{library}.log", int(plan["start"]))
    choices = random.Random(f"{plan['seed']}:{plan['process']}")

    files = plan["files"]
    counters = [os.open(f"{folder}/{file}.counter", os.O_RDWR) for file in range(files)]

    over = False

    def stop(*_):
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    attempt = 0
    while not over and journal.now() < plan["end"]:
        file = choices.randrange(files)
        shared = lock_type.shares and choices.random() < 0.4
        timeout = None if choices.random() < 0.3 else choices.randrange(LONGEST + 1)
        lock = lock_type(f"{folder}/{file}.lock", shared, None if timeout is None else timeout / 1000)
        attempt += 1
        limit = {} if timeout is None else {"timeout": timeout}
        journal.write("requested", attempt=attempt, file=file, mode="shared" if shared else "exclusive", **limit)
        try:
            lock.acquire()
        except Refused:
            journal.write("rejected", attempt=attempt, reason="timeout")
        else:
            begin = journal.now()
            value = {}
            if not shared:
                value["value"] = COUNTER.unpack(os.pread(counters[file], COUNTER.size, 0))[0] + 1
            journal.write("held", at=begin, attempt=attempt, **value)
            if choices.random() < 0.2:
                time.sleep(choices.random() / 1000)
            if not shared:
                os.pwrite(counters[file], COUNTER.pack(value["value"]), 0)
            journal.write("releasing", attempt=attempt)
            lock.release()
        if choices.random() < 0.3:
            time.sleep(choices.random() * PAUSE / 1000)
    journal.write("closed")


main(sys.argv[1], json.loads(sys.argv[2]))
