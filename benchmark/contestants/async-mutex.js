'use strict'

// A queue of promises in one process: no file, so it shows what waiting costs without any.

const { installed, opener } = require('./installed.js')

const asyncMutex = installed('async-mutex')

module.exports = {
  ...asyncMutex,
  kind: 'memory',
  open: opener(() => {
    const { Mutex } = asyncMutex.load()
    const mutexes = new Map()
    return (file) => {
      if (!mutexes.has(file)) mutexes.set(file, new Mutex())
      const mutex = mutexes.get(file)
      let release
      return {
        async acquire() {
          release = await mutex.acquire()
        },
        // It cancels all waits or none: the first signal ends all of them.
        acquireUntil(signal) {
          signal.addEventListener('abort', () => mutex.cancel(), { once: true })
          return this.acquire()
        },
        release: () => release(),
      }
    }
  }),
  cannot: { shared: 'has no shared mode' },
}
