"""A process with one lock of a Python library, told line by line what to do:

    acquire {options}   says "waiting", then "acquired" or "ERR_LOCK_TIMEOUT"
    try                 says "true" or "false", or the name of an error
    release             says "released", or the name of the error
    exit                ends without releasing
    is_locked, i_am_locking, break_lock     what these methods return, or the name of the error

The words, the options "timeout" (milliseconds) and "file" (instead of FILE) are those of fixtures/agent.js. It ends when its
standard input does.

Usage: agent.py LIBRARY FILE, where LIBRARY is locket, filelock, portalocker, fasteners, oslo, lockf, "shared lockf",
filelock's SoftFileLock, or a class of lockfile.
"""

import contextlib
import functools
import json
import os
import sys
import time

# How long the libraries that poll sleep in between, in seconds. Their own choice (50 ms and more) makes tests slow.
POLL = 0.001


class Refused(Exception):
    """The lock was not free in time."""


class Locket:
    def __init__(self, path):
        self._path = path
        self._lock = None

    def acquire(self, timeout):
        """Waits at most `timeout` seconds; for ever, in the kernel, if it is None."""
        import locket

        lock = locket.lock_file(self._path, timeout=timeout, retry_period=POLL)
        try:
            lock.acquire()
        except locket.LockError as error:
            raise Refused from error
        self._lock = lock

    def release(self):
        self._lock.release()


class Filelock:
    def __init__(self, path):
        import filelock

        # Where the system has no flock(2), the library would fall back to a lock of another kind.
        self._lock = filelock.FileLock(path, poll_interval=POLL, fallback_to_soft=False)

    def acquire(self, timeout):
        import filelock

        try:
            self._lock.acquire(timeout=-1 if timeout is None else timeout)
        except filelock.Timeout as error:
            raise Refused from error

    def release(self):
        self._lock.release()


class Portalocker:
    def __init__(self, path):
        self._path = path
        self._lock = None

    def acquire(self, timeout):
        import portalocker

        if timeout is None:
            # Without NON_BLOCKING it waits in the kernel, instead of for five seconds at most.
            lock = portalocker.Lock(self._path, flags=portalocker.LockFlags.EXCLUSIVE)
        else:
            lock = portalocker.Lock(self._path, timeout=timeout, check_interval=POLL)
        try:
            lock.acquire()
        except portalocker.AlreadyLocked as error:
            raise Refused from error
        self._lock = lock

    def release(self):
        self._lock.release()


class Fasteners:
    def __init__(self, path):
        import fasteners

        self._lock = fasteners.InterProcessLock(path)

    def acquire(self, timeout):
        # It polls in any case.
        if not self._lock.acquire(blocking=timeout != 0, delay=POLL, max_delay=POLL, timeout=timeout):
            raise Refused

    def release(self):
        self._lock.release()


def retried(timeout):
    """Yields until `timeout` seconds are over, at least once."""
    end = time.monotonic() + timeout
    while True:
        yield
        if time.monotonic() >= end:
            return
        time.sleep(POLL)


class Oslo:
    """oslo.concurrency, by the function that its users call. It has no timeout."""

    def __init__(self, path):
        self._folder, self._name = os.path.split(path)
        self._held = contextlib.ExitStack()

    def acquire(self, timeout):
        from oslo_concurrency import lockutils

        def enter(**options):
            lock = lockutils.lock(self._name, external=True, lock_path=self._folder, delay=POLL, **options)
            self._held.enter_context(lock)

        if timeout is None:
            return enter()
        for _ in retried(timeout):
            with contextlib.suppress(lockutils.AcquireLockFailedException):
                return enter(blocking=False)
        raise Refused

    def release(self):
        self._held.close()


class Lockf:
    """fcntl.lockf of Python itself."""

    def __init__(self, path, kind="LOCK_EX"):
        self._file = open(path, "a+")
        self._kind = kind

    def acquire(self, timeout):
        import fcntl

        kind = getattr(fcntl, self._kind)
        if timeout is None:
            return fcntl.lockf(self._file, kind)
        for _ in retried(timeout):
            with contextlib.suppress(BlockingIOError):
                return fcntl.lockf(self._file, kind | fcntl.LOCK_NB)
        raise Refused

    def release(self):
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_UN)


class SoftFileLock(Filelock):
    def __init__(self, path):
        import filelock

        self._lock = filelock.SoftFileLock(path, poll_interval=POLL)


class Lockfile:
    """The class `name` of the library lockfile. It polls ten times within the timeout; without one, ten times a second."""

    def __init__(self, path, name):
        from lockfile import linklockfile, mkdirlockfile, pidlockfile, symlinklockfile

        modules = [linklockfile, mkdirlockfile, pidlockfile, symlinklockfile]
        self._lock = next(getattr(module, name)(path) for module in modules if hasattr(module, name))

    def acquire(self, timeout):
        import lockfile

        while True:
            try:
                return self._lock.acquire(timeout)
            except (lockfile.AlreadyLocked, lockfile.LockTimeout) as error:
                # PIDLockFile does not wait without a timeout, as the others do.
                if timeout is not None:
                    raise Refused from error
            time.sleep(POLL)

    def __getattr__(self, name):
        return getattr(self._lock, name)


LIBRARIES = {
    "locket": Locket,
    "filelock": Filelock,
    "portalocker": Portalocker,
    "fasteners": Fasteners,
    "oslo": Oslo,
    "lockf": Lockf,
    "shared lockf": lambda path: Lockf(path, "LOCK_SH"),
    "SoftFileLock": SoftFileLock,
}


def say(line):
    print(line, flush=True)


def error_of(call):
    """Returns what it returns, or the name of its error."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__


def main(library, path):
    @functools.cache
    def lock_of(path):
        return LIBRARIES[library](path) if library in LIBRARIES else Lockfile(path, library)

    for line in sys.stdin:
        command, _, options = line.strip().partition(" ")
        options = json.loads(options or "{}")
        lock = lock_of(options.get("file", path))
        if command == "acquire":
            timeout = options.get("timeout")
            say("waiting")
            try:
                lock.acquire(None if timeout is None else timeout / 1000)
                say("acquired")
            except Refused:
                say("ERR_LOCK_TIMEOUT")
        elif command == "try":
            try:
                lock.acquire(0)
                say("true")
            except Refused:
                say("false")
            except OSError as error:
                say(type(error).__name__)
        elif command == "release":
            say(error_of(lock.release) or "released")
        elif command in ("is_locked", "i_am_locking", "break_lock"):
            say(str(error_of(getattr(lock, command))))
        elif command == "exit":
            os._exit(0)
        else:
            raise ValueError(command)


main(*sys.argv[1:])
