'use strict'

// Rules 7, 8, 10, 16 and 19: a lock and the life of the process that has it, its children, and the process as a host.

const assert = require('node:assert/strict')
const { execFile, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const { lockFile } = require('..')
const {
  eventually,
  fixture,
  isFree,
  script,
  staysPending,
  temporaryFolder,
  temporaryPath,
  Thread,
  waiterFor,
} = require('./support.js')

const ROOT = path.dirname(__dirname)
const LINUX = process.platform === 'linux'

test('a pending acquire keeps the process alive, a held lock does not', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const child = script(
    t,
    `lockFile(process.argv[1]).acquire().then(() => console.log('acquired'))
    console.log('waiting')`,
    [file],
  )
  assert.equal(await child.line(), 'waiting')
  assert.ok(await staysPending(child.exited, 100))
  lock.release()
  assert.equal(await child.line(), 'acquired')
  assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null, stderr: '' })
  assert.equal(await isFree(file), true)
})

test('a process ends when the last of its waits has been given up', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const child = script(
    t,
    `const say = (error) => console.log(error.code)
    const abortion = new AbortController()
    lockFile(process.argv[1]).acquire({ timeout: 0 }).catch(say)
    lockFile(process.argv[1]).acquire({ timeout: 200 }).catch((error) => {
      say(error)
      lockFile(process.argv[1]).acquire({ signal: abortion.signal }).catch(say)
      setTimeout(() => abortion.abort(), 10)
    })`,
    [file],
  )
  for (const code of ['ERR_LOCK_TIMEOUT', 'ERR_LOCK_TIMEOUT', 'ABORT_ERR']) assert.equal(await child.line(), code)
  assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null, stderr: '' })
  lock.release()
})

test('a lock whose handle is garbage stays held until the process ends', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const child = fixture(t, 'drops-handle.js', [file], { execArgv: ['--expose-gc'] })
  assert.equal(await child.line(), 'waiting')
  lock.release()
  assert.equal(await child.line(), 'acquired')
  assert.equal(await child.line(), 'collected')
  assert.equal(await isFree(file), false)
  const { acquired } = await waiterFor(t, file)
  child.end()
  assert.equal(await acquired, 'acquired')
})

// How a process ends after its first line of input, and what it is left with.
const ENDS = [
  { how: 'returns', source: '', code: 0 },
  { how: 'calls process.exit()', source: 'process.exit(3)', code: 3 },
  { how: 'throws', source: 'throw new Error("on purpose")', code: 1 },
  { how: 'leaves a rejection unhandled', source: 'Promise.reject(new Error("on purpose"))', code: 1 },
  { how: 'gets a SIGTERM', signal: 'SIGTERM' },
  { how: 'gets a SIGKILL', signal: 'SIGKILL' },
]

for (const { how, source, code = null, signal = null } of ENDS) {
  test(`a process that ${how} holds nothing any more`, async (t) => {
    const folder = temporaryFolder(t)
    const files = ['async', 'sync', 'shared'].map((name) => path.join(folder, name))
    const child = script(
      t,
      `const [a, b, c] = process.argv.slice(1)
      lockFile(b).acquireSync()
      Promise.all([lockFile(a).acquire(), lockFile(c).acquire({ mode: 'shared' })]).then(() => console.log('acquired'))
      process.stdin.once('data', () => {
        process.stdin.destroy()
        ${source}
      })`,
      files,
    )
    assert.equal(await child.line(), 'acquired')
    const waiters = await Promise.all(files.map((file) => waiterFor(t, file)))
    if (signal) await child.kill(signal)
    else child.say('end')
    const end = await eventually(child.exited, 'the end of the process')
    assert.deepEqual([end.code, end.signal], [code, signal])
    for (const { acquired } of waiters) assert.equal(await acquired, 'acquired')
  })
}

// With waits pending a process does not return.
for (const { how, source, code } of ENDS.filter((end) => end.code)) {
  test(`a process that ${how} with many waits pending ends with its code`, async (t) => {
    const folder = temporaryFolder(t)
    const files = Array.from({ length: 50 }, (_, i) => path.join(folder, `${i}.lock`))
    const locks = await Promise.all(files.map((file) => lockFile(file).acquire()))
    const child = script(
      t,
      `for (let i = 0; i < 1000; i++) lockFile(process.argv[1 + (i % 50)]).acquire()
      Promise.all(process.argv.slice(1).map((file) => lockFile(file).isLocked())).then(() => console.log('waiting'))
      process.stdin.once('data', () => {
        ${source}
      })`,
      files,
    )
    assert.equal(await child.line(), 'waiting')
    child.say('end')
    const end = await eventually(child.exited, 'the end of the process')
    assert.deepEqual([end.code, end.signal], [code, null])
    for (const lock of locks) lock.release()
    for (const file of files) assert.equal(await isFree(file), true)
  })
}

/** Kills the process that `pid` will give when the test ends. To be called before its parent is started. */
function killAfter(t) {
  const child = {}
  t.after(() => {
    try {
      if (child.pid) process.kill(child.pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  })
  return child
}

const isAlive = (pid) => process.kill(pid, 0)

/** The child's pid, once both have spoken: the parent and its child write to one pipe, in either order. */
async function startedChild(parent, expected) {
  const lines = [await parent.line(), await parent.line()]
  assert.ok(lines.includes(expected), lines.join())
  return Number(lines.find((line) => line !== expected))
}

const WAYS = ['spawn', 'spawn, detached', 'spawn by a shell', 'exec', 'fork']

for (const way of [...WAYS, 'spawnSync']) {
  test(`a child (${way}) does not keep the lock of a parent that is killed`, async (t) => {
    const file = temporaryPath(t)
    const child = killAfter(t)
    const parent = fixture(t, 'parent.js', [file, way, 'holding'])
    child.pid = await startedChild(parent, 'acquired')
    const { acquired } = await waiterFor(t, file)
    process.kill(parent.pid, 'SIGKILL')
    assert.equal(await acquired, 'acquired')
    assert.ok(isAlive(child.pid))
  })
}

for (const way of WAYS) {
  test(`a child (${way}) does not keep the lock that its parent releases`, async (t) => {
    const file = temporaryPath(t)
    const child = killAfter(t)
    const parent = fixture(t, 'parent.js', [file, way, 'holding'])
    child.pid = await startedChild(parent, 'acquired')
    const { acquired } = await waiterFor(t, file)
    parent.say('release')
    assert.equal(await parent.line(), 'released')
    assert.equal(await acquired, 'acquired')
    assert.ok(isAlive(child.pid))
    process.kill(child.pid, 'SIGKILL')
    parent.end()
  })
}

for (const way of WAYS) {
  test(`a child (${way}) that is started while its parent waits has no part in the lock`, async (t) => {
    const file = temporaryPath(t)
    const child = killAfter(t)
    const lock = await lockFile(file).acquire()
    const parent = fixture(t, 'parent.js', [file, way, 'waiting'])
    child.pid = await startedChild(parent, 'waiting')
    lock.release()
    assert.equal(await parent.line(), 'acquired')
    const { acquired } = await waiterFor(t, file)
    process.kill(parent.pid, 'SIGKILL')
    assert.equal(await acquired, 'acquired')
    assert.ok(isAlive(child.pid))
  })
}

test('children see no descriptor of a lock file', { skip: !LINUX && 'needs /proc' }, async (t) => {
  const folder = temporaryFolder(t)
  const held = await lockFile(path.join(folder, 'held')).acquire()
  const own = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return undefined
    }
  })
  assert.ok(own.includes(held.path), 'the descriptor of the lock that is held cannot be seen at all')

  let spawning = true
  const turns = Array.from({ length: 8 }, async (_, i) => {
    const lock = lockFile(path.join(folder, `${i % 4}`))
    while (spawning) await lock.run(() => new Promise(setImmediate))
  })
  for (let round = 0; round < 20; round++) {
    const lists = Array.from({ length: 3 }, () => promisify(execFile)('ls', ['-l', '/proc/self/fd']))
    for (const { stdout } of await Promise.all(lists)) {
      assert.match(stdout, / 1 -> /)
      assert.ok(!stdout.includes(folder), stdout)
    }
  }
  spawning = false
  await Promise.all(turns)
  held.release()
})

test('a lock is free when release() returns, even while a child is being started', async (t) => {
  const thread = new Thread(t, temporaryPath(t))
  const number = () => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const [stop, turns] = [number(), number()]
  assert.equal(await thread.ask('held'), false)
  thread.say('retake', { stop, turns })
  // On until there was enough to be seen, however little of the processor the thread gets.
  for (let i = 0; i < 100 || Atomics.load(turns, 0) < 100; i++) spawnSync(process.execPath, ['--version'])
  Atomics.store(stop, 0, 1)
  assert.equal(await thread.answer(), 0)
})

test('loading the package leaves no trace in the process, nor on the disk', async (t) => {
  const folder = temporaryFolder(t)
  const child = spawnSync(
    process.execPath,
    [
      '-e',
      `const fs = require('node:fs')
      const linux = process.platform === 'linux'
      const look = () => ({
        listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
        threads: linux && fs.readdirSync('/proc/self/task'),
        signals: linux && fs.readFileSync('/proc/self/status', 'utf8').match(/^Sig(Blk|Ign|Cgt):.*$/gm),
        files: fs.readdirSync('.'),
      })
      const before = look()
      const { lockFile } = require(${JSON.stringify(ROOT)})
      const loaded = look()
      const lock = lockFile('test.lock')
      lock.held
      console.log(JSON.stringify({ before, loaded, made: look() }))`,
    ],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, HOME: folder, TMPDIR: folder, TMP: folder, TEMP: folder } },
  )
  assert.equal(child.stderr, '')
  const { before, loaded, made } = JSON.parse(child.stdout)
  assert.deepEqual(before.files, [])
  if (LINUX) assert.equal(before.signals.length, 3)
  assert.deepEqual(loaded, before)
  assert.deepEqual(made, before)
})

test('waiting and holding add no listeners to the process', async (t) => {
  const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)])
  const file = temporaryPath(t)
  const before = listeners()
  const lock = await lockFile(file).acquire()
  const wait = lockFile(file).acquire({ signal: t.signal })
  await lock.isLocked()
  assert.deepEqual(listeners(), before)
  lock.release()
  ;(await wait).release()
  assert.deepEqual(listeners(), before)
})

/** The names of the symbols that an ELF file imports (64 bits, little-endian). */
function importsOf(elf) {
  const long = (at) => Number(elf.readBigUInt64LE(at))
  const sections = Array.from({ length: elf.readUInt16LE(60) }, (_, i) => {
    const at = long(40) + i * elf.readUInt16LE(58)
    return {
      type: elf.readUInt32LE(at + 4),
      start: long(at + 24),
      size: long(at + 32),
      link: elf.readUInt32LE(at + 40),
    }
  })
  const SHT_DYNSYM = 11
  const { start, size, link } = sections.find(({ type }) => type === SHT_DYNSYM)
  const names = []
  for (let at = start; at < start + size; at += 24) {
    const isUndefined = elf.readUInt16LE(at + 6) === 0
    const name = sections[link].start + elf.readUInt32LE(at)
    if (isUndefined) names.push(elf.toString('latin1', name, elf.indexOf(0, name)))
  }
  return names
}

test('the addon imports no function of libuv', { skip: !LINUX && 'reads ELF files' }, () => {
  const addons = fs.readdirSync(ROOT).filter((name) => name.includes('linux') && name.endsWith('.node'))
  assert.notEqual(addons.length, 0)
  for (const name of addons) {
    const imports = importsOf(fs.readFileSync(path.join(ROOT, name)))
    assert.ok(imports.includes('malloc'), imports.join())
    assert.deepEqual(
      imports.filter((symbol) => symbol.startsWith('uv_')),
      [],
    )
  }
})

test('installing the package runs nothing', () => {
  const { scripts = {}, gypfile } = require('../package.json')
  for (const name of ['preinstall', 'install', 'postinstall']) assert.equal(scripts[name], undefined)
  // npm would build with node-gyp where it finds this file.
  assert.equal(fs.existsSync(path.join(ROOT, 'binding.gyp')), false)
  assert.equal(gypfile, undefined)
})
