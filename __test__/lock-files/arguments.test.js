'use strict'

// Bad arguments: refused before anything happens, as Node refuses them.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFiles } = require('../..')
const { temporaryPaths } = require('../support/folders.js')

const PATHS = [
  [undefined, 'ERR_INVALID_ARG_TYPE', /"paths" argument must be an instance of Array\. Received undefined/],
  ['file', 'ERR_INVALID_ARG_TYPE', /"paths" argument .* Received 'file'/],
  [new Set(['file']), 'ERR_INVALID_ARG_TYPE', /"paths"/],
  [[], 'ERR_INVALID_ARG_VALUE', /'paths' must not be empty/],
  [[undefined], 'ERR_INVALID_ARG_TYPE', /"paths\[0\]"/],
  [['a', 1], 'ERR_INVALID_ARG_TYPE', /"paths\[1\]" argument must be of type string/],
  [['a', null], 'ERR_INVALID_ARG_TYPE', /"paths\[1\]"/],
  [['a', {}], 'ERR_INVALID_ARG_TYPE', /"paths\[1\]"/],
  [['a', ''], 'ERR_INVALID_ARG_VALUE', /'paths\[1\]' must not be empty/],
  [['a', 'b\0'], 'ERR_INVALID_ARG_VALUE', /'paths\[1\]' .* null bytes/],
  // biome-ignore lint/suspicious/noSparseArray: it is the subject
  [['a', , 'b'], 'ERR_INVALID_ARG_TYPE', /"paths\[1\]"/],
  [[{ path: 1 }], 'ERR_INVALID_ARG_TYPE', /"paths\[0\]\.path"/],
  [[{ path: '' }], 'ERR_INVALID_ARG_VALUE', /'paths\[0\]\.path'/],
  [[{ path: 'a', mode: 'write' }], 'ERR_INVALID_ARG_VALUE', /'paths\[0\]\.mode' must be one of: 'exclusive', 'shared'/],
  [[{ path: 'a', timeout: 1 }], 'ERR_INVALID_ARG_VALUE', /'paths\[0\]\.timeout'/],
]

for (const [paths, code, message] of PATHS) {
  test(`paths that are refused: ${require('node:util').inspect(paths)}`, () => {
    assert.throws(() => lockFiles(paths), { code, message })
  })
}

const REFUSED = { code: /^ERR_(?:INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/ }

test('options that are refused', async (t) => {
  const paths = temporaryPaths(t, 'a', 'b')
  for (const [options, code] of [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [5, 'ERR_INVALID_ARG_TYPE'],
    [{ timeout: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ mode: 'write' }, 'ERR_INVALID_ARG_VALUE'],
    [{ unknown: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ protocol: 'none' }, 'ERR_INVALID_ARG_VALUE'],
    [{ signal: AbortSignal.abort() }, 'ERR_INVALID_ARG_VALUE'],
  ]) {
    assert.throws(() => lockFiles(paths, options), { code }, String(options))
  }
  const locks = lockFiles(paths)
  for (const bad of [NaN, -1, { timeout: NaN }, { mode: 1 }, { signal: {} }, { other: 1 }, 'text']) {
    await assert.rejects(locks.acquire(bad), REFUSED)
    await assert.rejects(
      locks.run(() => assert.fail('the task ran'), bad),
      REFUSED,
    )
    assert.throws(() => locks.acquireSync(bad), REFUSED)
  }
  for (const bad of [{ timeout: 1 }, 1]) {
    await assert.rejects(locks.tryAcquire(bad), REFUSED)
    assert.throws(() => locks.tryAcquireSync(bad), REFUSED)
  }
  assert.throws(() => locks.acquireSync({ signal: AbortSignal.abort() }), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(locks.run('task'), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.equal(locks.held, false)
})

test('a shared mode and a protocol without shared locks are an error of the call, and nothing is held', async (t) => {
  const [a, b] = temporaryPaths(t, 'a', 'b')
  const locks = lockFiles([a, { path: b, mode: 'shared' }], { protocol: 'lockfile' })
  await assert.rejects(locks.acquire(), { code: 'ERR_LOCK_UNSUPPORTED', path: b })
  assert.throws(() => locks.tryAcquireSync(), { code: 'ERR_LOCK_UNSUPPORTED', path: b })
  assert.equal(await lockFiles([a, b], { protocol: 'lockfile' }).isLocked(), false)
})
