'use strict'

// What a runtime cannot do, and why. It is tried all the same: if it fails in another way than `sign` says, that is a
// failure, and if it works, the table says so.

const LIMITS = [
  {
    behaviour: '`using` and `await using`',
    on: /^node 2[0-3]\./,
    sign: /SyntaxError|Unexpected identifier/,
    reason: 'It does not know the syntax yet; compilers translate it, and the methods that it calls are there.',
  },
  {
    behaviour: 'a worker is terminated in acquireSync(): its wait ends',
    on: /^deno /,
    sign: /the wait has outlived the worker/,
    reason:
      'terminate() does not wait for a thread that is blocked, and cannot end it. The thread stays in line until its turn comes, and then gives the lock up at once.',
  },
  {
    behaviour: 'few permissions are enough',
    on: /^bun /,
    sign: /no permissions to restrict/,
    reason: 'It has no permissions that could be withheld.',
  },
]

const limitOf = (behaviour, { kind, version }) =>
  LIMITS.find((limit) => limit.behaviour === behaviour && limit.on.test(`${kind} ${version}`))

/** What it means for a runtime that a behaviour was shown, or was not. */
function verdict(behaviour, runtime, { failure, output }) {
  const limit = limitOf(behaviour, runtime)
  if (failure === undefined) return limit ? { kind: 'works now', limit } : { kind: 'passed' }
  if (limit?.sign.test(output)) return { kind: 'cannot', limit }
  return { kind: 'failed', failure, output }
}

module.exports = { verdict }
