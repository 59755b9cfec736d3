'use strict'

module.exports = `\
Usage: locket [options] FILE [--] COMMAND [ARG...]
       locket [options] FILE -c LINE
       locket --who FILE [--json]

Runs COMMAND while it holds the lock of FILE, which is created if it is missing.

  -x, -e, --exclusive         a lock for one alone (the default)
  -s, --shared                a lock for many at once
  -n, --nonblock, --nb, --nonblocking      fail rather than wait
  -w, --timeout, --wait SECONDS            wait no longer; 0 is -n
  -E, --conflict-exit-code N  exit code if the lock was not acquired (1)
  -c, --command LINE          run LINE in the shell
      --quiet                 print nothing while waiting, or on a conflict
      --verbose               say what is done, and how long the wait was
      --who                   list who holds the lock and who waits for it: pid,
                              mode, command; exit code 0 if locked, 1 if not
      --json                  with --who: as JSON, on one line
  -h, --help, -V, --version
Not supported, unlike flock(1): -u, --unlock, -o, --close, -F, --no-fork

The exit code is that of COMMAND. 64: bad usage. 65, 66, 71, 73: FILE cannot be
locked. 69: COMMAND cannot be run. 70: a defect of locket.
`
