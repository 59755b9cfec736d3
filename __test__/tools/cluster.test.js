'use strict'

// `npm run test:cluster` itself: what it says of arguments. What it tests has minutes of its own.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { GOOD_END, outcomeOf } = require('../support/processes.js')

const SCRIPT = path.join(__dirname, '../../scripts/cluster.js')

const cluster = (...args) => outcomeOf(process.execPath, [SCRIPT, ...args])

test('--help says what there is, and runs nothing', () => {
  for (const option of ['--help', '-h']) {
    const { stdout, ...end } = cluster(option)
    assert.deepEqual({ ...end, stdout: '' }, { ...GOOD_END, stdout: '' })
    assert.match(stdout, /^npm run test:cluster.*\n.*--quick[\s\S]*LOCKET_CLUSTER.*moosefs[\s\S]*cephfs/)
  }
})

for (const args of [['--quik'], ['nfs'], ['--quick=1']]) {
  test(`${args} is refused`, () => {
    const { code, stdout, stderr } = cluster(...args)
    assert.deepEqual([code, stdout], [64, ''])
    assert.match(stderr, /npm run test:cluster/)
  })
}
