'use strict'

// Files that exist, in the order in which several of them are waited for; and processes that lock several.

const fs = require('node:fs')

const { query } = require('../..')
const { ROOT, temporaryPaths } = require('../support/folders.js')
const { isWaitedFor } = require('../support/kernel.js')
const { script } = require('../support/processes.js')
const { isPaced, LINUX } = require('../support/systems.js')
const { until } = require('../support/waiting.js')

const inode = (file) => fs.statSync(file, { bigint: true }).ino

/** Paths of `count` files that exist, in the order of their inodes. */
function filesInOrder(t, count) {
  const files = temporaryPaths(t, ...Array.from({ length: count }, (_, i) => `${i}.lock`))
  for (const file of files) fs.writeFileSync(file, '')
  return files.sort((one, other) => (inode(one) < inode(other) ? -1 : 1))
}

/** Makes the path of `file` name another file. The old one stays: its number is not used again. */
function replace(file) {
  fs.renameSync(file, `${file}.${inode(file)}`)
  fs.writeFileSync(file, '')
}

/** Returns true if a request of this process waits for the lock of `file`, or tries it. */
const isRequested = (file) => query().pending.some(({ path }) => path === file)

/** Resolves when a request of this process waits for the lock of `file`, which another process holds. A try does not count. */
const isPending = (file) =>
  until(() => isRequested(file) && (!LINUX || isPaced || isWaitedFor(file)), `a wait for ${file}`)

/** The paths whose locks this process holds. */
const heldPaths = () => query().held.map(({ path }) => path)

/**
 * A process that locks several files: it is told `acquire`, `sync`, `try` or `release`, and says "done", "true", "false" or the
 * code of the error. `paths` and `options` are those of lockFiles().
 */
const group = (t, paths, options, processOptions) =>
  script(
    t,
    `
    const { lockFiles } = require(${JSON.stringify(ROOT)})
    const locks = lockFiles(...JSON.parse(process.argv[1]))
    const commands = {
      acquire: async () => { await locks.acquire(); return 'done' },
      sync: () => { locks.acquireSync(); return 'done' },
      try: () => locks.tryAcquire(),
      release: () => { locks.release(); return 'done' },
    }
    require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
      try { console.log(String(await commands[line]())) } catch (error) { console.log(error.code ?? error.stack) }
    })`,
    [JSON.stringify([paths, options ?? {}])],
    processOptions,
  )

module.exports = { filesInOrder, group, heldPaths, inode, isPending, isRequested, replace }
