'use strict'

// The files of a LockManager: their names, when they go, what killed processes leave, and folders that are not as they should be.

const assert = require('node:assert/strict')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const fc = require('fast-check')

const { LockManager } = require('../..')
const { contentOf, fileOf, isHashed, nameIn, nameInContent } = require('../../lib/lock-names.js')
const { ROOT, temporaryFolder } = require('../support/folders.js')
const { GOOD_END, script } = require('../support/processes.js')
const { LINUX, needing, onUnix, WINDOWS } = require('../support/systems.js')
const { until } = require('../support/waiting.js')
const {
  filesOf,
  folderOf,
  hold,
  holderOf,
  isAvailable,
  isEmptied,
  managing,
  newFolder,
  newManager,
  rejection,
} = require('./locks.js')

/** Any string: also lone surrogates, and what file systems and shells take for something else. */
const anyName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom(...'aA%u0-_./\\:~ '), maxLength: 200 }),
)

/** A command that runs another one as a user who may do little; the superuser may write everywhere. */
const AS_NOBODY = ['setpriv', '--reuid', '65534', '--clear-groups']
const needsNobody = needing(AS_NOBODY[0], [
  ...AS_NOBODY.slice(1),
  process.execPath,
  '-e',
  `require(${JSON.stringify(ROOT)})`,
])

describe('the file of a name', () => {
  test('has a name that every file system takes, from which the name can be read', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const file = fileOf(name)
        assert.match(file, /^(?:lock-(?:[a-z0-9_-]|%[0-9a-f]{2}|%u[0-9a-f]{4})*|hash-[0-9a-f]{64})$/)
        assert.ok(file.length <= 128)
        assert.equal(isHashed(file) ? nameInContent(contentOf(name), file) : nameIn(file), name)
      }),
      { numRuns: 2000 },
    )
  })

  test('is another one for another name, also where the file system does not tell capital letters', () => {
    fc.assert(
      fc.property(anyName, anyName, (one, other) => {
        if (one !== other) assert.notEqual(fileOf(one).toUpperCase(), fileOf(other).toUpperCase())
        for (const name of [one.toLowerCase(), one.toUpperCase()]) {
          if (name !== one) assert.notEqual(fileOf(name).toLowerCase(), fileOf(one).toLowerCase())
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('is as the documentation says', () => {
    const files = {
      '': 'lock-',
      'orders_2-b': 'lock-orders_2-b',
      con: 'lock-con',
      'Mail Box': 'lock-%4dail%20%42ox',
      'a/b': 'lock-a%2fb',
      é: 'lock-%e9',
      '☃': 'lock-%u2603',
      '\ud800': 'lock-%ud800',
      '%e9': 'lock-%25e9',
    }
    for (const [name, file] of Object.entries(files)) assert.equal(fileOf(name), file)
    assert.equal(fileOf('x'.repeat(123)), `lock-${'x'.repeat(123)}`)
    for (const name of ['x'.repeat(124), 'é'.repeat(42), '\udc00'.repeat(1e6)]) {
      const hash = createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('hex')
      assert.equal(fileOf(name), `hash-${hash}`)
    }
  })

  test('that is written otherwise is none of ours', () => {
    const others = ['a', 'lock-A', 'lock-%41 ', 'lock-%61', 'lock-%E9', 'lock-%u0041', 'lock-a.b', 'lock-%', 'hash-a']
    for (const file of [...others, `hash-${'A'.repeat(64)}`, `lock-${'x'.repeat(124)}`]) {
      assert.deepEqual([nameIn(file), isHashed(file)], [undefined, false], file)
    }
    const file = fileOf('x'.repeat(200))
    for (const content of ['', '"x"', 'x', '5', '"xxx', JSON.stringify(['x'])]) {
      assert.equal(nameInContent(content, file), undefined)
    }
  })

  test('with a hash has the name as its content while the lock is held', async (t) => {
    const manager = newManager(t)
    const name = `${'\ud800é'.repeat(100)}end`
    const file = path.join(folderOf(manager), fileOf(name))
    for (const mode of ['exclusive', 'shared']) {
      const held = await hold(t, manager, name, { mode })
      assert.equal(held.lock.name, name)
      assert.equal(fs.readFileSync(file, 'utf8'), contentOf(name))
      held.release()
      await held.request
    }
    await isEmptied(folderOf(manager))
    // Something a killed process has not written to its end.
    fs.writeFileSync(file, contentOf(name).slice(0, 10))
    await hold(t, manager, name)
    assert.equal(fs.readFileSync(file, 'utf8'), contentOf(name))
  })

  test('with a hash is not written where a link, or content of its own, stands in its place', onUnix, async (t) => {
    const manager = newManager(t)
    const folder = folderOf(manager)
    fs.mkdirSync(folder)
    const name = 'x'.repeat(200)
    const file = path.join(folder, fileOf(name))
    const other = path.join(temporaryFolder(t), 'notes.txt')
    const contents = ['', 'notes', contentOf(name).slice(0, 5)]
    const ways = [(content) => fs.writeFileSync(file, content)]
    for (const link of [fs.symlinkSync, fs.linkSync]) {
      ways.push((content) => {
        fs.writeFileSync(other, content)
        link(other, file)
      })
    }
    for (const [way, put] of ways.entries()) {
      for (const content of contents) {
        fs.rmSync(file, { force: true })
        put(content)
        const isOurs = way === 0 && content !== 'notes'
        const found = await manager.request(name, () => fs.readFileSync(file, 'utf8'))
        assert.equal(found, isOurs ? contentOf(name) : content)
      }
    }
    fs.rmSync(file, { force: true })
    fs.writeFileSync(file, `${contentOf(name)}\nnotes`)
    assert.equal(await manager.request(name, () => fs.readFileSync(file, 'utf8')), `${contentOf(name)}\nnotes`)
  })

  test('excludes: all kinds of names are locks of their own', async (t) => {
    const manager = newManager(t)
    const names = [
      '',
      'a',
      'A',
      'é',
      'É',
      'con',
      '\ud800',
      '\ufffd',
      'x'.repeat(1000),
      'x'.repeat(1001),
      'a/b',
      '..',
      '%61',
      '\0',
    ]
    for (const name of names) assert.equal((await hold(t, manager, name)).lock.name, name)
    for (const name of names) assert.equal(await isAvailable(manager, name), false, name)
    assert.equal(filesOf(folderOf(manager)).length, names.length)
  })
})

describe('files go when nobody uses them', () => {
  test('10,000 names at once leave an empty folder', async (t) => {
    const manager = newManager(t)
    const names = Array.from({ length: 10_000 }, (_, i) => `Job ${i} of ${'many '.repeat(i % 40)}`)
    const granted = await Promise.all(names.map((name) => manager.request(name, (lock) => lock.name)))
    assert.deepEqual(granted, names)
    await isEmptied(folderOf(manager))
  })

  test('also if the process ends right after, or holds some at its end', async (t) => {
    for (const end of ['process.stdin.destroy()', 'process.exit()', 'hold("held").then(() => process.exit())']) {
      const folder = newFolder(t)
      const source = `
        const names = Array.from({ length: 2000 }, (_, i) => 'job ' + i)
        const often = async () => { for (let i = 0; i < 100; i++) await manager.request('often', () => {}) }
        Promise.all([often(), ...names.map((name) => manager.request(name, () => {}))]).then(() => ${end})`
      assert.deepEqual(await managing(t, folder, source).ended(), GOOD_END)
      assert.deepEqual(filesOf(folder), [], end)
    }
  })

  test('one that is requested again and again goes a moment after the last request', async (t) => {
    const manager = newManager(t)
    for (let i = 0; i < 100; i++) await manager.request('often', () => {})
    for (let i = 0; i < 100; i++) await manager.request('often', { mode: 'shared' }, () => {})
    await isEmptied(folderOf(manager))
  })

  test('one that another process uses stays until that has ended, too', async (t) => {
    const manager = newManager(t)
    const folder = folderOf(manager)
    const holders = [
      await holderOf(t, folder, 'a', { mode: 'shared' }),
      await holderOf(t, folder, 'a', { mode: 'shared' }),
    ]
    await manager.request('a', { mode: 'shared' }, () => {})
    await holders[0].kill()
    assert.equal(await isAvailable(manager, 'a'), false)
    assert.deepEqual(filesOf(folder), ['lock-a'])
    await holders[1].kill()
    await manager.request('a', () => {})
    await isEmptied(folder)
  })
})

describe('files that killed processes have left', () => {
  /** A folder in which a process was killed that held locks. Other files are there, too. */
  async function leftovers(t) {
    const folder = newFolder(t)
    const long = 'x'.repeat(200)
    const names = [...Array.from({ length: 100 }, (_, i) => `job ${i}`), long]
    const source = `Promise.all(${JSON.stringify(names)}.map((name) => hold(name))).then(() => say('held'))`
    const killed = managing(t, folder, source)
    assert.equal(await killed.line(), '"held"')
    await killed.kill()
    assert.equal(filesOf(folder).length, names.length)
    fs.writeFileSync(path.join(folder, 'notes.txt'), 'of a user')
    fs.writeFileSync(path.join(folder, 'lock-OTHER'), '')
    fs.mkdirSync(path.join(folder, 'lock-folder'))
    return folder
  }
  const OTHERS = ['lock-OTHER', 'lock-folder', 'notes.txt']

  test('are swept after the first request of a process, and nothing else', async (t) => {
    const folder = await leftovers(t)
    const manager = new LockManager(folder)
    // Those that are in use stay.
    const held = await hold(t, manager, 'job 5')
    await until(() => filesOf(folder).length === OTHERS.length + 1, 'the end of the sweep')
    assert.deepEqual(filesOf(folder).sort(), [...OTHERS, 'lock-job%205'].sort())
    held.release()
    await until(() => filesOf(folder).length === OTHERS.length, 'the end of the last file')
  })

  test('do not make them seem locked, not even at the first request', async (t) => {
    const folder = await leftovers(t)
    const manager = new LockManager(folder)
    const names = Array.from({ length: 100 }, (_, i) => `job ${i}`)
    const available = await Promise.all([...names, 'x'.repeat(200)].map((name) => isAvailable(manager, name)))
    assert.ok(available.every(Boolean))
  })

  test('are swept although nothing else happens in the process', async (t) => {
    const folder = newFolder(t)
    fs.mkdirSync(folder)
    const left = Array.from({ length: 2000 }, (_, i) => `lock-left-${i}`)
    for (const file of left) fs.writeFileSync(path.join(folder, file), '')
    // Of its event loop, only the wait for a signal has a reference.
    const idle = managing(t, folder, `manager.request('a', () => {}).then(() => say('granted'))`)
    assert.equal(await idle.line(), '"granted"')
    await until(() => filesOf(folder).length === 0, 'the end of the sweep')
  })

  test('are swept although timers are replaced before the first LockManager', async (t) => {
    const folder = newFolder(t)
    fs.mkdirSync(folder)
    for (let i = 0; i < 100; i++) fs.writeFileSync(path.join(folder, `lock-left-${i}`), '')
    const source = `
      const { LockManager } = require(${JSON.stringify(ROOT)})
      globalThis.setTimeout = () => { throw new Error('replaced') }
      new LockManager(process.argv[1]).request('a', () => process.stdin.resume())`
    script(t, source, [folder])
    await until(() => filesOf(folder).length === 0, 'the end of the sweep')
  })

  test('of other users stay in a folder with the sticky bit, and those of this user go', needsNobody, async (t) => {
    const folder = newFolder(t)
    fs.chmodSync(path.dirname(folder), 0o755)
    fs.mkdirSync(folder)
    fs.chmodSync(folder, 0o1777)
    for (const name of ['a', 'b', 'c', 'd']) fs.writeFileSync(path.join(folder, `lock-${name}`), '')
    for (const name of ['b', 'd']) fs.chownSync(path.join(folder, `lock-${name}`), 65534, -1)
    const source = `manager.request('a', () => 'granted').then(say)`
    const user = managing(t, folder, source, AS_NOBODY)
    assert.equal(await user.line(), '"granted"')
    await until(() => filesOf(folder).length === 2, 'the end of the sweep')
    assert.deepEqual(filesOf(folder).sort(), ['lock-a', 'lock-c'])
    user.end()
    // All users share the lock of a name, whoever made its file.
    const holder = managing(t, folder, `hold('c').then(say)`, AS_NOBODY)
    await holder.line()
    assert.equal(await isAvailable(new LockManager(folder), 'c'), false)
  })

  test('do not keep a process alive that has nothing else to do', async (t) => {
    const folder = await leftovers(t)
    const end = managing(t, folder, `manager.request('a', () => {}).then(() => process.stdin.destroy())`)
    assert.deepEqual(await end.ended(), GOOD_END)
  })

  test('are swept once in a process: not by each new manager', async (t) => {
    const folder = await leftovers(t)
    await hold(t, new LockManager(folder), 'first')
    await until(() => filesOf(folder).length === OTHERS.length + 1, 'the end of the sweep')
    fs.writeFileSync(path.join(folder, 'lock-later'), '')
    await hold(t, new LockManager(folder), 'second')
    // A sweep that begins later, and has more to do, would end later.
    const other = await leftovers(t)
    await hold(t, new LockManager(other), 'third')
    await until(() => filesOf(other).length === OTHERS.length + 1, 'the end of the sweep of another folder')
    assert.ok(filesOf(folder).includes('lock-later'))
  })
})

describe('a folder', () => {
  test('is made with those above it at the first request', async (t) => {
    const folder = path.join(newFolder(t), 'deep', 'below')
    assert.equal(await new LockManager(folder).request('a', () => fs.statSync(folder).isDirectory()), true)
  })

  test('that was deleted is made again', async (t) => {
    const manager = newManager(t)
    const folder = folderOf(manager)
    for (const options of [{}, { ifAvailable: true }, { steal: true }, { signal: new AbortController().signal }]) {
      await manager.request('a', () => {})
      fs.rmSync(path.dirname(folder), { recursive: true, force: true })
      assert.equal(await manager.request('a', options, (lock) => lock?.name), 'a')
      assert.ok(fs.existsSync(folder))
    }
    // While its file is still open.
    for (let i = 0; i < 100; i++) await manager.request('a', () => {})
    fs.rmSync(path.dirname(folder), { recursive: true, force: true })
    assert.equal(await manager.request('a', (lock) => lock.name), 'a')
  })

  test('that is a file rejects the request, as Node would, until it is none', async (t) => {
    const folder = newFolder(t)
    const manager = new LockManager(folder)
    fs.writeFileSync(folder, '')
    const error = await rejection(manager.request('a', () => {}))
    assert.deepEqual([error.code, error.path], ['ENOTDIR', folder])
    const below = await rejection(new LockManager(path.join(folder, 'below', 'deeper')).request('a', () => {}))
    assert.match(below.code, WINDOWS ? /^(?:ENOTDIR|ENOENT|EEXIST)$/ : /^ENOTDIR$/)
    fs.rmSync(folder)
    assert.equal(await manager.request('a', () => 'granted'), 'granted')
    fs.rmSync(folder, { recursive: true, force: true })
    fs.writeFileSync(folder, '')
    const later = await rejection(manager.request('a', () => {}))
    assert.deepEqual([later.code, later.path], ['ENOTDIR', path.join(folder, 'lock-a')])
    assert.equal((await rejection(manager.query())).code, 'ENOTDIR')
  })

  test('in which one may not write rejects the request, as Node would', needsNobody, async (t) => {
    const folder = newFolder(t)
    fs.chmodSync(path.dirname(folder), 0o755)
    fs.mkdirSync(folder, 0o555)
    const source = `
      const codeOf = (target) => new LockManager(target).request('a', () => {}).catch((error) => [error.code, error.syscall])
      Promise.all([codeOf(process.argv[1]), codeOf(process.argv[1] + '/below')]).then(say)`
    const poor = managing(t, folder, source, AS_NOBODY)
    assert.deepEqual(JSON.parse(await poor.line()), [
      ['EACCES', 'open'],
      ['EACCES', 'mkdir'],
    ])
  })

  test('of a file system that takes no files rejects the request', { skip: !LINUX && 'only on Linux' }, async () => {
    const error = await rejection(new LockManager('/proc/self/fdinfo').request('a', () => {}))
    assert.ok(['EACCES', 'ENOENT', 'EROFS', 'EPERM'].includes(error.code), String(error))
  })

  test('that has something else in place of a file rejects that name alone', async (t) => {
    const manager = newManager(t)
    fs.mkdirSync(path.join(folderOf(manager), 'lock-a'), { recursive: true })
    assert.equal((await rejection(manager.request('a', () => {}))).code, 'EISDIR')
    assert.equal(await manager.request('b', () => 'granted'), 'granted')
  })

  test('with a name that is not UTF-8 serves as any other', { skip: !LINUX && 'only on Linux' }, async (t) => {
    const folder = Buffer.concat([Buffer.from(temporaryFolder(t)), Buffer.from([0x2f, 0xff])])
    const manager = new LockManager(folder)
    const held = await hold(t, manager, 'A')
    assert.deepEqual(fs.readdirSync(folder), ['lock-%41'])
    assert.equal((await manager.query()).held[0].name, 'A')
    held.release()
    await held.request
    await isEmptied(folder)
  })
})
