'use strict'

// Whatever is passed in: it works, or is an error of the documented class and code. It never hangs, ends the process, or
// touches a file for a bad argument.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')

const { LockError, LockTimeoutError, lockFile, query } = require('../..')
const { check, fc } = require('../support/properties.js')
const { anyValue, problemsOfOptions, problemsOfPath, someOptions, somePath } = require('./values.js')
const { onUnix } = require('../support/systems.js')
const { FORMS, HANDLE_OPTIONS, outcomeOf } = require('./forms.js')

const someForm = fc.constantFrom(...Object.keys(FORMS))

/** The classes of a bad argument's errors, where they are no TypeErrors. */
const CLASSES = { ERR_OUT_OF_RANGE: RangeError, URIError }

let home
let folder

// Relative paths too shall be below a folder of the test's own.
before(() => {
  home = process.cwd()
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-fuzz-')))
  process.chdir(folder)
})

after(() => {
  process.chdir(home)
  fs.rmSync(folder, { recursive: true, force: true })
})

function assertRefused({ error }, codes) {
  const code = error?.code ?? error?.name
  assert.ok(error instanceof (CLASSES[code] ?? TypeError), error?.stack ?? 'nothing was thrown')
  assert.ok(codes.includes(code), `${code} is none of ${codes}: ${error.stack}`)
}

/** An error of the system, shaped as those of Node are. */
function assertSystemError(error, lock) {
  assert.ok(error instanceof Error && !(error instanceof LockError), error.stack)
  assert.equal(os.constants.errno[error.code], -error.errno, error.stack)
  assert.equal(typeof error.syscall, 'string')
  assert.equal(error.path, lock.path)
  assert.ok(error.message.startsWith(`${error.code}: `), error.message)
}

/** As query() tells what this process holds, and holders() who holds the lock of `lock`. */
async function assertTold(lock, mode) {
  const { held, pending } = query()
  assert.deepEqual(
    held.map((each) => ({ ...each, since: typeof each.since })),
    // What of a string no file can be named by is replaced.
    [{ path: lock.path.toWellFormed(), mode, since: 'number', threadId: 0 }],
  )
  assert.deepEqual(pending, [])
  assert.equal(await lock.isLocked(), true)
  const holders = await lock.holders()
  if (process.platform !== 'linux') return assert.deepEqual(holders, [])
  assert.deepEqual(
    holders.map((each) => ({ ...each, command: typeof each.command })),
    [{ pid: process.pid, mode, command: 'string' }],
  )
}

const assertIdle = () => assert.deepEqual(query(), { held: [], pending: [] })

const filesIn = () => fs.readdirSync(folder)

function removeFiles() {
  for (const name of fs.readdirSync(folder, { encoding: 'buffer' })) {
    fs.rmSync(Buffer.concat([Buffer.from(`${folder}/`), name]))
  }
}

test('lockFile() makes a handle of any path and options, or refuses them, and touches nothing', () =>
  check(
    fc.oneof({ weight: 5, arbitrary: somePath }, { weight: 1, arbitrary: anyValue.map((value) => () => value) }),
    someOptions(HANDLE_OPTIONS),
    async (pathIn, options) => {
      const name = pathIn(folder)
      const problems = [...problemsOfPath(name), ...problemsOfOptions(options, HANDLE_OPTIONS)]
      const outcome = await outcomeOf(() => lockFile(name, options))
      if (problems.length > 0) {
        assert.ok(outcome.thrown)
        assertRefused(outcome, problems)
      } else {
        assert.ok(path.isAbsolute(outcome.value.path), outcome.error?.stack)
        assert.equal(outcome.value.held, false)
      }
      assert.deepEqual(filesIn(), [])
      assertIdle()
    },
  ))

for (const [form, { call, known, tries = false, sync = false }] of Object.entries(FORMS)) {
  test(`${form}() of any path with any options works, or fails as documented`, onUnix, () =>
    check(somePath, someOptions(HANDLE_OPTIONS), someOptions(known), async (pathIn, defaults, options) => {
      const name = pathIn(folder)
      if ([...problemsOfPath(name), ...problemsOfOptions(defaults, HANDLE_OPTIONS)].length > 0) return
      const lock = lockFile(name, defaults)
      const problems = problemsOfOptions(options, known)
      const outcome = await outcomeOf(() => call(lock, options))
      try {
        if (problems.length > 0) {
          assert.equal(outcome.thrown, sync)
          assertRefused(outcome, problems)
          assert.deepEqual(filesIn(), [])
        } else if (outcome.error !== undefined) {
          assert.equal(outcome.thrown, sync)
          assertSystemError(outcome.error, lock)
        } else {
          assert.equal(outcome.value, tries ? true : form === 'run' ? 5 : lock)
          assert.equal(lock.held, form !== 'run')
          if (lock.held) await assertTold(lock, options?.mode ?? defaults?.mode ?? 'exclusive')
        }
      } finally {
        lock[Symbol.dispose]()
        removeFiles()
      }
      assertIdle()
    }),
  )
}

test('a lock that is held is refused as documented, whatever its path', onUnix, () =>
  check(somePath, someForm, async (pathIn, form) => {
    const name = pathIn(folder)
    if (problemsOfPath(name).length > 0) return
    const holder = lockFile(name)
    const { value } = await outcomeOf(() => holder.tryAcquireSync())
    if (!value) return
    const { call, tries = false } = FORMS[form]
    const lock = lockFile(name, { timeout: 0 })
    const outcome = await outcomeOf(() => call(lock))
    holder.release()
    removeFiles()
    if (tries) return assert.equal(outcome.value, false)
    assert.ok(outcome.error instanceof LockTimeoutError, outcome.error?.stack)
    const { code, path: named, timeout, message } = outcome.error
    assert.deepEqual({ code, named, timeout }, { code: 'ERR_LOCK_TIMEOUT', named: lock.path, timeout: 0 })
    assert.ok(message.startsWith(`Couldn't lock ${lock.path}: `), message)
    assertIdle()
  }),
)

test('isLocked() and holders() of any path answer, or fail as documented, and create nothing', onUnix, () =>
  check(somePath, async (pathIn) => {
    const name = pathIn(folder)
    if (problemsOfPath(name).length > 0) return
    const lock = lockFile(name)
    for (const [ask, nothing] of [
      [() => lock.isLocked(), false],
      [() => lock.holders(), []],
    ]) {
      const { value, error } = await outcomeOf(ask)
      if (error === undefined) assert.deepEqual(value, nothing)
      else assertSystemError(error, lock)
    }
    assert.deepEqual(filesIn(), [])
  }),
)

test('what a getter of the options throws is what the caller gets, and nothing is touched', () => {
  const names = fc.constantFrom('timeout', 'mode', 'signal', 'fileMode', 'removeOnRelease', 'allowDirectory', 'other')
  return check(someForm, names, anyValue, async (form, name, thrown) => {
    const options = {
      get [name]() {
        throw thrown
      },
    }
    const lock = lockFile(path.join(folder, 'test.lock'))
    const { call, sync = false } = FORMS[form]
    const outcome = await outcomeOf(() => call(lock, options))
    assert.deepEqual([outcome.thrown, Object.is(outcome.error, thrown)], [sync, true])
    assert.ok(await outcomeOf(() => lockFile(lock.path, options)).then(({ error }) => Object.is(error, thrown)))
    assert.deepEqual(filesIn(), [])
    assertIdle()
  })
})
