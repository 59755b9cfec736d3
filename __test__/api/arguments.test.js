'use strict'

// Options: which are good, and that a bad one is refused before anything happens.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree, locked } = require('../support/locks.js')
const { eventually, staysPending } = require('../support/waiting.js')
const { FORMS, HANDLE_OPTIONS, outcomeOf } = require('./forms.js')
const { OPTIONS } = require('./values.js')

const RANGE = { Type: RangeError, code: 'ERR_OUT_OF_RANGE' }
const TYPE = { Type: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const VALUE = { Type: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
const KINDS = Object.fromEntries([RANGE, TYPE, VALUE].map((kind) => [kind.code, kind]))

/** Every function that takes options. */
const ALL_FORMS = {
  lockFile: { call: (lock, options) => lockFile(lock.path, options), known: HANDLE_OPTIONS, sync: true },
  ...FORMS,
}

/** A value, for the message of a failure. */
function show(value) {
  try {
    return inspect(value)
  } catch (error) {
    return error.message
  }
}

/** `call` fails with such an error, by throwing if `sync`, else by a rejection, and leaves nothing behind. */
async function refuses(lock, call, { sync = false, Type, code, names }, what = names) {
  const { error, thrown } = await outcomeOf(call)
  assert.ok(error instanceof Type, `${what}: ${error?.stack}`)
  assert.deepEqual([thrown, error.code, error.name], [sync, code, Type.name], what)
  assert.ok(error.message.includes(names), `${what}: ${error.message}`)
  assert.equal(lock.held, false, what)
  assert.deepEqual(fs.readdirSync(path.dirname(lock.path)), [], what)
}

for (const [form, { call, known, sync = false }] of Object.entries(ALL_FORMS)) {
  describe(form, () => {
    /** The form with these options is refused with an error that `names` something. */
    const refusesOptions = (lock, options, kind, names) =>
      refuses(lock, () => call(lock, options), { ...kind, sync, names }, `${form}(${show(options)})`)

    for (const name of known) {
      test(`${form} refuses a bad ${name} before anything happens`, async (t) => {
        const lock = lockFile(temporaryPath(t))
        const { bad, problem } = OPTIONS[name]
        for (const value of bad) await refusesOptions(lock, { [name]: value }, KINDS[problem(value)], name)
        assert.ok(await isFree(lock.path))
      })
    }

    test(`${form} refuses options that it does not know`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      const foreign = Object.keys(OPTIONS).filter((name) => !known.includes(name))
      for (const name of [...foreign, 'Timeout', 'retries', 'constructor', '0']) {
        await refusesOptions(lock, { [name]: foreign.includes(name) ? OPTIONS[name].good[0] : 1 }, VALUE, name)
      }
      await refusesOptions(lock, { [known[0]]: OPTIONS[known[0]].good[0], retries: 3 }, VALUE, 'retries')
      assert.ok(await isFree(lock.path))
    })

    const takesNumbers = ['acquire', 'acquireSync', 'run'].includes(form)

    test(`${form} refuses options that are no object`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      const numbers = takesNumbers ? [] : [5, 0, NaN]
      for (const options of [...numbers, null, '', 'shared', true, false, 5n, Symbol('options'), () => {}]) {
        await refusesOptions(lock, options, TYPE, 'options')
      }
      assert.ok(await isFree(lock.path))
    })

    test(`${form} takes each of its options, and undefined for as good as none`, async (t) => {
      const file = temporaryPath(t)
      const undefinedOptions = Object.fromEntries(known.map((name) => [name, undefined]))
      const choices = known.map((name) => ({ [name]: OPTIONS[name].good[0] }))
      for (const options of [undefined, {}, undefinedOptions, ...choices]) {
        const lock = lockFile(file)
        t.after(() => lock[Symbol.dispose]())
        const { error } = await outcomeOf(() => call(lock, options))
        assert.equal(error, undefined, `${form}(${show(options)})`)
        assert.equal(lock.held, form !== 'lockFile' && form !== 'run')
        lock[Symbol.dispose]()
      }
    })

    if (!takesNumbers) return
    test(`${form} takes a number for the timeout in milliseconds, and refuses one that is no timeout`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      for (const timeout of [NaN, -1, -0.001, -Infinity]) await refusesOptions(lock, timeout, RANGE, '"timeout"')
      const holder = locked(t, lock.path)
      for (const timeout of [0, 5, 0.5]) {
        const { error, thrown } = await outcomeOf(() => call(lockFile(lock.path), timeout))
        assert.equal(thrown, sync)
        assert.deepEqual([error.code, error.timeout], ['ERR_LOCK_TIMEOUT', timeout], error.stack)
      }
      holder.release()
      for (const timeout of [0, 5, Infinity]) {
        const { error } = await outcomeOf(() => call(lock, timeout))
        assert.equal(error, undefined)
        lock[Symbol.dispose]()
      }
    })
  })
}

test('a task that is no function is refused before the lock is acquired', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (const task of [undefined, null, 'build', 5, {}, Promise.resolve(), Symbol('task')]) {
    for (const options of [undefined, { timeout: 0 }]) {
      await refuses(lock, () => lock.run(task, options), { ...TYPE, names: 'task' }, `run(${inspect(task)})`)
    }
  }
  assert.ok(await isFree(lock.path))
})

/** A signal as the package abort-controller makes it. */
class PolyfillSignal {
  aborted = false
  addEventListener() {}
  removeEventListener() {}
}

test('an unknown option is refused with what was probably meant, and with the list of all options', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const all = 'Its options are timeout, mode, signal'
  const { signal } = new AbortController()
  const cases = [
    [{ timeOut: 5 }, `did you mean 'timeout'? ${all}`],
    [{ tiemout: 5 }, `did you mean 'timeout'? ${all}`],
    [{ Mode: 'shared' }, `did you mean 'mode'? ${all}`],
    [{ signals: 1 }, `did you mean 'signal'? ${all}`],
    [{ retries: 5 }, `is not an option of this function. ${all}`],
    [{ ['x'.repeat(100_000)]: 5 }, all],
    [signal, `did you mean { signal }? ${all}`],
    [new PolyfillSignal(), `did you mean { signal }? ${all}`],
    [new AbortController(), `did you mean { signal: controller.signal }? ${all}`],
  ]
  for (const [options, names] of cases) {
    await refuses(lock, () => lock.acquire(options), { ...VALUE, names })
    await refuses(lock, () => lock.run(() => {}, options), { ...VALUE, names })
  }
  const notASignal = { ...VALUE, sync: true, names: 'not a signal. Its options are timeout, mode' }
  await refuses(lock, () => lock.acquireSync(signal), notASignal)
  const number = { ...TYPE, sync: true, names: 'did you mean { timeout }? Its options are timeout, mode, fileMode' }
  await refuses(lock, () => lockFile(lock.path, 5000), number)
})

test('an option that is undefined leaves the default of the handle', async (t) => {
  const file = temporaryPath(t)
  const holder = locked(t, file, { mode: 'shared' })
  const lock = lockFile(file, { timeout: 0, mode: 'shared' })
  const unset = { timeout: undefined, mode: undefined }

  await eventually(lock.acquire({ ...unset, signal: undefined }), 'a second shared lock')
  lock.release()
  lock.acquireSync(unset).release()
  assert.equal(await lock.tryAcquire({ mode: undefined }), true)
  lock.release()

  holder.release()
  holder.acquireSync()
  const refused = lock.acquire(unset)
  await assert.rejects(eventually(refused, 'the timeout of 0'), { code: 'ERR_LOCK_TIMEOUT', timeout: 0 })
  assert.throws(() => lock.acquireSync(unset), { code: 'ERR_LOCK_TIMEOUT', timeout: 0 })
})

test('options of a handle that are undefined are the defaults', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, Object.fromEntries(HANDLE_OPTIONS.map((name) => [name, undefined])))
  lock.acquireSync()
  fs.writeFileSync(`${file}.umask`, '')
  assert.equal(fs.statSync(file).mode, fs.statSync(`${file}.umask`).mode)
  assert.equal(await lockFile(file).tryAcquire({ mode: 'shared' }), false)
  const next = lock.acquire()
  assert.ok(await staysPending(next))
  lock.release()
  await eventually(next, 'the second acquisition')
  lock.release()
  assert.ok(fs.existsSync(file))
})

test('options may be those of a class, and what is added to all objects is none', async (t) => {
  class Settings {
    get timeout() {
      return 5
    }
  }
  const file = temporaryPath(t)
  locked(t, file)
  assert.throws(() => lockFile(file, new Settings()).acquireSync(), { code: 'ERR_LOCK_TIMEOUT' })
  assert.throws(() => lockFile(file).acquireSync(new Settings()), { code: 'ERR_LOCK_TIMEOUT' })
  await assert.rejects(lockFile(file).acquire(new Settings()), { code: 'ERR_LOCK_TIMEOUT' })

  Object.prototype.added = 1
  t.after(() => delete Object.prototype.added)
  assert.throws(() => lockFile(file, {}).acquireSync({ timeout: 5 }), { code: 'ERR_LOCK_TIMEOUT' })
})
