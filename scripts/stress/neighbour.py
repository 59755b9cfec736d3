"""A process of a storm that takes the locks by a Python library, or by flock(1). It writes the log that journal.js
describes, and counts in the files that field.js names.

Usage: neighbour.py locket|filelock|flock PLAN
"""

import json
import os
import random
import signal
import struct
import sys
import time

RECORD = struct.Struct("<dIIBBBBI")
COUNTER = struct.Struct("<I")
OPENED, REQUESTED, GRANTED, RELEASED, TIMED_OUT, CLOSED = 1, 2, 3, 4, 5, 9
ENDLESS = 0xFFFF_FFFF

# How long the libraries that poll sleep in between, in seconds.
POLL = 0.002

# The longest timeout, and the longest pause between two attempts, in milliseconds.
LONGEST = 40
PAUSE = 5

# What flock(1) exits with when it is refused: a number that its failures do not use.
REFUSED_EXIT = 75


class Refused(Exception):
    """The lock was not to be had in time."""


class Locket:
    shares = False

    def __init__(self, path, shared, timeout):
        import locket

        self._error = locket.LockError
        self._lock = locket.lock_file(path, timeout=timeout, retry_period=POLL)

    def acquire(self):
        try:
            self._lock.acquire()
        except self._error as error:
            raise Refused from error

    def release(self):
        self._lock.release()


class Filelock:
    shares = False

    def __init__(self, path, shared, timeout):
        import filelock

        self._error = filelock.Timeout
        timeout = -1 if timeout is None else timeout
        self._lock = filelock.FileLock(path, timeout, poll_interval=POLL, fallback_to_soft=False)

    def acquire(self):
        try:
            self._lock.acquire()
        except self._error as error:
            raise Refused from error

    def release(self):
        self._lock.release()


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


LIBRARIES = {"locket": Locket, "filelock": Filelock, "flock": Flock}


class Journal:
    def __init__(self, path, start):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._start = start
        self.write(OPENED, value=os.getpid())

    def now(self):
        return time.monotonic_ns() - self._start

    def write(self, kind, attempt=0, value=0, file=0, shared=False, timeout=0, at=None):
        at = self.now() if at is None else at
        os.write(self._fd, RECORD.pack(at, attempt, value, kind, file, shared, 0, timeout))


def main(library, plan):
    lock_type = LIBRARIES[library]
    folder = plan["folder"]
    journal = Journal(f"{folder}/{plan['process']}.0.{library}.log", int(plan["start"]))
    choices = random.Random(f"{plan['seed']}:{plan['process']}")

    # The last file of several is deleted on release, which none of these programs would notice.
    files = max(1, plan["files"] - 1)
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
        this = {"attempt": attempt, "file": file, "shared": shared}
        attempt += 1
        journal.write(REQUESTED, timeout=ENDLESS if timeout is None else timeout, **this)
        try:
            lock.acquire()
        except Refused:
            journal.write(TIMED_OUT, **this)
        else:
            begin = journal.now()
            value = 0 if shared else COUNTER.unpack(os.pread(counters[file], COUNTER.size, 0))[0] + 1
            journal.write(GRANTED, value=value, at=begin, **this)
            if choices.random() < 0.2:
                time.sleep(choices.random() / 1000)
            if not shared:
                os.pwrite(counters[file], COUNTER.pack(value), 0)
            journal.write(RELEASED, **this)
            lock.release()
        if choices.random() < 0.3:
            time.sleep(choices.random() * PAUSE / 1000)
    journal.write(CLOSED)


main(sys.argv[1], json.loads(sys.argv[2]))
