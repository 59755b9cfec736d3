'use strict'

// Paths: which are good, and that one file is one lock, however its path is spelled.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { pathToFileURL } = require('node:url')
const { inspect } = require('node:util')
const { runInNewContext } = require('node:vm')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { allQueued, isFree } = require('../support/locks.js')
const { agent, script } = require('../support/processes.js')
const { onLinux, onUnix } = require('../support/systems.js')

/** The names in a folder, in hexadecimal. */
const namesIn = (folder) =>
  fs
    .readdirSync(folder, 'buffer')
    .map((name) => name.toString('hex'))
    .sort()

const hex = (...names) => names.map((name) => Buffer.from(name).toString('hex')).sort()

test('a path that is no path is refused', (t) => {
  const folder = temporaryFolder(t)
  const values = ['', Buffer.alloc(0), '\0', `${folder}/a\0b`, Buffer.from(`${folder}/a\0b`), Buffer.from([0xff, 0])]
  const types = [undefined, null, 5, NaN, 5n, true, {}, [folder], Symbol('path'), () => folder]
  const bad = {
    ERR_INVALID_ARG_VALUE: [...values, new URL(`${pathToFileURL(folder)}/a%00b`)],
    ERR_INVALID_ARG_TYPE: [...types, { href: 'file:///x' }, new DataView(new ArrayBuffer(4))],
  }
  for (const [code, paths] of Object.entries(bad)) {
    for (const value of paths) {
      for (const options of [undefined, { timeout: 0 }]) {
        assert.throws(() => lockFile(value, options), { name: 'TypeError', code, message: /path/ }, inspect(value))
      }
    }
  }
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('a URL that names no file is refused as fs refuses it', () => {
  for (const href of ['http://localhost/x.lock', 'https://localhost/', 'data:,x', 'node:fs', 'file:///a%2Fb.lock']) {
    const url = new URL(href)
    assert.throws(
      () => fs.openSync(url, 'r'),
      ({ code }) => {
        assert.match(code, /^ERR_INVALID_(URL_SCHEME|FILE_URL_PATH)$/)
        assert.throws(() => lockFile(url), { name: 'TypeError', code })
        return true
      },
    )
  }
  // What url.parse() gives is no URL, for fs neither.
  const parsed = require('node:url').parse('file:///x')
  for (const open of [fs.openSync, lockFile]) assert.throws(() => open(parsed), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a file: URL names the file that its escapes spell, and bytes the same as a string; later changes have no effect', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'a b%#ü+.lock')
  const url = new URL(`${pathToFileURL(folder)}/a%20b%25%23%C3%BC+.lock`)
  const [buffer, bytes] = [Buffer.from(file), new Uint8Array(Buffer.from(file))]
  const locks = [url, buffer, bytes].map((each) => lockFile(each))
  url.pathname = '/elsewhere'
  buffer.fill(0x78)
  bytes.fill(0x78)
  for (const lock of locks) {
    assert.equal(lock.path, file)
    lock.acquireSync()
    assert.deepEqual(fs.readdirSync(folder), [path.basename(file)])
    assert.equal(await isFree(file), false)
    lock.release()
  }
})

test('a URL or bytes of another realm, or of a polyfill, name the same file', (t) => {
  const file = `${temporaryPath(t)} b`
  const { href, protocol } = pathToFileURL(file)
  class ForeignURL {
    href = href
    protocol = protocol
  }
  assert.equal(lockFile(new ForeignURL()).path, file)
  // Where a test runner has put another class into the place of Node's, a URL of Node's own is the foreign one.
  const { URL } = globalThis
  globalThis.URL = class {}
  t.after(() => {
    globalThis.URL = URL
  })
  assert.equal(lockFile(pathToFileURL(file)).path, file)
  assert.equal(lockFile(runInNewContext('new Uint8Array([0x2f, 0x61])')).path, lockFile(Buffer.from('/a')).path)
})

test('bytes that are not UTF-8 name exactly these bytes', onLinux, async (t) => {
  const folder = temporaryFolder(t)
  const names = ['61ff2e6c6f636b', '61fe2e6c6f636b']
  const locks = names.map((name) => lockFile(Buffer.from(`${Buffer.from(`${folder}/`).toString('hex')}${name}`, 'hex')))
  for (const lock of locks) {
    assert.ok(path.isAbsolute(lock.path))
    await lock.acquire({ timeout: 0 })
  }
  await lockedAfterChdir(t, folder, `[Buffer.from('62ff', 'hex')]`, '/')
  assert.deepEqual(namesIn(folder), [...names, '62ff'].sort())
  for (const lock of locks) lock.release()
})

/** A process in `cwd` that makes handles for `names` (JavaScript), changes its folder, and locks them. Their paths. */
async function lockedAfterChdir(t, cwd, names, elsewhere) {
  const source = `
    const locks = ${names}.map((name) => lockFile(name))
    process.chdir(${JSON.stringify(elsewhere)})
    for (const lock of locks) lock.acquireSync()
    console.log(JSON.stringify(locks.map((lock) => lock.path)))
    process.stdin.resume()`
  return JSON.parse(await script(t, source, [], { cwd }).line())
}

test('a relative path is made absolute when the handle is made, and survives chdir', async (t) => {
  const [home, elsewhere] = temporaryPaths(t, 'home', 'elsewhere')
  for (const folder of [home, elsewhere]) fs.mkdirSync(folder)
  const names = `['plain.lock', './dotted.lock', '../beside.lock', Buffer.from('bytes.lock')]`
  const expected = ['plain.lock', 'dotted.lock', '../beside.lock', 'bytes.lock'].map((name) => path.join(home, name))
  assert.deepEqual(await lockedAfterChdir(t, home, names, elsewhere), expected)
  assert.deepEqual(fs.readdirSync(elsewhere), [])
  for (const file of expected) assert.equal(await isFree(file), false, file)
})

test('so are relative bytes that are not UTF-8, in a folder whose name is not UTF-8', onLinux, async (t) => {
  const parent = temporaryFolder(t)
  const folder = Buffer.concat([Buffer.from(`${parent}/name-`), Buffer.from([0xff])])
  fs.mkdirSync(folder)
  // A process in there, which only a shell can start.
  const shell = path.join(parent, 'node')
  fs.writeFileSync(shell, `#!/bin/sh\ncd "$(printf 'name-\\377')" && exec '${process.execPath}' "$@"\n`, {
    mode: 0o755,
  })
  const { execPath } = process
  process.execPath = shell
  t.after(() => {
    process.execPath = execPath
  })
  const names = `['text.lock', Buffer.from('bytes.lock'), Buffer.from([0x62, 0xfe])]`
  const paths = await lockedAfterChdir(t, parent, names, parent)
  assert.ok(paths.every(path.isAbsolute))
  assert.deepEqual(namesIn(folder), hex('text.lock', 'bytes.lock', Buffer.from([0x62, 0xfe])))
  assert.deepEqual(namesIn(parent), hex('node', Buffer.from('6e616d652dff', 'hex')), 'another file was made')
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
  const [absolute] = await lockedAfterChdir(t, folder, `['link/../x.lock']`, 'real/deep')
  assert.ok(path.isAbsolute(absolute))
  assert.equal(await isFree(meant), false)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['link', 'real'])
})

test('a slash at the end stays: what it names must be a folder, and so is no lock file', onUnix, async (t) => {
  const file = temporaryPath(t)
  for (const [given, kept] of [
    [`${file}/`, `${file}/`],
    [`${file}//`, `${file}/`],
    ['/', '/'],
  ]) {
    assert.equal(lockFile(given).path, kept)
  }
  await assert.rejects(lockFile(`${file}/`).acquire())
  assert.equal(fs.existsSync(file), false)
})

/** A lock file in a folder, and every way to name it. */
function spellings(t) {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'real'))
  const file = path.join(folder, 'real', 'test.lock')
  fs.writeFileSync(file, '')
  fs.symlinkSync(file, path.join(folder, 'symbolic'))
  fs.symlinkSync('real', path.join(folder, 'folder'))
  fs.linkSync(file, path.join(folder, 'hard'))
  const others = {
    'the same path': file,
    'a path through the folder and back': `${folder}/real/../real/./test.lock`,
    'a path with two slashes': file.replace('/test.lock', '//test.lock'),
    'a relative path': path.relative(process.cwd(), file),
    'a symbolic link': path.join(folder, 'symbolic'),
    'a path through a linked folder': path.join(folder, 'folder', 'test.lock'),
    'a hard link': path.join(folder, 'hard'),
    'a file: URL': pathToFileURL(file),
    'a Buffer': Buffer.from(file),
  }
  return { file, others }
}

test('one file is one lock by any spelling of its path, within a process and across processes', async (t) => {
  const { file, others } = spellings(t)
  const holder = agent(t, file)
  for (const [name, spelling] of Object.entries(others)) {
    const lock = await lockFile(file).acquire()
    const other = lockFile(spelling)
    assert.equal(await other.tryAcquire(), false, name)
    assert.equal(other.tryAcquireSync(), false, name)
    assert.equal(await other.isLocked(), true, name)
    // A handle that has never asked may release it, so the spelling is known to name it.
    lockFile(spelling).release()
    assert.equal(lock.held, false, name)

    assert.equal(await holder.ask('try'), 'true')
    assert.equal(await other.tryAcquire(), false, name)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await other.tryAcquire(), true, name)
    assert.equal(await holder.ask('try'), 'false', name)
    other.release()
  }
})

test('waiters by different spellings are in one queue', async (t) => {
  const { file, others } = spellings(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waits = Object.entries(others).map(([name, spelling]) => lockFile(spelling).run(() => order.push(name)))
  await allQueued(file)
  holder.release()
  await Promise.all(waits)
  assert.deepEqual(order, Object.keys(others))
})

test('different files are different locks', async (t) => {
  const locks = temporaryPaths(t, 'first', 'second').map((file) => lockFile(file).acquire({ timeout: 0 }))
  const [first, second] = await Promise.all(locks)
  first.release()
  assert.deepEqual([first.held, second.held], [false, true])
  second.release()
})
