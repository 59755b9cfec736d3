"""Keeps leases on files, which stand for paths that do not answer: leases.py F_WRLCK|F_RDLCK FILE...

With a write lease (F_WRLCK) the kernel lets nobody open the file until the lease is given up; with F_RDLCK, nobody for
writing. Says "leased", or why there is no lease, and "wanted" when somebody is kept waiting. Gives the leases up when it is
told a line, and ends when its standard input does.
"""

import fcntl
import os
import resource
import signal
import sys
import threading

kind = getattr(fcntl, sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
access = os.O_RDONLY if kind == fcntl.F_RDLCK else os.O_RDWR
files = [os.open(name, access | os.O_CREAT, 0o644) for name in sys.argv[2:]]
try:
    for file in files:
        fcntl.fcntl(file, fcntl.F_SETLEASE, kind)
except OSError as error:
    print(error, flush=True)
    sys.exit()


def tell():
    signal.sigwait({signal.SIGIO})
    print("wanted", flush=True)


threading.Thread(target=tell, daemon=True).start()
print("leased", flush=True)
if sys.stdin.readline():
    for file in files:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    sys.stdin.read()
