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

function createFiles(folder, files) {
  for (let file = 0; file < files; file++) {
    fs.writeFileSync(counterOf(folder, file), Buffer.alloc(COUNTER_SIZE))
    if (isDeleted(file, files)) continue
    fs.writeFileSync(lockOf(folder, file), '')
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
  #random
  #kept = new Map()

  constructor({ folder, files }, random) {
    this.#folder = folder
    this.#files = files
    this.#random = random
  }

  /** A new handle, by any of the file's names. */
  make(file) {
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

module.exports = { Counter, Handles, createFiles, lockOf }
