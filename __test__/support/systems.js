'use strict'

// Options of tests that need a certain system or program. With LOCKET_REQUIRE_ALL=1, a test whose program is missing fails.

const { spawnSync } = require('node:child_process')

const LINUX = process.platform === 'linux'
const WINDOWS = process.platform === 'win32'

const onLinux = { skip: !LINUX && 'only on Linux' }
const onUnix = { skip: WINDOWS && 'only on Unix' }

/** Returns true where waits are paced: the tests run with a binary that is built so (`npm test -- paced`). */
const isPaced = /[\\/]paced[\\/]/.test(process.env.NAPI_RS_NATIVE_LIBRARY_PATH ?? '')

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

module.exports = { isPaced, LINUX, needing, needs, onLinux, onUnix, unavailable, WINDOWS }
