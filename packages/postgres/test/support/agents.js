'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const { eventually } = require('../../../../__test__/support/waiting.js')

const FILE = path.join(__dirname, 'agent.js')

/** What is told to a process or thread: `agent.acquire(…)`, and so on. `agent.lost` is a promise of the message. */
function agentOf(channel, send) {
  const answers = new Map()
  let last = 0
  const agent = { channel }
  agent.lost = new Promise((resolve) => {
    channel.on('message', ({ id, value, error, event, ...more }) => {
      if (event === 'lost') return resolve(more)
      const { resolve: answer, reject } = answers.get(id)
      if (error === undefined) answer(value)
      else reject(Object.assign(new Error(error.message), error))
    })
  })
  for (const action of ['acquire', 'tryAcquire', 'release', 'held', 'holders', 'write', 'exit']) {
    agent[action] = (...args) =>
      new Promise((resolve, reject) => {
        answers.set(++last, { resolve, reject })
        send({ id: last, action, args })
      })
  }
  return agent
}

/** Starts a process with a handle, on another host if one is given. It is killed when the test ends. */
function startAgent(t, name, options, host) {
  const [command, ...args] = [...(host?.command ?? []), process.execPath, FILE, JSON.stringify([name, options])]
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exit = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  t.after(() => {
    child.kill('SIGKILL')
    return exit
  })
  const agent = agentOf(child, (message) => child.send(message))
  return Object.assign(agent, {
    pid: child.pid,
    exit: () => {
      child.send({ id: 0, action: 'exit', args: [] })
      return eventually(exit, 'the end')
    },
    kill(signal) {
      child.kill(signal)
      return signal === 'SIGKILL' ? exit : undefined
    },
    ended: exit,
  })
}

/** The same in a worker thread. */
function startThread(t, name, options) {
  const worker = new Worker(FILE, { workerData: [name, options] })
  t.after(() => worker.terminate())
  return Object.assign(
    agentOf(worker, (message) => worker.postMessage(message)),
    { worker },
  )
}

module.exports = { startAgent, startThread }
