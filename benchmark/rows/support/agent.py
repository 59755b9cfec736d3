"""The twin of agent.js, for Python's libraries: the same lines, the same answers. See there.

Usage: agent.py LIBRARY FILE...
"""

import importlib
import json
import math
import os
import queue
import sys
import threading
import time

now = time.monotonic_ns

# How each library makes a lock from a path. Without a timeout, locket waits in the kernel; filelock tries again every
# 50 ms, which is its default.
MAKERS = {"locket": "lock_file", "filelock": "FileLock", "portalocker": "Lock"}


def say(line):
    print(line, flush=True)


def read_lines(lines):
    """Puts the lines of stdin into a queue. A thread of its own: the other one is blocked while it waits for a lock."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def spin(duration):
    end = now() + duration
    while now() < end:
        pass


def count(lock, counter, start, turns=math.inf, duration=math.inf, hold=0):
    """See count.js."""
    end = start + duration
    taken = 0
    in_time = 0
    with open(counter, "r+b", buffering=0) as file:
        time.sleep(max(0, start - now()) / 1e9)
        while taken < turns and now() < end:
            lock.acquire()
            if now() < end:
                in_time += 1
            file.seek(0)
            number = int.from_bytes(file.read(4), "little")
            if hold > 0:
                spin(hold)
            file.seek(0)
            file.write((number + 1).to_bytes(4, "little"))
            lock.release()
            taken += 1
    return {"taken": taken, "inTime": in_time, "ended": now()}


def take_permits(library, file, permits, start, turns=math.inf, duration=math.inf, hold=0):
    """See permits.js. It tries again every 10 ms, where it would every 250 ms by default."""
    folder, name = os.path.split(file)
    semaphore = library.BoundedSemaphore(permits, name, directory=folder, timeout=math.inf, check_interval=0.01)
    end = start + duration
    holds = []
    time.sleep(max(0, start - now()) / 1e9)
    while len(holds) < turns and now() < end:
        semaphore.acquire()
        begun = now()
        if hold > 0:
            spin(hold)
        holds.append([begun, now()])
        semaphore.release()
    return {"holds": holds, "inTime": sum(begun < end for begun, _ in holds), "ended": now()}


def main(library, *files):
    make = getattr(importlib.import_module(library), MAKERS[library])
    locks = [make(file) for file in files]
    log = []
    lines = queue.SimpleQueue()
    threading.Thread(target=read_lines, args=[lines], daemon=True).start()
    say("ready")
    while True:
        command, _, options = lines.get().strip().partition(" ")
        if command == "acquire":
            asked = now()
            for lock in locks:
                lock.acquire()
            log.append([asked, now()])
            say("acquired")
        elif command == "release":
            log[-1].append(now())
            for lock in locks:
                lock.release()
        elif command == "log":
            say(json.dumps(log))
        elif command == "count":
            say(json.dumps(count(locks[0], **json.loads(options))))
        elif command == "permits":
            say(json.dumps(take_permits(importlib.import_module(library), files[0], **json.loads(options))))
        else:
            raise ValueError(command)


main(*sys.argv[1:])
