// The package as modules of either kind get it, by path and by name, and `using` as compilers translate it.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { describe, test } from 'node:test'
import vm from 'node:vm'

import * as byName from '@locket/native'
import {
  FileLock,
  LockError,
  LockManager,
  LockTimeoutError,
  lockFile,
  lockFiles,
  query,
  semaphore,
} from '@locket/native'
import ts from 'typescript'

import * as byPath from '../../dist/index.js'
import folders from '../support/folders.js'
import locks from '../support/locks.js'

const require = createRequire(import.meta.url)
const { ROOT, temporaryFolder, temporaryPath, temporaryPaths } = folders
const { isFree } = locks
const IMPORTED = { FileLock, LockError, LockManager, LockTimeoutError, lockFile, lockFiles, query, semaphore }
const NAMES = Object.keys(IMPORTED)

test('import and require give the same objects, by path and by name of the package', () => {
  const required = [require('@locket/native'), require('../..'), require('../../dist/index.js')]
  for (const each of required) {
    assert.equal(each, byName.default)
    assert.deepEqual(Object.keys(each).sort(), NAMES)
  }
  for (const name of NAMES) {
    assert.equal(typeof IMPORTED[name], 'function')
    for (const each of [byName, byPath, ...required]) assert.equal(each[name], IMPORTED[name])
  }
})

test('nothing else is exported, nor can be reached inside the package', () => {
  // Later versions of Node add "module.exports" to what a CommonJS module exports.
  const exported = Object.keys(byName).filter((name) => name !== 'module.exports')
  assert.deepEqual(exported.sort(), [...NAMES, 'default'].sort())
  assert.throws(() => require('@locket/native/dist/missing-binary.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
  assert.equal(require('@locket/native/package.json').name, '@locket/native')
})

test('a lock made by either import is of the class of the other', async (t) => {
  const file = temporaryPath(t)
  const lock = await byName.lockFile(file).acquire()
  assert.ok(lock instanceof require('../..').FileLock)
  await assert.rejects(byPath.lockFile(file).acquire({ timeout: 0 }), require('@locket/native').LockTimeoutError)
  lock.release()
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
  const { lockFile } = load(require.resolve('@locket/native'))
  const file = temporaryPath(t)
  for (const name of ['dispose', 'asyncDispose']) {
    // What the helper does that esbuild writes for using: const lock = await lockFile(file).acquire()
    const symbol = vm.runInContext(`Symbol.${name} || Symbol.for("Symbol.${name}")`, context)
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
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS }
    const { outputText, diagnostics } = ts.transpileModule(
      `import { lockFile } from ${JSON.stringify(ROOT)}\n${source}`,
      { compilerOptions, reportDiagnostics: true },
    )
    assert.deepEqual(diagnostics, [])
    assert.doesNotMatch(outputText, /^\s*(await )?using /m)
    const file = path.join(temporaryFolder(t), 'compiled.cjs')
    fs.writeFileSync(file, outputText)
    return require(file)
  }

  const FORMS = {
    'await using': 'await using lock = await lockFile(file).acquire()\nreturn await task(lock)',
    using: 'using lock = await lockFile(file).acquire()\nreturn await task(lock)',
    'using, sync': 'using lock = lockFile(file).acquireSync()\nreturn task(lock)',
  }

  for (const [form, body] of Object.entries(FORMS)) {
    test(`${form}: held in the block, released at its end, and only if it is still held`, async (t) => {
      const keyword = form === 'using, sync' ? '' : 'async '
      const source = `export ${keyword}function use(file: string, task: (lock: unknown) => unknown) {\n${body}\n}`
      const { use } = compiled(t, source)
      const file = temporaryPath(t)
      const other = lockFile(file)
      let seen
      const result = await use(file, (lock) => {
        seen = lock
        assert.ok(lock instanceof FileLock)
        assert.equal(lock.held, true)
        assert.equal(other.tryAcquireSync(), false)
        return 'result'
      })
      assert.equal(result, 'result')
      assert.equal(seen.held, false)
      assert.equal(await isFree(file), true)

      // The block throws: the error is passed on as it is.
      const thrown = new Error('from the block')
      const failing = async () =>
        use(file, () => {
          throw thrown
        })
      await assert.rejects(failing, (error) => error === thrown)
      assert.equal(await isFree(file), true)

      // What the block has released, and another has acquired, is left alone.
      await use(file, (lock) => {
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
    assert.deepEqual(notes, [
      [true, true],
      [true, false],
    ])
    for (const file of files) assert.equal(await isFree(file), true)
  })
})
