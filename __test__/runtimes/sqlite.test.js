'use strict'

// Locks of another kind that other code of the process has on a lock file: those of SQLite, where Node comes with it. They
// are fcntl(2) locks, which a process loses when it closes any descriptor of the file.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { spawnSync } = require('node:child_process')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPaths } = require('../support/folders.js')
const { descriptorsOf } = require('../support/kernel.js')
const { LINUX } = require('../support/systems.js')
const { until } = require('../support/waiting.js')

/** SQLite; undefined where Node has it not. */
const sqlite = process.getBuiltinModule?.('node:sqlite')

const isOpen = (file) => descriptorsOf(file).length > 0

/** Uses the lock of `file` until the file stays open. */
const warmUp = (file) =>
  until(() => {
    for (let i = 0; i < 40; i++) lockFile(file).acquireSync().release()
    return isOpen(file)
  }, 'a file that stays open')

/** What another process hears that wants to write the database. */
function writeByAnother(file) {
  const source = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1])
    try { db.exec('BEGIN IMMEDIATE') } catch ({ message }) { console.log(message) }`
  return spawnSync(process.execPath, ['-e', source, file], { encoding: 'utf8' }).stdout.trim()
}

/** By what the lock file is when SQLite opens it, how the database that is `ready` comes to be there. */
const FILES = {
  'an empty file': () => {},
  'a file with content': (file, ready) => {
    const lock = lockFile(file).acquireSync()
    fs.writeFileSync(file, ready)
    lock.release()
  },
}

/** The content of a database, made at `file`. */
function makeDatabase(file) {
  const db = new sqlite.DatabaseSync(file)
  db.exec('CREATE TABLE old (x)')
  db.close()
  return fs.readFileSync(file)
}

for (const [what, prepare] of Object.entries(FILES)) {
  test(`a transaction of SQLite keeps its locks on ${what} that was a lock file a moment ago`, async (t) => {
    if (!sqlite || !LINUX) return t.skip('only on Linux, and where Node has SQLite')
    const [file, later, made] = temporaryPaths(t, 'database', 'later', 'made')
    const ready = makeDatabase(made)
    await warmUp(file)
    prepare(file, ready)
    const db = new sqlite.DatabaseSync(file)
    t.after(() => db.close())
    db.exec('BEGIN EXCLUSIVE; CREATE TABLE t (x)')
    assert.equal(writeByAnother(file), 'database is locked')
    // One that was used later is closed no earlier.
    await warmUp(later)
    await until(() => !isOpen(later), 'the end of the descriptor')
    assert.equal(writeByAnother(file), 'database is locked')
    db.exec('COMMIT')
    assert.equal(writeByAnother(file), '')
  })
}
