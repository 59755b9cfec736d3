'use strict'

module.exports = `\
Usage: locket [options] FILE { [--] COMMAND [ARG...] | -c LINE }
       locket [options] { --who FILE [--json] | --break FILE }
Runs COMMAND while it holds the lock of FILE, which is created if it is missing.

  -x, -e, --exclusive         a lock for one alone (the default)
  -s, --shared                a lock for many at once
  -n, --nonblock, --nb, --nonblocking      fail rather than wait
  -w, --timeout, --wait SECONDS            wait no longer; 0 is -n
  -E, --conflict-exit-code N  exit code if the lock was not acquired (1)
  -c, --command LINE          run LINE in the shell
      --permits N             a semaphore: at most N commands at once
      --quiet, --verbose      say nothing of waits and conflicts; say more
      --who                   list holders and waiters; exit code 1 if unlocked
      --json                  with --who: as JSON, on one line
      --fcntl                 the kernel's other lock: --protocol fcntl
      --protocol NAME         proper-lockfile, lockfile, soft-file, link, mkdir,
                              symlink, pid-file or dotlock: lock by existence
      --stale, --update SECONDS   the times of the first two of these
      --break                 remove such a lock; exit code 1 if there is none
  -h, --help, -V, --version   not supported: -u, --unlock, -o, --close,
                              -F, --no-fork
The exit code is COMMAND's. 64: bad usage. 65, 66, 71, 73: FILE cannot be locked
or the lock was lost. 69: COMMAND cannot be run. 70: a defect of locket.
`
