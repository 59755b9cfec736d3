'use strict'

// `npm run stress -- --postgres` itself: what it says of a lock that works, and of one that is broken on purpose.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { check } = require('../storm/checker.js')
const { obstacle } = require('./support/server.js')

const STRESS = path.join(__dirname, '../../../scripts/stress.js')

/** Resolves to what a storm prints, and its exit code. */
const storm = (t, ...args) =>
  new Promise((resolve) => {
    execFile(process.execPath, [STRESS, '--postgres', ...args], (error, stdout, stderr) => {
      // Where something was found, it leaves its logs to be looked at.
      const logs = /^The logs are in (.*)$/m.exec(stdout)?.[1]
      if (logs) t.after(() => fs.rmSync(logs, { recursive: true }))
      resolve({ code: error ? error.code : 0, output: stdout + stderr })
    })
  })

test('a storm ends by itself, and finds nothing in a lock that works', { skip: obstacle }, async (t) => {
  const { code, output } = await storm(t, '--seconds=3', '--seed=1')
  assert.equal(code, 0, output)
  assert.match(output, /^holds +[1-9]/m)
  assert.match(output, /^violations +0$/m)
})

test('a lock that excludes nobody is found', { skip: obstacle }, async (t) => {
  const outputs = []
  for (let seed = 0; seed < 5; seed++) {
    const { code, output } = await storm(t, '--seconds=3', `--seed=${seed}`, '--sabotage')
    outputs.push(output)
    if (code === 1) break
  }
  assert.match(outputs.at(-1), /^overlap of |^token of /m)
})

/** The events of a hold. */
const hold = (process, token, entered, left, more) => [
  { process, id: entered, name: 'x', mode: 'exclusive', token: String(token), entered, ...more },
  ...(left === undefined ? [] : [{ process, id: entered, left }]),
]
const shared = { mode: 'shared' }

for (const [what, events, found, kills] of [
  ['holds one after the other', [...hold('a', 1, 10, 20), ...hold('b', 2, 21, 30)], []],
  ['two exclusive holds at a time', [...hold('a', 1, 10, 20), ...hold('b', 2, 15, 30)], ['overlap']],
  ['a shared hold in an exclusive one', [...hold('a', 1, 10, 20), ...hold('b', 2, 15, 16, shared)], ['overlap']],
  ['an exclusive hold in a shared one', [...hold('a', 1, 10, 20, shared), ...hold('b', 2, 15, 16)], ['overlap']],
  ['shared holds at a time', [...hold('a', 2, 10, 20, shared), ...hold('b', 1, 15, 30, shared)], []],
  [
    'a long hold with short ones in it',
    [...hold('a', 1, 10, 90, shared), ...hold('b', 1, 20, 30, shared), ...hold('c', 2, 40, 50)],
    ['overlap'],
  ],
  ['a token that is smaller', [...hold('a', 5, 10, 20), ...hold('b', 4, 21, 30)], ['token']],
  ['a token that is the same', [...hold('a', 5, 10, 20), ...hold('b', 5, 21, 30)], ['token']],
  ['locks of other names', [...hold('a', 5, 10, 20), ...hold('b', 4, 15, 30, { name: 'y' })], []],
  ['a holder that never ends', [...hold('a', 1, 10), ...hold('b', 2, 15, 30)], ['overlap']],
  ['a holder that was killed', [...hold('a', 1, 10), ...hold('b', 2, 15, 30)], [], new Map([['a', 12]])],
  ['a process that fails', [{ process: 'a', failed: 'Error' }], ['a failed: Error']],
]) {
  test(`the checker judges ${what}`, () => {
    const { violations } = check(events, kills ?? new Map())
    assert.deepEqual(
      violations.map((text) => text.split(' ').slice(0, found[0]?.split(' ').length).join(' ')),
      found,
    )
  })
}
