'use strict'

// What the package leaves in a process, and on the disk: nothing that nobody has asked for.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryFolder, temporaryPath } = require('../support/folders.js')
const { outcomeOf } = require('../support/processes.js')
const { LINUX, onLinux } = require('../support/systems.js')

test('loading the package leaves no trace in the process, nor on the disk', (t) => {
  const folder = temporaryFolder(t)
  const source = `
    const fs = require('node:fs')
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
    lockFile('test.lock').held
    console.log(JSON.stringify({ before, loaded, made: look() }))`
  const env = { ...process.env, HOME: folder, TMPDIR: folder, TMP: folder, TEMP: folder }
  const { stdout, stderr } = outcomeOf(process.execPath, ['-e', source], { cwd: folder, env })
  assert.equal(stderr, '')
  const { before, loaded, made } = JSON.parse(stdout)
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
    const [type, link] = [elf.readUInt32LE(at + 4), elf.readUInt32LE(at + 40)]
    return { type, start: long(at + 24), size: long(at + 32), link }
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

test('the addon imports no function of libuv', onLinux, () => {
  const addons = fs.readdirSync(ROOT).filter((name) => name.includes('linux') && name.endsWith('.node'))
  assert.notEqual(addons.length, 0)
  for (const name of addons) {
    const imports = importsOf(fs.readFileSync(path.join(ROOT, name)))
    assert.ok(imports.includes('malloc'), imports.join())
    assert.ok(!imports.some((symbol) => symbol.startsWith('uv_')), imports.join())
  }
})

test('installing the package runs nothing', () => {
  const { scripts = {}, gypfile } = require('../../package.json')
  for (const name of ['preinstall', 'install', 'postinstall']) assert.equal(scripts[name], undefined)
  // npm would build with node-gyp where it finds this file.
  assert.equal(fs.existsSync(path.join(ROOT, 'binding.gyp')), false)
  assert.equal(gypfile, undefined)
})
