'use strict'

/** In milliseconds. After the warm-up the code is compiled, and threads have been started. */
const WARM_UP = 100

/** Resolves to turns per second. `turns(count)` takes that many, and is called with `batch` again and again for `duration` ms. */
async function rateOf(turns, duration, batch) {
  await measure(turns, WARM_UP, batch)
  return measure(turns, duration, batch)
}

async function measure(turns, duration, batch) {
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
