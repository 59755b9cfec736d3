'use strict'

// A process at a client of a cluster file system. It reads requests, lines of JSON: { id, op, file, … }. It answers each by a line
// of JSON: { id, value, ms } or { id, error, ms }. Its first line is its process ID. It ends when its standard input ends.
//
// Usage: node agent.js FOLDER, where the file system is mounted. Files are named relative to FOLDER. There is one handle for each
// file and value of `handle`, which can be left out.

const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')

const { lockFile } = require('../..')
const { until } = require('../support/waiting.js')
const { mountedAt } = require('./mounted.js')

/** The number of the system call flock(2). */
const FLOCK = { x64: '73', arm64: '32' }[process.arch]

const folder = process.argv[2]
const pathOf = (file) => path.join(folder, file)

const handles = new Map()

function handleOf({ file, handle = '', options }) {
  const key = `${file}/${handle}`
  if (!handles.has(key)) handles.set(key, lockFile(pathOf(file), options))
  return handles.get(key)
}

/** Returns true if a thread of this process is blocked in flock(2). */
const isBlocked = () =>
  fs.readdirSync('/proc/self/task').some((thread) => {
    try {
      return fs.readFileSync(`/proc/self/task/${thread}/syscall`, 'latin1').split(' ', 1)[0] === FLOCK
    } catch {
      return false // The thread has ended.
    }
  })

/** Adds 1 to the number in a file, in two steps that another process can come between. */
function increment(file) {
  const descriptor = fs.openSync(file, 'r+')
  const text = Buffer.alloc(16)
  const length = fs.readSync(descriptor, text, 0, 16, 0)
  fs.writeSync(descriptor, String(Number(text.toString('latin1', 0, length)) + 1).padStart(8, '0'), 0)
  fs.closeSync(descriptor)
}

let controller = new AbortController()

const ops = {
  try: (request) => handleOf(request).tryAcquire({ mode: request.mode }),
  async acquire(request) {
    const { mode, timeout } = request
    await handleOf(request).acquire({ mode, timeout, signal: controller.signal })
    return true
  },
  /** Resolves when a wait of this process has reached the kernel. */
  waits: () => until(isBlocked, 'a thread in flock(2)'),
  /** Aborts all waits. */
  abort() {
    controller.abort()
    controller = new AbortController()
  },
  release: (request) => handleOf(request).release(),
  held: (request) => handleOf(request).held,
  lost: (request) => handleOf(request).lost.aborted,
  isLocked: (request) => handleOf(request).isLocked(),
  holders: async (request) => (await handleOf(request).holders())?.map(({ pid }) => pid),
  /** Opens and closes the file, in the ways in which programs open lock files. */
  open({ file }) {
    for (const flags of [0, fs.constants.O_NONBLOCK]) fs.closeSync(fs.openSync(pathOf(file), flags))
  },
  exists: ({ file }) => fs.existsSync(pathOf(file)),
  read: ({ file }) => fs.readFileSync(pathOf(file), 'latin1'),
  write: ({ file, text }) => fs.writeFileSync(pathOf(file), text),
  delete: ({ file }) => fs.unlinkSync(pathOf(file)),
  replace({ file }) {
    fs.writeFileSync(pathOf(`${file}.new`), '')
    fs.renameSync(pathOf(`${file}.new`), pathOf(file))
  },
  async count(request) {
    const lock = handleOf(request)
    for (let i = 0; i < request.times; i++) await lock.run(() => increment(pathOf(request.counter)))
  },
  /** The type of the file system that is mounted at the folder. */
  mounted: () => mountedAt(folder) ?? null,
  exit: () => setImmediate(() => process.exit(0)),
}

const say = (message) => fs.writeSync(1, `${JSON.stringify(message)}\n`)

say({ pid: process.pid })
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line)
  const { id } = request
  const since = performance.now()
  try {
    const value = await ops[request.op](request)
    say({ id, value, ms: performance.now() - since })
  } catch ({ name, code, message }) {
    say({ id, error: { name, code, message }, ms: performance.now() - since })
  }
})
