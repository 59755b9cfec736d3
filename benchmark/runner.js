'use strict'

// Runs trials, one at a time: each in a fresh process, in a fresh folder, with a limit to its time.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const ROOT = path.join(__dirname, '..')
const TRIAL = path.join(__dirname, 'trial.js')

/** For trials: where this one is set, every process that starts spends a tenth of a second on certificates. */
const { NODE_EXTRA_CA_CERTS, ...ENVIRONMENT } = process.env

/** The longest that a trial may take unless its row says otherwise, in milliseconds. */
const LIMIT = { full: 30_000, quick: 6000 }

/** How long the processes that a trial has started may take to end, in milliseconds. */
const LONGEST_END = 100

/** How much of what a trial says on stderr is kept, for the report of a crash. */
const KEPT = 4000

class Runner {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-bench-'))
  #count = 0
  /** The process of the trial that is running. */
  #child

  /** Where the files of all trials are. */
  get folder() {
    return this.#folder
  }

  /** Resolves to the measures of one trial, or to { failed } with the reason, and `timedOut` if time was the reason. */
  async run({ row, contestant, quick, x }) {
    const folder = path.join(this.#folder, String(++this.#count))
    fs.mkdirSync(folder)
    const task = JSON.stringify({ row: row.id, contestant: contestant.name, folder, quick, x })
    // Detached: it leads a process group, so that it can be killed with all the processes that it starts.
    this.#child = spawn(contestant.node ?? process.execPath, [TRIAL, task], {
      cwd: folder,
      detached: true,
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const result = await resultOf(this.#child, row.limit ?? (quick ? LIMIT.quick : LIMIT.full))
    await end(this.#child)
    this.#child = undefined
    remove(folder)
    return result.failed ? { ...result, failed: gist(result.failed, folder) } : result
  }

  /** Ends what is running, and removes all files. */
  close() {
    if (this.#child) killGroup(this.#child)
    remove(this.#folder)
  }
}

/** What a trial says, or that it has not said it within `limit` ms. */
function resultOf(child, limit) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle({ failed: `not over within ${limit / 1000} s`, timedOut: true }), limit)
    const settle = (result) => {
      clearTimeout(timer)
      resolve(result)
    }
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      // The result is the end of the trial: what a contestant leaves behind may keep its process alive for long.
      if (output.endsWith('\n')) settle(lastLine(output))
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors = (errors + text).slice(-KEPT)
    })
    child.on('error', (error) => settle({ failed: error.message }))
    child.on('close', (code, signal) => settle({ failed: `ended without a result, with ${signal ?? code}\n${errors}` }))
  })
}

function lastLine(output) {
  const line = output.trimEnd().split('\n').at(-1)
  try {
    return JSON.parse(line)
  } catch {
    return { failed: `said ${line} instead of a result` }
  }
}

/** What matters of a message that may have a stack in it: its first line, and what was thrown. Without our folders. */
function gist(message, folder) {
  const [first, ...others] = message.split('\n')
  const thrown = others.find((line) => /^\w*Error\b/.test(line))
  const text = thrown ? `${first}: ${thrown}` : first
  return text.replaceAll(`${folder}/`, '').replaceAll(`${ROOT}/`, '')
}

/** Ends a trial. The kernel needs a while to end thousands of threads, and the next trial shall not be disturbed by that. */
async function end(child) {
  if (!killGroup(child)) return
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  // Not for ever: where init is slow to bury them, the dead are counted for another second.
  const latest = performance.now() + LONGEST_END
  while (killGroup(child) && performance.now() < latest) await sleep(2)
}

/** Kills a trial and all the processes that it has started. Returns whether there was anybody. */
function killGroup({ pid }) {
  // It could not be started.
  if (pid === undefined) return false
  try {
    return process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (error.code === 'ESRCH') return false
    throw error
  }
}

function remove(folder) {
  // Again and again, should one of the killed still be about to make a file.
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

module.exports = { Runner }
