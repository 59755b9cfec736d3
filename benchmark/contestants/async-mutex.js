'use strict'

// A queue of promises in one process: no file, so it shows what waiting costs without any.

const { installed } = require('./installed.js')

const asyncMutex = installed('async-mutex')

const mutexes = new Map()

module.exports = {
  ...asyncMutex,
  kind: 'memory',
  open(file) {
    const { Mutex } = asyncMutex.load()
    if (!mutexes.has(file)) mutexes.set(file, new Mutex())
    const mutex = mutexes.get(file)
    let release
    return {
      async acquire() {
        release = await mutex.acquire()
      },
      release: () => release(),
    }
  },
}
