'use strict'

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { withAgents } = require('./support/agents.js')
const { now, MILLISECOND } = require('./support/clock.js')
const { Crowd } = require('./support/crowd.js')
const { footprint, growth } = require('./support/processes.js')

const SECOND = 1000 * MILLISECOND

const GROWTH = [
  { id: 'threads', title: 'more threads', unit: 'threads', better: 'lower' },
  { id: 'memory', title: 'more memory', unit: 'MB', better: 'lower' },
]

const contended = (text, count) => ({
  detail:
    `Another process holds ${text} files, and one process waits for all of them. Then the other one lets them go: ` +
    'from its first release() to the last release() here. The threads and the memory are those by which the process ' +
    'has grown when it waits for all.',
  measures: [{ id: 'total', title: 'all served', unit: 'ms', better: 'lower' }, ...GROWTH],
  kinds: ['kernel', 'file'],
  trial: (contestant, { folder, x = count }) =>
    withContendedFiles(contestant, folder, x, {
      async task({ holder, served, grown }) {
        holder.say('release')
        await served
        const end = now()
        const [{ left }] = await holder.log()
        return { total: (end - left) / MILLISECOND, ...grown }
      },
    }),
})

const contendedFiles = { id: 'contended-files', title: '1,000 contended files', ...contended('1,000', 1000) }

const filesCurve = {
  id: 'files',
  title: 'Contended files',
  ...contended('that many'),
  curve: { x: 'files', points: [1, 10, 100, 1000], quickPoints: [1, 100] },
}

const idleFiles = (count) => {
  const text = count.toLocaleString('en')
  return {
    id: `idle-files-${count}`,
    title: `What waiting for ${text} files costs`,
    detail:
      `Another process holds ${text} files, and one process waits for all of them: the processor time that it takes in ` +
      'a second, on average over three of them (one with --quick). Then any one of the files is let go: from right ' +
      'before release() in the one process until acquire() has resolved in the other.',
    measures: [
      { id: 'cpu', title: 'processor time per second', unit: 'ms', better: 'lower' },
      { id: 'entry', title: 'hand-over of one', unit: 'ms', better: 'lower' },
      ...GROWTH,
    ],
    kinds: ['kernel', 'file'],
    rounds: 2,
    limit: 40_000,
    // In milliseconds: how long the process is watched, after how long. It is busy at first.
    full: { settle: 2000, watch: 3000 },
    quick: { settle: 1000, watch: 1000 },
    trial(contestant, { folder, settle, watch }) {
      let onEntry
      const entry = new Promise((resolve) => {
        onEntry = () => resolve(now())
      })
      return withContendedFiles(contestant, folder, count, {
        onEntry,
        async task({ holder, crowd, served, grown }) {
          await sleep(settle)
          const cpu = await processorTime(watch)
          if (crowd.served > 0) throw new Error('let in two processes at once')

          holder.say('release', Math.floor(Math.random() * count))
          const entered = await Promise.race([entry, served])
          const [{ left }] = await holder.log()
          return { cpu, entry: (entered - left) / MILLISECOND, ...grown }
        },
      })
    },
  }
}

/**
 * Has another process hold `count` files, and a crowd of this one wait for all of them. Resolves to what `task` returns.
 * It is called when all wait, with the agent that holds the files, by how much this process has grown, the crowd, and
 * `served`, the promise of its serve(). `onEntry` is called on each entry.
 */
async function withContendedFiles(contestant, folder, count, { onEntry, task }) {
  const files = Array.from({ length: count }, (_, number) => path.join(folder, `lock-${number}`))
  // What is there once the first lock has been taken is not the cost of waiting.
  const handle = contestant.open(path.join(folder, 'lock'))
  await handle.acquire()
  await handle.release()
  return withAgents(contestant, 1, files, async ([holder]) => {
    await holder.ask('acquire')
    const before = footprint()
    const crowd = new Crowd(contestant, files)
    const served = crowd.serve(onEntry)
    served.catch(() => {})
    const grown = growth(before, await crowd.footprint())
    return task({ holder, crowd, served, grown })
  })
}

/** The processor time that all threads of this process take, in milliseconds for each second of the next `watch` ms. */
async function processorTime(watch) {
  const start = now()
  const before = process.cpuUsage()
  await sleep(watch)
  const { user, system } = process.cpuUsage(before)
  // In microseconds.
  return (user + system) / 1000 / ((now() - start) / SECOND)
}

module.exports = { contendedFiles, filesCurve, idleFiles }
