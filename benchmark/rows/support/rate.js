'use strict'

/**
 * How often a second something can be done: `turns(count)` does it so many times. Asked for batches of `batch` for at
 * least `duration` ms.
 */
async function rateOf(turns, batch, duration) {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < duration) {
    await turns(batch)
    count += batch
    elapsed = performance.now() - start
  }
  return (count / elapsed) * 1000
}

module.exports = { rateOf }
