'use strict'

const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, MILLISECOND } = require('./support/clock.js')
const { Crowd } = require('./support/crowd.js')
const { footprint, growth } = require('./support/processes.js')

const COUNT = 1000

const shared = (count) => ({
  detail:
    `Another process holds ${count} files, and one process waits for all of them. Then the other one lets them go: ` +
    'from its first release() to the last release() here. The threads and the memory are those by which the process ' +
    'has grown when it waits for all.',
  measures: [
    { id: 'total', title: 'all served', unit: 'ms', better: 'lower' },
    { id: 'threads', title: 'more threads', unit: 'threads', better: 'lower' },
    { id: 'memory', title: 'more memory', unit: 'MB', better: 'lower' },
  ],
  kinds: ['kernel', 'file'],
  async trial(contestant, { folder, x = COUNT }) {
    const files = Array.from({ length: x }, (_, number) => path.join(folder, `lock-${number}`))
    await warmUp(contestant, path.join(folder, 'lock'))
    return withAgents(contestant, 1, files, async ([holder]) => {
      await holder.ask('acquire')
      const before = footprint()
      const crowd = new Crowd(contestant, files)
      const served = crowd.serve()
      served.catch(() => {})
      const grown = growth(before, await crowd.footprint())

      holder.say('release')
      await served
      const end = now()
      const [{ left }] = await holder.log()
      return { total: (end - left) / MILLISECOND, ...grown }
    })
  },
})

/** What is there once the first lock has been taken is not the cost of waiting. */
async function warmUp(contestant, file) {
  const handle = contestant.open(file)
  await handle.acquire()
  await handle.release()
}

module.exports = {
  contendedFiles: { id: 'contended-files', title: '1,000 contended files', ...shared('1,000') },
  filesCurve: {
    id: 'files',
    title: 'Contended files',
    ...shared('that many'),
    curve: { x: 'files', points: [1, 10, 100, 1000], quickPoints: [1, 100] },
  },
}
