'use strict'

// `npm run stress` itself, for a few seconds: what it says of a lock that works, and of one that is broken on purpose.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { readOptions } = require('../../scripts/stress.js')

const STRESS = path.join(__dirname, '../../scripts/stress.js')

/** What it prints, and its exit code. */
const stress = (t, ...args) =>
  new Promise((resolve) => {
    execFile(process.execPath, [STRESS, ...args], (error, stdout, stderr) => {
      // Where something was found, it leaves its logs to be looked at.
      const logs = /^The logs are in (.*)$/m.exec(stdout)?.[1]
      if (logs) t.after(() => fs.rmSync(logs, { recursive: true }))
      resolve({ code: error ? error.code : 0, stdout, stderr })
    })
  })

test('a storm ends by itself, and finds nothing in a lock that works', async (t) => {
  const { code, stdout, stderr } = await stress(t, '--seconds=3', '--seed=1')
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^violations +0$/m)
  assert.match(stdout, /^acquires +[1-9]/m)
})

test('a storm of locks by existence, too, beside another program that has them', async (t) => {
  const { code, stdout, stderr } = await stress(t, '--protocol=proper-lockfile', '--seconds=3', '--seed=1')
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^violations +0$/m)
  assert.match(stdout, /^ {2}@locket\/native +[1-9]/m)
  if (process.platform === 'linux') assert.match(stdout, /^ {2}proper-lockfile +[1-9]/m)
})

test('a lock that is released too early is found', async (t) => {
  for (const protocol of ['flock', 'lockfile']) {
    const storm = ['--seconds=3', `--protocol=${protocol}`, '--files=1', '--sabotage=early']
    const outputs = []
    // On a machine that is busy enough, too few get the lock in a storm for two to meet.
    for (let seed = 5; seed < 15; seed++) {
      const { code, stdout, stderr } = await stress(t, ...storm, `--seed=${seed}`)
      outputs.push(stdout + stderr)
      if (code === 1) break
    }
    assert.match(outputs.at(-1), /^overlap: [1-9]/m, outputs.join('\n'))
  }
})

test('a lock that is never released is found, and who has it', async (t) => {
  // With this seed nobody is killed in that time, which would release the lock.
  const small = ['--processes=2', '--workers=0', '--files=1', '--patience=1']
  const { code, stdout, stderr } = await stress(t, '--seconds=3', ...small, '--sabotage=keep', '--seed=86')
  assert.equal(code, 1, stdout + stderr)
  assert.match(stdout, /^hung: [1-9]/m)
  assert.match(stdout, /^unanswered: [1-9]/m)
  assert.match(stdout, /^node \d+ \(\d+\) hangs: \{.*"held":\[\{"path":/m)
})

test('options that make no sense are refused', async (t) => {
  assert.equal(readOptions(['--help']).help, true)
  assert.equal(readOptions(['--seconds=7']).seconds, 7)
  assert.equal(readOptions(['--protocol=flock']).protocol, undefined)
  assert.equal(readOptions(['--protocol=dotlock', '--defects']).defects, true)
  const numbers = ['--seconds=0', '--seconds=', '--files=x', '--tasks=1.5']
  const others = [
    '--sabotage=no',
    '--protocol=no',
    '--protocol=fcntl',
    '--protocol=toString',
    '--defects',
    '--what',
    'more',
  ]
  for (const wrong of [...numbers, ...others]) assert.throws(() => readOptions([wrong]), wrong)
  assert.throws(() => readOptions(['--protocol=link', '--defects']))
  const { code, stderr } = await stress(t, '--seconds=never')
  assert.equal(code, 64)
  assert.match(stderr, /^--seconds takes a whole number from 1 to 86400, not never\n/)
})
