'use strict'

// This clone, as its README says; and its other protocols, in the rows where those matter.

const fs = require('node:fs')
const path = require('node:path')

const { created, opener } = require('./installed.js')

const ROOT = path.join(__dirname, '../..')
const { name, version, files, bin } = require(path.join(ROOT, 'package.json'))

const COMMAND = [process.execPath, path.join(ROOT, bin.locket)]

/** A lock with the names that all contestants have. */
class Handle {
  #lock

  constructor(lock) {
    this.#lock = lock
  }

  acquire() {
    return this.#lock.acquire()
  }

  acquireShared() {
    return this.#lock.acquire({ mode: 'shared' })
  }

  acquireUntil(signal) {
    return this.#lock.acquire({ signal })
  }

  acquireWithin(timeout) {
    return this.#lock.acquire({ timeout })
  }

  release() {
    this.#lock.release()
  }

  acquireSync() {
    this.#lock.acquireSync()
  }

  releaseSync() {
    this.#lock.release()
  }

  holders() {
    return this.#lock.holders()
  }
}

/** What a user has on the disk: the files of the package, and of the binaries that of the user's own platform. */
function paths() {
  const binaries = fs.readdirSync(ROOT).filter((entry) => entry.endsWith('.node'))
  const named = files.filter((entry) => !entry.includes('*'))
  return [...named, ...binaries, 'package.json', 'README.md', 'LICENSE'].map((entry) => path.join(ROOT, entry))
}

const load = () => require(ROOT).lockFile

/** `prepare` makes the file of a path, where the protocol needs one. */
const by = (protocol, kind, { rival, rows, prepare = (file) => file }) => ({
  name: `${name} (${protocol})`,
  kind,
  rival,
  rows,
  version: () => undefined,
  open: opener(() => {
    const lockFile = load()
    return (file, options) => new Handle(lockFile(prepare(file), { protocol, ...options }))
  }),
})

const UNCONTENDED = ['uncontended-async', 'uncontended-sync']
const WAITING = ['hand-over', 'waiters-1000', 'killed-holder', 'idle-waiter']

module.exports = [
  {
    name,
    kind: 'kernel',
    version: () => version,
    entry: ROOT,
    paths,
    open: opener(() => {
      const lockFile = load()
      return (file) => new Handle(lockFile(file))
    }),
    openRuns(file) {
      const lock = load()(file)
      return (task) => lock.run(task)
    },
    openAll: (files) => new Handle(require(ROOT).lockFiles(files)),
    command: (file) => [...COMMAND, file, 'true'],
    limitsProcesses: true,
    openSemaphore: (file, permits) => require(ROOT).semaphore(file, permits),
    limitCommand: (file, permits) => [...COMMAND, '--permits', String(permits), file],
  },
  {
    ...by('LockManager', 'kernel', { rival: name, rows: ['requests'] }),
    openRuns(folder) {
      const manager = new (require(ROOT).LockManager)(folder)
      return (task) => manager.request('a', task)
    },
  },
  by('proper-lockfile', 'file', {
    rival: 'proper-lockfile',
    rows: [...UNCONTENDED, ...WAITING, 'blocked-loop'],
    prepare: created,
  }),
  by('lockfile', 'file', { rival: 'lockfile', rows: [...UNCONTENDED, ...WAITING] }),
  by('fcntl', 'kernel', { rival: name, rows: [...UNCONTENDED, 'hand-over'] }),
]
