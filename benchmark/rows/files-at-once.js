'use strict'

const path = require('node:path')

const FILES = 1000

module.exports = {
  id: 'files-at-once',
  title: '1,000 different files at once',
  detail: '1,000 files that nobody else wants: all acquires are started at once; once all are held, all are released.',
  measures: [
    { id: 'held', title: 'until all are held', unit: 'ms', better: 'lower' },
    { id: 'released', title: 'until all are released', unit: 'ms', better: 'lower' },
  ],
  kinds: ['kernel', 'file', 'memory'],
  full: { count: 15 },
  quick: { count: 3 },
  async trial(contestant, { folder, count }) {
    const handles = Array.from({ length: FILES }, (_, i) => contestant.open(path.join(folder, `${i}.lock`)))
    // The first one creates the files, and starts threads.
    await burst(handles)
    const bursts = []
    for (let i = 0; i < count; i++) bursts.push(await burst(handles))
    // The burst in the middle, so that the two times are those of one burst.
    return bursts.sort((a, b) => a.released - b.released)[bursts.length >> 1]
  },
}

/** Times from the start, in milliseconds. */
async function burst(handles) {
  const start = performance.now()
  await Promise.all(handles.map((handle) => handle.acquire()))
  const held = performance.now() - start
  await Promise.all(handles.map((handle) => handle.release()))
  return { held, released: performance.now() - start }
}
