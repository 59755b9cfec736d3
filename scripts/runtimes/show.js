'use strict'

// One behaviour, shown by one runtime in a process of its own: a crash or a hang is a failure of that one alone.

const { spawn } = require('node:child_process')

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
  return {
    ...env,
    NO_COLOR: '1',
    LOCKET_RUNTIME: JSON.stringify([runtime.program, ...runtime.args]),
    LOCKET_RESTRICTED: JSON.stringify(runtime.restricted ? [runtime.program, ...runtime.restricted] : null),
  }
}

/** Resolves to what the process has said, and in `failure` to what was wrong, if anything. */
function show(behaviour, runtime, project) {
  const child = spawn(runtime.program, [...runtime.args, 'runtimes/run.cjs', behaviour], {
    cwd: project,
    detached: !WINDOWS,
    env: environment(runtime),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data
    })
  }
  let late = false
  const limit = setTimeout(() => {
    late = true
    kill(child)
  }, LIMIT)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    // What it has started and left may have its standard output: "close" would wait for that.
    child.on('exit', () => kill(child))
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      running.delete(child)
      resolve({ output, failure: late ? `not over within ${LIMIT} ms` : failureIn(output, code, signal) })
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
