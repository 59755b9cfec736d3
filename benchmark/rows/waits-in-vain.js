'use strict'

const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, MILLISECOND } = require('./support/clock.js')

const COUNT = 1000

/** How long each wait lasts, in milliseconds. */
const TIMEOUT = 200

module.exports = {
  id: 'waits-in-vain',
  title: `${COUNT.toLocaleString('en')} waits in vain, and who was in the way`,
  detail:
    `Another process holds ${COUNT.toLocaleString('en')} files, and one process waits for each of them for ${TIMEOUT} ` +
    'ms. All waits start together. Measured: how many ms after its timeout the last one fails, and how many errors name ' +
    'the holder. Then the process asks for the holders of all files at once: the time until the last answer.',
  measures: [
    { id: 'late', title: 'last error late by', unit: 'ms', better: 'lower' },
    { id: 'named', title: 'errors that name the holder', unit: '', better: 'higher' },
    { id: 'holders', title: 'holders of all', unit: 'ms', better: 'lower' },
  ],
  kinds: ['kernel', 'file'],
  trial(contestant, { folder }) {
    const files = Array.from({ length: COUNT }, (_, number) => path.join(folder, `lock-${number}`))
    return withAgents(contestant, 1, files, async ([holder]) => {
      await holder.ask('acquire')
      const handles = files.map((file) => contestant.open(file))
      return { ...(await waitInVain(handles, holder)), holders: await askForHolders(handles, holder) }
    })
  },
}

/** How late the last one fails, and how many errors name the holder. */
async function waitInVain(handles, holder) {
  const start = now()
  const errors = await Promise.all(handles.map(failure))
  const late = (now() - start) / MILLISECOND - TIMEOUT
  return { late, named: errors.filter(({ holders }) => names(holders, holder)).length }
}

/** The error of a wait that timed out. */
async function failure(handle) {
  const start = now()
  const error = await handle.acquireWithin(TIMEOUT).then(
    () => new Error('let in two processes at once'),
    (reason) => reason,
  )
  // Timers count whole milliseconds.
  if ((now() - start) / MILLISECOND < TIMEOUT - 1) throw error
  return error
}

/** How long it takes until all answers are there, in milliseconds; null where the package has none. */
async function askForHolders(handles, holder) {
  if (!handles[0].holders) return null
  const start = now()
  const answers = await Promise.all(handles.map((handle) => handle.holders()))
  const duration = (now() - start) / MILLISECOND
  // Undefined where the system does not tell.
  if (answers.includes(undefined)) return null
  if (!answers.every((holders) => names(holders, holder))) throw new Error('somebody else is said to hold a lock')
  return duration
}

const names = (holders, { pid }) => holders?.length === 1 && holders[0].pid === pid
