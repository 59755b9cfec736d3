'use strict'

// Where attempts have their handles from.

const { lockFile } = require('../..')
const { aliasOf, isDeleted, lockOf } = require('./field.js')

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

  /** A new one, by any of the file's names. */
  make(file) {
    if (isDeleted(file, this.#files)) {
      return lockFile(lockOf(this.#folder, file), { removeOnRelease: this.#random.chance(0.5) })
    }
    return lockFile(this.#random.chance(0.2) ? aliasOf(this.#folder, file) : lockOf(this.#folder, file))
  }

  /** The same one each time. */
  keep(file) {
    if (!this.#kept.has(file)) this.#kept.set(file, this.make(file))
    return this.#kept.get(file)
  }
}

module.exports = { Handles }
