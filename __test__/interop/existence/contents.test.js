'use strict'

// What stands in the file of a lock, and what follows from it: records of SoftFileLock, numbers of processes, data.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { describe, test } = require('node:test')

const { lockFile } = require('../../..')
const { onUnix } = require('../../support/systems.js')
const { eventually } = require('../../support/waiting.js')
const { newPath, PEERS, talkerOf } = require('./peers.js')
const { scene } = require('./scene.js')

/** A process that has been reaped, and whose number nobody has for now. */
const deadPid = () => spawnSync('true').pid

/** The record of SoftFileLock of this process, line by line. */
async function recordOf(t) {
  const file = newPath(t, 'soft-file')
  const python = talkerOf(t, 'SoftFileLock', file)
  assert.equal(await python.ask('try'), 'true')
  const [pid, host, token] = fs.readFileSync(file, 'utf8').split('\n')
  return { pid, host, token, python }
}

/**
 * Records of 'soft-file': what is written, and whether it is taken: at once, once it is `ripe`, or never. What nobody writes into a
 * lock is data: SoftFileLock removes it all the same.
 */
const RECORDS = {
  'a dead process': [({ host, token }) => `${deadPid()}\n${host}\n${token}\n`, 'at once'],
  'a dead process, without a start': [({ host }) => `${deadPid()}\n${host}\n`, 'at once'],
  'a live process': [({ pid, host, token }) => `${pid}\n${host}\n${token}\n`, 'never'],
  'a live process, without a start': [({ pid, host }) => `${pid}\n${host}\n`, 'never'],
  'a number that was used again': [({ pid, host, token }) => `${pid}\n${host}\n${BigInt(token) + 1n}\n`, 'at once'],
  'another boot': [({ pid, host, token }) => `${pid}\n${host}\n${BigInt(token) ^ (1n << 90n)}\n`, 'at once'],
  'another host': [({ token }) => `${deadPid()}\nelsewhere\n${token}\n`, 'never'],
  'another pid namespace': [({ host, token }) => `${deadPid()}\n${host}?pidns-123\n${token}\n`, 'never'],
  nothing: [() => '', 'never'],
  'the strict protocol': [() => '1\nfilelock-strict-v1\0\n0\n', 'never'],
  'half a record': [({ host }) => `${deadPid()}\n${host}`, 'ripe'],
  'a number alone': [() => '1\n', 'ripe'],
  'no number': [({ host }) => `x\n${host}\n`, 'by theirs alone'],
  data: [() => '{"important":true}', 'by theirs alone'],
  'a number of no process': [({ host }) => `0\n${host}\n`, 'ripe'],
  'a negative number': [({ host }) => `-1\n${host}\n`, 'ripe'],
  'a number beyond all': [({ host }) => `${2n ** 70n}\n${host}\n`, 'ripe'],
  'four lines': [({ host, token }) => `1\n${host}\n${token}\n1\n`, 'ripe'],
  'a start that is no number': [({ pid, host }) => `${pid}\n${host}\nx\n`, 'ripe'],
  'more than a record': [({ host }) => `${deadPid()}\n${host}\n${'1'.repeat(1100)}\n`, 'ripe'],
}

/** How long a malformed record has to stay the same, in milliseconds. */
const RIPE = 2000

describe('a record of soft-file, as SoftFileLock has it', { concurrency: 8 }, () => {
  for (const [what, [content, taken]] of Object.entries(RECORDS)) {
    test(`${what}: taken ${taken}`, PEERS.SoftFileLock.options, async (t) => {
      const record = content(await recordOf(t))
      const { file, lock, entry } = scene(t, 'soft-file')
      const theirFile = newPath(t, 'soft-file')
      const python = talkerOf(t, 'SoftFileLock', theirFile)
      for (const each of [file, theirFile]) fs.writeFileSync(each, record)
      assert.equal(await python.ask('try'), String(taken === 'at once'), 'theirs')
      assert.equal(await lock.tryAcquire(), taken === 'at once', 'ours')
      if (taken !== 'ripe') return
      const start = performance.now()
      await eventually(lock.acquire(), 'the take-over')
      assert.ok(performance.now() - start >= RIPE - 500, 'it was taken too early')
      assert.notEqual(fs.readFileSync(entry, 'latin1'), record)
    })
  }

  test('another record that comes meanwhile makes the time begin anew', onUnix, async (t) => {
    const { file, lock, options } = scene(t, 'soft-file')
    fs.writeFileSync(file, '1')
    let times = 1
    const timer = setInterval(() => fs.writeFileSync(file, `${++times}`), RIPE / 10)
    await assert.rejects(lock.acquire({ timeout: 1.5 * RIPE }), { code: 'ERR_LOCK_TIMEOUT' })
    clearInterval(timer)
    assert.equal(lockFile(file, options).tryAcquireSync(), false)
  })
})

describe("a number in a file of 'dotlock' or 'pid-file'", { concurrency: 4 }, () => {
  for (const [what, protocol, content, taken] of [
    ['of a dead process', 'dotlock', () => `${deadPid()}\n`, true],
    ['of a dead process', 'pid-file', () => `${deadPid()}\n`, false],
    ['of a live process', 'dotlock', () => `${process.pid}\n`, false],
    ['of a live process', 'pid-file', () => `${process.pid}\n`, false],
    ['0', 'dotlock', () => '0\n', false],
    ['0', 'pid-file', () => '0\n', false],
    ['negative', 'dotlock', () => '-1\n', false],
    ['beyond all', 'dotlock', () => `${2n ** 70n}\n`, false],
  ]) {
    test(`${what}, of '${protocol}': ${taken ? 'taken' : 'held'}`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      const record = content()
      fs.writeFileSync(entry, record)
      assert.equal(await lock.tryAcquire(), taken)
      if (!taken) assert.equal(fs.readFileSync(entry, 'utf8'), record)
    })
  }
})
