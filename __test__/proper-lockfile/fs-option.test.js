'use strict'

// The drop-in: the option fs, which proper-lockfile calls for everything, and this package for nothing.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const gracefulFs = require(require.resolve('graceful-fs', { paths: [require.resolve('proper-lockfile')] }))
const { errorOf } = require('../support/waiting.js')
const { isThere, lockable } = require('./files.js')

test('node:fs, graceful-fs and copies of them are as good as none', async (t) => {
  const { file } = lockable(t)
  for (const each of [fs, gracefulFs, { ...fs }, undefined, null]) {
    const release = await lockfile.lock(file, { fs: each })
    assert.equal(await lockfile.check(file, { fs: each }), true)
    await release()
    lockfile.lockSync(file, { fs: each })
    await lockfile.unlock(file, { fs: each })
  }
})

test('any other is refused before anything happens', async (t) => {
  const { file, entry } = lockable(t)
  const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /'options\.fs'.*mkdir/ }
  for (const each of [{}, { ...fs, mkdir: (_, callback) => callback() }, fs.promises]) {
    for (const name of ['lock', 'unlock', 'check']) {
      const { code } = await errorOf(() => lockfile[name](file, { fs: each }))
      assert.equal(code, refused.code)
      assert.throws(() => lockfile[`${name}Sync`](file, { fs: each }), refused)
    }
  }
  assert.equal(isThere(entry), false)
})
