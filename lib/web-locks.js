'use strict'

// The class LockManager. Its code is in lock-manager.js, which is loaded when the first manager is made.

const { INSPECT } = require('./file-lock.js')
const { wrongThis } = require('./invalid.js')

/** Keeps structuredClone() and postMessage() from making an empty object of a manager, as of a FileLock. */
const UNCLONEABLE = Symbol('a LockManager cannot be cloned: make one of the same folder where it is needed')

/** Returns what has the code of a LockManager, or undefined for anything else, such as a proxy of one. */
let managerOf

// The types and the documentation of the methods are in index.d.ts, where editors show them.

class LockManager {
  uncloneable = UNCLONEABLE
  #manager

  constructor(folder) {
    this.#manager = require('./lock-manager.js').createManager(folder)
  }

  // It takes two arguments, as the standard counts them, or three.
  request(name, callback, ...rest) {
    return managerOf(this)?.request(name, callback, rest) ?? rejectThis('request')
  }

  query() {
    return managerOf(this)?.query() ?? rejectThis('query')
  }

  get [Symbol.toStringTag]() {
    return 'LockManager'
  }

  [INSPECT](_depth, options, inspect) {
    const manager = managerOf(this)
    return manager === undefined ? this : `LockManager ${inspect({ folder: manager.folder }, options)}`
  }

  static {
    managerOf = (value) =>
      value !== null && typeof value === 'object' && #manager in value ? value.#manager : undefined
  }
}

const rejectThis = (method) => Promise.reject(wrongThis('LockManager', `manager.${method}()`))

module.exports = { LockManager }
