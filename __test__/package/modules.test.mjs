// The package as modules of either kind get it, by path and by name, and `using` as compilers translate it.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { describe, test } from 'node:test'
import vm from 'node:vm'

import * as byName from '@locket/native'
import { FileLock, LockError, LockTimeoutError, lockFile, query } from '@locket/native'
import ts from 'typescript'

import * as byPath from '../../index.js'
import {
  FileLock as FileLockByPath,
  LockError as LockErrorByPath,
  LockTimeoutError as LockTimeoutErrorByPath,
  lockFile as lockFileByPath,
} from '../../index.js'
import folders from '../support/folders.js'
import locks from '../support/locks.js'

const require = createRequire(import.meta.url)
const { ROOT, temporaryFolder, temporaryPath, temporaryPaths } = folders
const { isFree } = locks
const IMPORTED = { FileLock, LockError, LockTimeoutError, lockFile, query }
const NAMES = Object.keys(IMPORTED)

test('the names can be imported, by path and by name of the package, and are the same objects', () => {
  assert.equal(lockFile, lockFileByPath)
  assert.equal(FileLock, FileLockByPath)
  assert.equal(LockError, LockErrorByPath)
  assert.equal(LockTimeoutError, LockTimeoutErrorByPath)
})

test('require gives the same objects, by path and by name of the package', () => {
  const required = [require('@locket/native'), require('../..'), require('../../index.js')]
  for (const each of required) {
    assert.equal(each, byName.default)
    assert.deepEqual(Object.keys(each).sort(), NAMES)
    for (const name of NAMES) {
      assert.equal(typeof each[name], 'function')
      assert.equal(each[name], IMPORTED[name])
    }
  }
})

test('nothing else is exported, nor can be reached inside the package', () => {
  // Later versions of Node add "module.exports" to what a CommonJS module exports.
  const exported = Object.keys(byName).filter((name) => name !== 'module.exports')
  assert.deepEqual(exported.sort(), [...NAMES, 'default'].sort())
  assert.throws(() => require('@locket/native/lib/errors.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
  assert.equal(require('@locket/native/package.json').name, '@locket/native')
})

test('a lock made by either import is of the class of the other', async (t) => {
  const file = temporaryPath(t)
  const lock = await byName.lockFile(file).acquire()
  t.after(() => lock[Symbol.dispose]())
  assert.ok(lock instanceof require('../..').FileLock)
  await assert.rejects(byPath.lockFile(file).acquire({ timeout: 0 }), require('@locket/native').LockTimeoutError)
})

test('in a context of node:vm, disposal has the symbols that compilers look for there', async (t) => {
  // As test runners load modules: Node 20 has no Symbol.dispose in such a context.
  const context = vm.createContext({ AbortController, EventTarget, process, setTimeout, clearTimeout, URL, Buffer })
  const loaded = new Map()
  const load = (file) => {
    if (!loaded.has(file)) {
      const module = { exports: {} }
      loaded.set(file, module)
      const wrapper = `(function (module, exports, require, __dirname) {${fs.readFileSync(file, 'utf8')}\n})`
      const resolve = createRequire(file)
      const requireFrom = (name) => {
        if (name.startsWith('node:') || !/^[./]/.test(name)) return require(name)
        const found = resolve.resolve(name)
        return /\.(node|json)$/.test(found) ? require(found) : load(found)
      }
      vm.runInContext(wrapper, context)(module, module.exports, requireFrom, path.dirname(file))
    }
    return loaded.get(file).exports
  }
  const { lockFile } = load(path.join(ROOT, 'index.js'))
  const file = temporaryPath(t)
  // The helper that esbuild writes for using: const lock = await lockFile(file).acquire()
  const dispose = vm.runInContext('Symbol.dispose || Symbol.for("Symbol.dispose")', context)
  const asyncDispose = vm.runInContext('Symbol.asyncDispose || Symbol.for("Symbol.asyncDispose")', context)
  for (const symbol of [dispose, asyncDispose]) {
    const lock = await lockFile(file).acquire()
    assert.equal(await isFree(file), false)
    await lock[symbol]()
    assert.equal(await isFree(file), true)
  }
})

const withoutSymbols = Symbol.asyncDispose === undefined && 'this Node has no Symbol.asyncDispose'

describe('using, compiled', { skip: withoutSymbols }, () => {
  /** The functions that `source`, in TypeScript, exports once it is compiled to what Node 20 runs. */
  function compiled(t, source) {
    const { outputText, diagnostics } = ts.transpileModule(
      `import { lockFile } from ${JSON.stringify(ROOT)}\n${source}`,
      {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS },
        reportDiagnostics: true,
      },
    )
    assert.deepEqual(diagnostics, [])
    assert.doesNotMatch(outputText, /^\s*(await )?using /m)
    const file = path.join(temporaryFolder(t), 'compiled.cjs')
    fs.writeFileSync(file, outputText)
    return require(file)
  }

  const SOURCE = `
    export async function awaitUsing(file: string, task: (lock: unknown) => unknown) {
      await using lock = await lockFile(file).acquire()
      return await task(lock)
    }
    export async function using(file: string, task: (lock: unknown) => unknown) {
      using lock = await lockFile(file).acquire()
      return await task(lock)
    }
    export function usingSync(file: string, task: (lock: unknown) => unknown) {
      using lock = lockFile(file).acquireSync()
      return task(lock)
    }`

  for (const form of ['awaitUsing', 'using', 'usingSync']) {
    test(`${form}: held in the block, released at its end`, async (t) => {
      const file = temporaryPath(t)
      const other = lockFile(file)
      let seen
      const result = await compiled(t, SOURCE)[form](file, (lock) => {
        seen = lock
        assert.ok(lock instanceof FileLock)
        assert.equal(lock.held, true)
        assert.equal(other.tryAcquireSync(), false)
        return 'result'
      })
      assert.equal(result, 'result')
      assert.equal(seen.held, false)
      assert.equal(other.tryAcquireSync(), true)
      other.release()
    })

    test(`${form}: released when the block throws, and the error is passed on as it is`, async (t) => {
      const file = temporaryPath(t)
      const thrown = new Error('from the block')
      const block = async () =>
        compiled(t, SOURCE)[form](file, (lock) => {
          assert.equal(lock.held, true)
          throw thrown
        })
      await assert.rejects(block, (error) => error === thrown)
      assert.equal(await isFree(file), true)
    })

    test(`${form}: what the block has released, and another has acquired, is left alone`, async (t) => {
      const file = temporaryPath(t)
      const other = lockFile(file)
      await compiled(t, SOURCE)[form](file, (lock) => {
        lock.release()
        other.acquireSync({ timeout: 0 })
      })
      assert.equal(other.held, true)
      assert.equal(await isFree(file), false)
      other.release()
    })
  }

  test('several locks are released in the reverse order', async (t) => {
    const { nested } = compiled(
      t,
      `export async function nested(files: string[], note: (locks: unknown[]) => void) {
        await using first = await lockFile(files[0]).acquire()
        using between = { [Symbol.dispose]: () => note([first, second]) }
        await using second = await lockFile(files[1]).acquire()
        note([first, second])
      }`,
    )
    const files = temporaryPaths(t, 'first.lock', 'second.lock')
    const notes = []
    await nested(files, (locks) => notes.push(locks.map((lock) => lock.held)))
    assert.deepEqual(notes[0], [true, true])
    assert.deepEqual(notes[1], [true, false])
    for (const file of files) assert.equal(await isFree(file), true)
  })
})
