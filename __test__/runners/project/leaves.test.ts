// Copied: each copy ends with a lock held that it acquired outside of a test, and tells whether it got that.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { lockFile } from '@locket/native'
import { beforeAll, test } from './runner.js'

const lock = lockFile(path.join(process.env.LOCKS, 'left.lock'))
const outcome = { acquired: false }

beforeAll(async () => {
  outcome.acquired = await lock.tryAcquire()
  fs.appendFileSync(path.join(process.env.LOCKS, 'left.txt'), `${outcome.acquired}\n`)
})

test('holds what was acquired before the first test', () => assert.equal(lock.held, outcome.acquired))

test('still holds it in the next test', () => assert.equal(lock.held, outcome.acquired))
