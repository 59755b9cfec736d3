'use strict'

// Runs trials, one at a time: each in a fresh process, in a fresh folder, with a limit to its time.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { text } = require('node:stream/consumers')
const { setTimeout: sleep } = require('node:timers/promises')

const ROOT = path.join(__dirname, '..')
const TRIAL = path.join(__dirname, 'trial.js')

/** For trials: where this one is set, every process that starts spends a tenth of a second on certificates. */
function environment() {
  const { NODE_EXTRA_CA_CERTS, ...rest } = process.env
  return rest
}

/** The longest that a trial may take unless its row says otherwise, in milliseconds. */
const LIMIT = { full: 30_000, quick: 6000 }

/** How long the processes that a trial has started may take to end, in milliseconds. */
const LONGEST_END = 100

class Runner {
  /** Where the files of all trials are. */
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-bench-'))
  #count = 0
  /** The process of the trial that is running. */
  #child

  /** Resolves to the measures of one trial, or to { failed } with the reason, and `timedOut` if time was the reason. */
  async run({ row, contestant, quick, x }) {
    const folder = path.join(this.folder, String(++this.#count))
    fs.mkdirSync(folder)
    const task = JSON.stringify({ row: row.id, contestant: contestant.name, folder, quick, x })
    // Detached: it leads a process group, so that it can be killed with all the processes that it starts.
    this.#child = spawn(contestant.node ?? process.execPath, [TRIAL, task], {
      cwd: folder,
      detached: true,
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const result = await resultOf(this.#child, row.limit ?? (quick ? LIMIT.quick : LIMIT.full))
    // The kernel needs a while to end thousands of threads, and they would disturb the next trial. But where init is slow
    // to bury them, the dead are counted for another second.
    const latest = performance.now() + LONGEST_END
    while (killGroup(this.#child) && performance.now() < latest) await sleep(2)
    this.#child = undefined
    remove(folder)
    return result.failed ? { ...result, failed: gist(result.failed, folder) } : result
  }

  /** Ends what is running, and removes all files. */
  close() {
    if (this.#child?.pid) killGroup(this.#child)
    remove(this.folder)
  }
}

/** The last line of what a trial says. Kills the trial if it is not over within `limit` ms. */
async function resultOf(child, limit) {
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child)
  }, limit)
  const [output, errors, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  clearTimeout(timer)
  if (timedOut) return { failed: `not over within ${limit / 1000} s`, timedOut }
  try {
    return JSON.parse(output.trimEnd().split('\n').at(-1))
  } catch {
    return { failed: `ended without a result, with ${signal ?? code}\n${errors}` }
  }
}

/** What matters of a message that may have a stack in it: its first line, and what was thrown. Without our folders. */
function gist(message, folder) {
  const [first, ...others] = message.split('\n')
  const thrown = others.find((line) => /^\w*Error\b/.test(line))
  const shown = thrown ? `${first}: ${thrown}` : first
  return shown.replaceAll(`${folder}/`, '').replaceAll(`${ROOT}/`, '')
}

/** Kills a trial and all the processes that it has started. Returns false if there are none. */
function killGroup({ pid }) {
  try {
    return process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (error.code === 'ESRCH') return false
    throw error
  }
}

function remove(folder) {
  // Again and again, in case one of the killed is about to make a file.
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

module.exports = { Runner }
