'use strict'

// What the functions do with bad arguments, which is nothing, and which paths and options are good.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { pathToFileURL } = require('node:url')
const { inspect } = require('node:util')
const v8 = require('node:v8')
const { runInNewContext } = require('node:vm')
const { MessageChannel, Worker } = require('node:worker_threads')

const { FileLock, lockFile } = require('..')
const { eventually, isFree, script, staysPending, temporaryFolder, temporaryPath } = require('./support.js')

const TYPE = { Type: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const VALUE = { Type: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
const RANGE = { Type: RangeError, code: 'ERR_OUT_OF_RANGE' }

const onLinux = { skip: process.platform !== 'linux' && 'only Linux has such file names' }
const onUnix = { skip: process.platform === 'win32' && 'Windows resolves .. before it looks' }

/** Every function that takes options: how it is called, whether it answers with a promise, and what it knows. */
const FORMS = {
  lockFile: {
    call: (lock, options) => lockFile(lock.path, options),
    options: ['timeout', 'mode', 'fileMode', 'removeOnRelease', 'allowDirectory'],
  },
  acquire: { call: (lock, options) => lock.acquire(options), async: true, options: ['timeout', 'mode', 'signal'] },
  acquireSync: { call: (lock, options) => lock.acquireSync(options), options: ['timeout', 'mode'] },
  tryAcquire: { call: (lock, options) => lock.tryAcquire(options), async: true, options: ['mode', 'signal'] },
  tryAcquireSync: { call: (lock, options) => lock.tryAcquireSync(options), options: ['mode'] },
  run: { call: (lock, options) => lock.run(() => {}, options), async: true, options: ['timeout', 'mode', 'signal'] },
}

const GOOD = {
  timeout: 1000,
  mode: 'shared',
  signal: new AbortController().signal,
  fileMode: 0o600,
  removeOnRelease: true,
  allowDirectory: true,
}

/** A value, for the message of a failure. */
function show(value) {
  try {
    return inspect(value)
  } catch (error) {
    return error.message
  }
}

/** The functions whose options may be the timeout alone. */
const TAKE_NUMBERS = ['acquire', 'acquireSync', 'run']

const BAD = {
  timeout: [
    [RANGE, [NaN, -1, -0.001, -Infinity]],
    [TYPE, ['5', '', null, 5n, true, {}, [5], Symbol('5')]],
  ],
  mode: [[VALUE, ['write', 'Exclusive', 'exclusive ', '', 'toString', null, 1, true, ['shared']]]],
  signal: [
    [
      TYPE,
      [null, true, 'abort', {}, { aborted: false, addEventListener() {} }, new AbortController(), new EventTarget()],
    ],
    // What has the methods of a signal, but is none: to ask it would be an ERR_INVALID_THIS.
    [TYPE, [Object.create(AbortSignal.prototype), AbortSignal.prototype]],
    [
      TYPE,
      [
        { aborted: 'no', addEventListener() {}, removeEventListener() {} },
        { addEventListener() {}, removeEventListener() {} },
      ],
    ],
  ],
  fileMode: [
    [RANGE, [NaN, -1, 0.5, 0o10000, 2 ** 32, Infinity]],
    [TYPE, ['644', null, 6n, true]],
  ],
  removeOnRelease: [[TYPE, [null, 0, 1, 'true', {}]]],
  allowDirectory: [[TYPE, [null, 0, 1, 'true', {}]]],
}

/** A signal that is none of this realm's classes, and what fires it: as the package abort-controller makes them. */
function polyfill() {
  const listeners = new Set()
  class Signal {
    #aborted = false
    get aborted() {
      return this.#aborted
    }
    fire() {
      this.#aborted = true
      for (const listener of [...listeners]) listener.call(this, { type: 'abort' })
    }
    addEventListener(type, listener) {
      if (type === 'abort') listeners.add(listener)
    }
    removeEventListener(_type, listener) {
      listeners.delete(listener)
    }
  }
  const signal = new Signal()
  return { signal, listeners, abort: () => signal.fire() }
}

/** What a call did, and with which value. */
async function outcomeOf(call) {
  let result
  try {
    result = call()
  } catch (error) {
    return ['threw', error]
  }
  if (!(result instanceof Promise)) return ['returned', result]
  try {
    return ['resolved', await result]
  } catch (error) {
    return ['rejected', error]
  }
}

/** `call` must fail with such an error, by a rejection or by throwing, and leave nothing behind in the folder. */
async function refuses(lock, call, { rejects, Type, code, names }, message) {
  const [how, error] = await outcomeOf(call)
  assert.equal(how, rejects ? 'rejected' : 'threw', message)
  assert.ok(error instanceof Type, `${message}: ${error.stack}`)
  assert.equal(error.code, code, message)
  assert.equal(error.name, Type.name, message)
  if (names !== undefined) assert.ok(error.message.includes(names), `${message}: ${error.message}`)
  assert.equal(lock.held, false, message)
  assert.deepEqual(fs.readdirSync(path.dirname(lock.path)), [], message)
}

for (const [form, { call, async: rejects = false, options: known }] of Object.entries(FORMS)) {
  describe(form, () => {
    for (const name of known) {
      test(`${form} refuses a bad ${name} before anything happens`, async (t) => {
        const lock = lockFile(temporaryPath(t))
        for (const [kind, values] of BAD[name]) {
          for (const value of values) {
            const expected = { ...kind, rejects, names: name }
            await refuses(lock, () => call(lock, { [name]: value }), expected, `${form}({ ${name}: ${show(value)} })`)
          }
        }
        assert.ok(await isFree(lock.path))
      })
    }

    test(`${form} refuses options that it does not know`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      const foreign = Object.keys(GOOD).filter((name) => !known.includes(name))
      for (const name of [...foreign, 'Timeout', 'retries', 'constructor', '0']) {
        const options = { [name]: GOOD[name] ?? 1 }
        await refuses(
          lock,
          () => call(lock, options),
          { ...VALUE, rejects, names: name },
          `${form}(${inspect(options)})`,
        )
      }
      const mixed = { [known[0]]: GOOD[known[0]], retries: 3 }
      await refuses(
        lock,
        () => call(lock, mixed),
        { ...VALUE, rejects, names: 'retries' },
        `${form}(${inspect(mixed)})`,
      )
      assert.ok(await isFree(lock.path))
    })

    test(`${form} refuses options that are no object`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      const numbers = TAKE_NUMBERS.includes(form) ? [] : [5, 0, NaN]
      for (const options of [...numbers, null, '', 'shared', true, false, 5n, Symbol('options'), () => {}]) {
        await refuses(
          lock,
          () => call(lock, options),
          { ...TYPE, rejects, names: 'options' },
          `${form}(${inspect(options)})`,
        )
      }
      assert.ok(await isFree(lock.path))
    })

    test(`${form} takes each of its options, and undefined for as good as none`, async (t) => {
      const file = temporaryPath(t)
      const undefinedOptions = Object.fromEntries(known.map((name) => [name, undefined]))
      const choices = known.map((name) => ({ [name]: GOOD[name] }))
      for (const options of [undefined, {}, undefinedOptions, ...choices]) {
        const lock = lockFile(file)
        t.after(() => lock[Symbol.dispose]())
        const [how] = await eventually(
          outcomeOf(() => call(lock, options)),
          `${form}(${inspect(options)})`,
        )
        assert.equal(how, rejects ? 'resolved' : 'returned', `${form}(${inspect(options)})`)
        assert.equal(lock.held, form !== 'lockFile' && form !== 'run')
        if (lock.held) lock.release()
      }
    })
  })
}

test('a task that is no function is refused before the lock is acquired', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (const task of [undefined, null, 'build', 5, {}, Promise.resolve(), Symbol('task')]) {
    const expected = { ...TYPE, rejects: true, names: 'task' }
    await refuses(lock, () => lock.run(task), expected, `run(${inspect(task)})`)
    await refuses(lock, () => lock.run(task, { timeout: 0 }), expected, `run(${inspect(task)}, { timeout: 0 })`)
  }
  assert.ok(await isFree(lock.path))
})

for (const form of TAKE_NUMBERS) {
  const { call, async: rejects = false } = FORMS[form]

  test(`${form} takes a number for the timeout in milliseconds`, async (t) => {
    const file = temporaryPath(t)
    const holder = lockFile(file).acquireSync()
    t.after(() => holder[Symbol.dispose]())
    for (const timeout of [0, 5, 0.5]) {
      const [how, error] = await eventually(
        outcomeOf(() => call(lockFile(file), timeout)),
        `${form}(${timeout})`,
      )
      assert.equal(how, rejects ? 'rejected' : 'threw')
      assert.deepEqual([error.code, error.timeout], ['ERR_LOCK_TIMEOUT', timeout], error.stack)
    }
    holder.release()
    for (const timeout of [0, 5, Infinity]) {
      const lock = lockFile(file, { mode: 'shared' })
      const [how] = await outcomeOf(() => call(lock, timeout))
      assert.equal(how, rejects ? 'resolved' : 'returned')
      lock[Symbol.dispose]()
    }
  })

  test(`${form} refuses a number that is no timeout`, async (t) => {
    const lock = lockFile(temporaryPath(t))
    for (const timeout of [NaN, -1, -0.001, -Infinity]) {
      await refuses(lock, () => call(lock, timeout), { ...RANGE, rejects, names: '"timeout"' }, `${form}(${timeout})`)
    }
  })
}

test('an unknown option is refused with what was probably meant, and with the list of all options', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const all = 'Its options are timeout, mode, signal'
  const cases = [
    [{ timeOut: 5 }, `did you mean 'timeout'? ${all}`],
    [{ tiemout: 5 }, `did you mean 'timeout'? ${all}`],
    [{ Mode: 'shared' }, `did you mean 'mode'? ${all}`],
    [{ signals: 1 }, `did you mean 'signal'? ${all}`],
    [{ retries: 5 }, `is not an option of this function. ${all}`],
    [{ ['x'.repeat(100_000)]: 5 }, all],
    [new AbortController().signal, `did you mean { signal }? ${all}`],
    [polyfill().signal, `did you mean { signal }? ${all}`],
    [new AbortController(), `did you mean { signal: controller.signal }? ${all}`],
  ]
  for (const [options, names] of cases) {
    await refuses(lock, () => lock.acquire(options), { ...VALUE, rejects: true, names }, names)
    await refuses(lock, () => lock.run(() => {}, options), { ...VALUE, rejects: true, names }, names)
  }
  const sync = { ...VALUE, rejects: false, names: 'not a signal. Its options are timeout, mode' }
  await refuses(lock, () => lock.acquireSync(new AbortController().signal), sync, 'acquireSync(signal)')
  const number = { ...TYPE, rejects: false, names: 'did you mean { timeout }? Its options are timeout, mode, fileMode' }
  await refuses(lock, () => lockFile(lock.path, 5000), number, 'lockFile(path, 5000)')
})

test('new FileLock() makes the same as lockFile()', async (t) => {
  const file = temporaryPath(t)
  class Derived extends FileLock {
    get name() {
      return 'derived'
    }
  }
  for (const lock of [new FileLock(file), new Derived(file, { timeout: 5 }), Reflect.construct(FileLock, [file])]) {
    assert.ok(lock instanceof FileLock)
    assert.equal(lock.path, file)
    await lock.acquire()
    assert.equal(await isFree(file), false)
    lock.release()
  }
  const lock = lockFile(temporaryPath(t))
  await refuses(lock, () => new FileLock(), { ...TYPE, rejects: false, names: 'path' }, 'new FileLock()')
  await refuses(lock, () => new FileLock(file, { wait: 5 }), { ...VALUE, rejects: false, names: 'wait' }, 'wait')
})

test('a method without its handle is refused, and says how to call it', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const methods = ['acquire', 'acquireSync', 'tryAcquire', 'tryAcquireSync', 'release', 'run', 'isLocked', 'holders']
  const rejecting = ['acquire', 'tryAcquire', 'run', 'isLocked', 'holders']
  for (const name of methods) {
    const method = lock[name]
    for (const foreign of [undefined, null, 5, {}, Object.create(lock), new Proxy(lock, {})]) {
      const expected = {
        Type: TypeError,
        code: 'ERR_INVALID_THIS',
        rejects: rejecting.includes(name),
        names: 'as a method',
      }
      await refuses(lock, () => method.call(foreign, () => {}), expected, `${name} of ${inspect(foreign)}`)
    }
  }
  for (const name of ['path', 'held', 'lost']) {
    assert.throws(() => FileLock.prototype[name], { name: 'TypeError', code: 'ERR_INVALID_THIS' })
  }
  assert.throws(() => FileLock.prototype[Symbol.dispose](), { name: 'TypeError', code: 'ERR_INVALID_THIS' })
  await assert.rejects(FileLock.prototype[Symbol.asyncDispose](), { name: 'TypeError', code: 'ERR_INVALID_THIS' })
})

test('a handle cannot be cloned, posted to a thread, or given to a new one', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  const ways = [
    () => structuredClone(lock),
    () => structuredClone({ deep: [lock] }),
    () => port2.postMessage(lock),
    () => new Worker('', { eval: true, workerData: lock }),
    () => v8.serialize(lock),
  ]
  for (const clone of ways) {
    assert.throws(clone, /a FileLock cannot be cloned: call lockFile\(path\) where it is needed/, String(clone))
  }
})

test('a handle shows its path and whether it is held', async (t) => {
  const lock = lockFile(temporaryPath(t))
  assert.equal(inspect(lock), `FileLock { path: '${lock.path}', held: false }`)
  await lock.run(() => assert.match(inspect([lock]), /FileLock \{.*held: true/s))
})

test('a path that is no path is refused', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const folder = path.dirname(lock.path)
  const bad = [
    [VALUE, ['', Buffer.alloc(0), '\0', `${folder}/a\0b`, Buffer.from(`${folder}/a\0b`), Buffer.from([0xff, 0])]],
    [VALUE, [new URL(`${pathToFileURL(folder)}/a%00b`)]],
    [TYPE, [undefined, null, 5, NaN, 5n, true, {}, [lock.path], Symbol('path'), () => lock.path]],
    [TYPE, [{ href: 'file:///x' }, new DataView(new ArrayBuffer(4))]],
  ]
  for (const [kind, values] of bad) {
    for (const value of values) {
      const expected = { ...kind, rejects: false, names: 'path' }
      await refuses(lock, () => lockFile(value), expected, `lockFile(${inspect(value)})`)
      await refuses(lock, () => lockFile(value, { timeout: 0 }), expected, `lockFile(${inspect(value)}, …)`)
    }
  }
})

test('a URL that names no file is refused as fs refuses it', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (const href of ['http://localhost/x.lock', 'https://localhost/', 'data:,x', 'node:fs', 'file:///a%2Fb.lock']) {
    const url = new URL(href)
    const { code } = (await outcomeOf(() => fs.openSync(url, 'r')))[1]
    assert.match(code, /^ERR_INVALID_(URL_SCHEME|FILE_URL_PATH)$/)
    await refuses(lock, () => lockFile(url), { Type: TypeError, code, rejects: false }, href)
  }
})

test('an option that is undefined leaves the default of the handle', async (t) => {
  const file = temporaryPath(t)
  const holder = lockFile(file).acquireSync({ mode: 'shared' })
  t.after(() => holder[Symbol.dispose]())
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

test('handle options that are undefined are the defaults', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, { timeout: undefined, mode: undefined, fileMode: undefined, removeOnRelease: undefined })
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

test('a timeout as long as one likes is a wait', async (t) => {
  const file = temporaryPath(t)
  const holder = lockFile(file)
  t.after(() => holder[Symbol.dispose]())
  const timeouts = [Infinity, Number.MAX_VALUE, 1e300, Number.MAX_SAFE_INTEGER, 2 ** 64, 2 ** 32, 2 ** 31, 2 ** 31 - 1]
  for (const timeout of timeouts) {
    const lock = lockFile(file)
    lock.acquireSync({ timeout })
    lock.release()

    holder.acquireSync()
    const waits = [lock.acquire({ timeout }), lockFile(file, { timeout }).run(() => {})]
    assert.ok(await staysPending(Promise.race(waits)), `timeout ${timeout}`)
    holder.release()
    await eventually(waits[0], `timeout ${timeout}: the lock`)
    lock.release()
    await eventually(waits[1], `timeout ${timeout}: the run`)
  }
})

test('a timeout of a fraction of a millisecond is a wait that ends', async (t) => {
  const file = temporaryPath(t)
  const holder = lockFile(file).acquireSync()
  t.after(() => holder[Symbol.dispose]())
  for (const timeout of [0.5, Number.MIN_VALUE, 0, -0]) {
    const lock = lockFile(file, { timeout })
    await assert.rejects(eventually(lock.acquire(), `timeout ${timeout}`), { code: 'ERR_LOCK_TIMEOUT', timeout })
    assert.throws(() => lock.acquireSync(), { code: 'ERR_LOCK_TIMEOUT', timeout })
  }
})

// Were the deadline looked at before the lock, a timeout of 1 would do worse than one of 0 on a busy machine.
test('a free lock is acquired however short the timeout is', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (const timeout of [0, 0.5, Number.MIN_VALUE]) {
    for (let round = 0; round < 200; round++) {
      await lock.acquire({ timeout })
      lock.release()
      lock.acquireSync({ timeout }).release()
    }
  }
})

test('a file: URL names the file that its escapes spell', async (t) => {
  const folder = temporaryFolder(t)
  const url = new URL(`${pathToFileURL(folder)}/a%20b%25%23%C3%BC+.lock`)
  const lock = lockFile(url)
  assert.equal(lock.path, path.join(folder, 'a b%#ü+.lock'))
  url.pathname = '/elsewhere'
  lock.acquireSync()
  assert.deepEqual(fs.readdirSync(folder), ['a b%#ü+.lock'])
  assert.equal(await isFree(lock.path), false)
  lock.release()
})

test('a Buffer names the same file as the string', async (t) => {
  const file = path.join(temporaryFolder(t), 'ü.lock')
  for (const bytes of [Buffer.from(file), new Uint8Array(Buffer.from(file))]) {
    const lock = lockFile(bytes)
    assert.equal(lock.path, file)
    bytes.fill(0x78)
    lock.acquireSync()
    assert.equal(await isFree(file), false)
    lock.release()
  }
  assert.deepEqual(fs.readdirSync(path.dirname(file)), ['ü.lock'])
})

test('a Buffer that is not UTF-8 names exactly its bytes', onLinux, async (t) => {
  const folder = temporaryFolder(t)
  const names = [Buffer.from('61ff2e6c6f636b', 'hex'), Buffer.from('61fe2e6c6f636b', 'hex')]
  const locks = names.map((name) => lockFile(Buffer.concat([Buffer.from(`${folder}/`), name])))
  for (const lock of locks) {
    assert.ok(path.isAbsolute(lock.path))
    await lock.acquire({ timeout: 0 })
  }
  assert.deepEqual(fs.readdirSync(folder, { encoding: 'buffer' }).sort(Buffer.compare), names.sort(Buffer.compare))
  for (const lock of locks) lock.release()
})

test('a relative path is made absolute when the handle is made, and survives chdir', async (t) => {
  const folder = temporaryFolder(t)
  const [home, elsewhere] = ['home', 'elsewhere'].map((name) => path.join(folder, name))
  fs.mkdirSync(home)
  fs.mkdirSync(elsewhere)
  const child = script(
    t,
    `const locks = ['plain.lock', './dotted.lock', '../beside.lock', Buffer.from('bytes.lock')].map((name) => lockFile(name))
     process.chdir('../elsewhere')
     for (const lock of locks) lock.acquireSync()
     console.log(JSON.stringify(locks.map((lock) => lock.path)))
     process.stdin.resume()`,
    [],
    { cwd: home },
  )
  const expected = ['plain.lock', 'dotted.lock', '../beside.lock', 'bytes.lock'].map((name) => path.join(home, name))
  assert.deepEqual(JSON.parse(await child.line()), expected)
  assert.deepEqual(fs.readdirSync(elsewhere), [])
  for (const file of expected) assert.equal(await isFree(file), false, file)
})

test('a relative Buffer that is not UTF-8 survives chdir too', onLinux, async (t) => {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'elsewhere'))
  const child = script(
    t,
    `const lock = lockFile(Buffer.from('61ff', 'hex'))
     process.chdir('elsewhere')
     lock.acquireSync()
     console.log(JSON.stringify(lock.path))`,
    [],
    { cwd: folder },
  )
  assert.ok(path.isAbsolute(JSON.parse(await child.line())))
  const found = fs.readdirSync(folder, { encoding: 'buffer' }).map((name) => name.toString('hex'))
  assert.deepEqual(found.sort(), ['61ff', Buffer.from('elsewhere').toString('hex')].sort())
  assert.deepEqual(fs.readdirSync(path.join(folder, 'elsewhere')), [])
})

test('link/../x names the file that the kernel means', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'real/deep'), { recursive: true })
  fs.symlinkSync('real/deep', path.join(folder, 'link'))
  const meant = path.join(folder, 'real/x.lock')

  // Not path.join(), which takes the two segments away.
  for (const spelling of [`${folder}/link/../x.lock`, Buffer.from(`${folder}/link/../x.lock`)]) {
    const lock = lockFile(spelling)
    assert.ok(path.isAbsolute(lock.path))
    lock.acquireSync()
    assert.equal(await isFree(meant), false)
    assert.equal(fs.statSync(lock.path).ino, fs.statSync(meant).ino)
    lock.release()
  }

  const child = script(
    t,
    `const lock = lockFile('link/../x.lock')
     process.chdir('real/deep')
     lock.acquireSync()
     console.log(JSON.stringify(lock.path))
     process.stdin.resume()`,
    [],
    { cwd: folder },
  )
  assert.ok(path.isAbsolute(JSON.parse(await child.line())))
  assert.equal(await isFree(meant), false)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['link', 'real'])
})

test('a URL of another realm, or of a polyfill, names the same file', async (t) => {
  const folder = temporaryFolder(t)
  const { href, protocol } = pathToFileURL(path.join(folder, 'a b.lock'))
  const expected = path.join(folder, 'a b.lock')
  class ForeignURL {
    href = href
    protocol = protocol
  }
  assert.equal(lockFile(new ForeignURL()).path, expected)
  // Where a test runner has put another class into the place of Node's, a URL of Node's own is the foreign one.
  const { URL } = globalThis
  globalThis.URL = class {}
  t.after(() => {
    globalThis.URL = URL
  })
  assert.equal(lockFile(pathToFileURL(expected)).path, expected)
  // What url.parse() gives is no URL, for fs neither.
  const parsed = require('node:url').parse(href)
  assert.throws(() => fs.openSync(parsed), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => lockFile(parsed), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('options may be those of a class, and what is added to all objects is none', async (t) => {
  class Settings {
    get timeout() {
      return 5
    }
  }
  const file = temporaryPath(t)
  const holder = lockFile(file).acquireSync()
  t.after(() => holder[Symbol.dispose]())
  assert.throws(() => lockFile(file, new Settings()).acquireSync(), { code: 'ERR_LOCK_TIMEOUT' })
  assert.throws(() => lockFile(file).acquireSync(new Settings()), { code: 'ERR_LOCK_TIMEOUT' })
  await assert.rejects(lockFile(file).acquire(new Settings()), { code: 'ERR_LOCK_TIMEOUT' })

  Object.prototype.added = 1
  t.after(() => delete Object.prototype.added)
  assert.throws(() => lockFile(file, {}).acquireSync({ timeout: 5 }), { code: 'ERR_LOCK_TIMEOUT' })
})

test('bytes of another realm are bytes', () => {
  const bytes = runInNewContext('new Uint8Array([0x2f, 0x61])')
  assert.equal(lockFile(bytes).path, lockFile(Buffer.from('/a')).path)
})

test('a slash at the end stays: what it names must be a folder, and so is no lock file', onUnix, async (t) => {
  const file = temporaryPath(t)
  for (const [path, kept] of [
    [`${file}/`, `${file}/`],
    [`${file}//`, `${file}/`],
    ['/', '/'],
  ]) {
    assert.equal(lockFile(path).path, kept)
  }
  await assert.rejects(lockFile(`${file}/`).acquire())
  assert.equal(fs.existsSync(file), false)
})

test('a handle that somebody has wrapped can be printed', () => {
  const lock = lockFile('x.lock')
  assert.equal(typeof inspect(new Proxy(lock, {})), 'string')
  assert.equal(typeof inspect(Object.create(lock)), 'string')
})
