'use strict'

// The files of a storm: those that are locked, each with a counter, and the handles for them. neighbour.py knows their
// names, too.

const fs = require('node:fs')
const path = require('node:path')

const { lockFile } = require('../..')

const lockOf = (folder, file) => path.join(folder, `${file}.lock`)
/** Another name of the same lock file. */
const aliasOf = (folder, file) => path.join(folder, `${file}.alias`)
const counterOf = (folder, file) => path.join(folder, `${file}.counter`)

/**
 * Returns true if the lock file may be deleted on release: the last of several. It has no other name, and only our own
 * package uses it: other programs do not look whether the file that they have locked is still there.
 */
const isDeleted = (file, files) => files > 1 && file === files - 1

const COUNTER_SIZE = 4

/** The protocols whose lock entry is the path itself, which must not be there while the lock is free. */
const AT_THE_PATH = ['lockfile', 'soft-file', 'pid-file', 'dotlock']

/** The file, folder or link that is there while the lock is held. */
const entryOf = (folder, file, protocol) => `${lockOf(folder, file)}${AT_THE_PATH.includes(protocol) ? '' : '.lock'}`

function createFiles(folder, files, protocol) {
  for (let file = 0; file < files; file++) {
    fs.writeFileSync(counterOf(folder, file), Buffer.alloc(COUNTER_SIZE))
    if (AT_THE_PATH.includes(protocol)) continue
    if (protocol === undefined && isDeleted(file, files)) continue
    fs.writeFileSync(lockOf(folder, file), '')
    if (protocol !== undefined) continue
    fs.linkSync(lockOf(folder, file), aliasOf(folder, file))
  }
}

/** A number that is written in place, by one system call: a process that is killed has written all of it or nothing. */
class Counter {
  #fd
  #bytes = Buffer.alloc(COUNTER_SIZE)

  constructor(folder, file) {
    this.#fd = fs.openSync(counterOf(folder, file), 'r+')
  }

  read() {
    fs.readSync(this.#fd, this.#bytes, 0, COUNTER_SIZE, 0)
    return this.#bytes.readUInt32LE()
  }

  write(value) {
    this.#bytes.writeUInt32LE(value)
    fs.writeSync(this.#fd, this.#bytes, 0, COUNTER_SIZE, 0)
  }
}

class Handles {
  #folder
  #files
  #options
  #random
  #kept = new Map()

  /** `options`: of lockFile(), those of a protocol. */
  constructor({ folder, files, options }, random) {
    this.#folder = folder
    this.#options = options
    this.#files = files
    this.#random = random
  }

  /** A new handle, by any of the file's names. */
  make(file) {
    if (this.#options.protocol) return lockFile(lockOf(this.#folder, file), this.#options)
    if (isDeleted(file, this.#files)) {
      return lockFile(lockOf(this.#folder, file), { removeOnRelease: this.#random.chance(0.5) })
    }
    return lockFile((this.#random.chance(0.2) ? aliasOf : lockOf)(this.#folder, file))
  }

  /** The same handle each time. */
  keep(file) {
    if (!this.#kept.has(file)) this.#kept.set(file, this.make(file))
    return this.#kept.get(file)
  }
}

module.exports = { Counter, Handles, createFiles, entryOf, lockOf }
