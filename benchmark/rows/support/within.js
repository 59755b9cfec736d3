'use strict'

/**
 * What `promise` resolves to, if it does within that many milliseconds. Otherwise the trial has failed: `progress()`
 * says how far things have come.
 */
function within(ms, promise, progress) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      // Marked, so that no more of the run's time is spent on it.
      reject(Object.assign(new Error(`${progress()} within ${ms / 1000} s`), { timedOut: true }))
    }, ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

module.exports = { within }
