'use strict'

// Options of tests that need a certain system or program. With LOCKET_REQUIRE_ALL=1, a test whose program is missing fails.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')

const LINUX = process.platform === 'linux'
const WINDOWS = process.platform === 'win32'

const onLinux = { skip: !LINUX && 'only on Linux' }
const onUnix = { skip: WINDOWS && 'only on Unix' }

/** Systems that have the lock of the protocol 'fcntl'. */
const onFcntl = { skip: !['linux', 'darwin'].includes(process.platform) && "this system has not the lock of 'fcntl'" }

/** Returns true where waits are paced: on Windows, and with a binary that is built so (`npm test -- paced`). */
const isPaced = WINDOWS || /[\\/]paced[\\/]/.test(process.env.NAPI_RS_NATIVE_LIBRARY_PATH ?? '')

/** ext4, XFS, btrfs, F2FS, tmpfs: those known to be on this machine. */
const LOCAL = [0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994]

/** Returns true if a lock file in `folder` stays open for a moment after it was used often. */
const keepsWarm = (folder) => LINUX && LOCAL.includes(fs.statfsSync(folder).type)

const requireAll = process.env.LOCKET_REQUIRE_ALL === '1'

/** Options of a test that needs a program, which succeeds with `args`. */
function needing(command, args = ['--version']) {
  const isMissing = !requireAll && spawnSync(command, args).status !== 0
  return { skip: isMissing && `${command} is not installed` }
}

/** Skips the test, saying why; with LOCKET_REQUIRE_ALL=1 that is a failure. */
function unavailable(t, why) {
  if (requireAll) throw new Error(`LOCKET_REQUIRE_ALL: ${why}`)
  t.skip(why)
  return false
}

/** Skips the test if a program is missing. */
const needs = (t, command, args = ['--version']) =>
  spawnSync(command, args).status === 0 || unavailable(t, `${command} is not installed`)

module.exports = {
  isPaced,
  keepsWarm,
  LINUX,
  needing,
  needs,
  onFcntl,
  onLinux,
  onUnix,
  requireAll,
  unavailable,
  WINDOWS,
}
