'use strict'

// One behaviour, shown by one runtime in a process of its own: a crash or a hang is a failure of that one alone.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** How long a behaviour may take, in milliseconds. It gives up by itself before that (see __test__/runtimes/support.cjs). */
const LIMIT = 120_000

const WINDOWS = process.platform === 'win32'

/** The processes that run now. None outlives this one. */
const running = new Set()
process.on('exit', () => {
  for (const child of running) kill(child)
})

/** Kills a process, and with it, where there are process groups, all that it has started. */
function kill(child) {
  try {
    if (WINDOWS) child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** The environment of the runtime's processes: nothing in it is to change how they load or print things. */
function environment(runtime) {
  const { NODE_OPTIONS, NAPI_RS_NATIVE_LIBRARY_PATH, FORCE_COLOR, ...env } = process.env
  const { own = runtime.command, args, restricted } = runtime
  return {
    ...env,
    NO_COLOR: '1',
    LOCKET_RUNTIME: JSON.stringify([...own, ...args]),
    LOCKET_RESTRICTED: JSON.stringify(restricted ? [...own, ...restricted] : null),
    ...runtime.env,
  }
}

/** Resolves to what the process has said, and in `failure` to what was wrong, if anything. */
async function show(behaviour, runtime, project) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-show-'))
  try {
    // A file: a pipe would stay open as long as any process has it that was started, and does not work everywhere.
    const said = path.join(folder, 'said')
    const { late, code, signal } = await run(behaviour, runtime, project, said)
    const output = fs.readFileSync(said, 'utf8')
    return { output, failure: late ? `not over within ${LIMIT} ms` : failureIn(output, code, signal) }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a behaviour, which says into the file `said` what it has to. Resolves to how it ended. */
function run(behaviour, runtime, project, said) {
  const output = fs.openSync(said, 'w')
  const [program, ...args] = [...runtime.command, ...runtime.args, 'runtimes/run.cjs', behaviour]
  const child = spawn(program, args, {
    cwd: project,
    detached: !WINDOWS,
    env: environment(runtime),
    stdio: ['ignore', output, output],
  })
  fs.closeSync(output)
  running.add(child)
  let late = false
  const limit = setTimeout(() => {
    late = true
    kill(child)
  }, LIMIT)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      // What it has started and left.
      kill(child)
      clearTimeout(limit)
      running.delete(child)
      resolve({ late, code, signal })
    })
  })
}

function failureIn(output, code, signal) {
  if (signal) return `killed by ${signal}`
  const told = /^failed: (.*)/m.exec(output)?.[1]
  if (code !== 0) return told ?? `ended with ${code}`
  // The event loop ran dry: nothing was left that could settle what the behaviour waited for.
  return /^shown$/m.test(output) ? undefined : 'ended before it was over'
}

module.exports = { show }
