'use strict'

// query() of a LockManager: what is held and requested in its folder.

const { internals, lockFile, query } = require('./index.js')

/** How many files are asked about at a time. */
const ASKED_AT_ONCE = 64
/** How often it is looked again for requests that are about to be granted. */
const MOST_LOOKS = 20

const { waitersOf } = internals

/** Resolves to what is held and requested in a folder: by this process, and on Linux by others. */
async function queryFolder(folder) {
  // Earlier requests wait for it, too.
  await folder.whenMade()
  const own = await queryProcess(folder)
  const others = process.platform === 'linux' ? await queryOthers(folder) : { held: [], pending: [] }
  return { held: [...own.held, ...others.held], pending: [...own.pending, ...others.pending] }
}

/** Resolves to what this process holds and waits for in the folder, over all its threads. */
async function queryProcess(folder) {
  const describe = async (infos) => {
    const described = []
    for (const { file, mode, threadId } of infos) {
      const name = await folder.nameOf(file)
      if (name !== undefined) described.push({ name, mode, clientId: `${process.pid}-${threadId}` })
    }
    return described
  }
  const { held, pending } = await settledSnapshot(folder)
  return { held: await describe(held), pending: await describe(pending) }
}

/** Returns what this process holds and waits for in the folder. */
function snapshotOf(folder) {
  const inFolder = (infos) =>
    infos
      .map(({ path, mode, threadId }) => ({ file: folder.fileAt(path), mode, threadId }))
      .filter(({ file }) => file !== undefined)
  const { held, pending } = query()
  return { held: inFolder(held), pending: inFolder(pending) }
}

/**
 * Resolves to a snapshot in which no request waits that is about to be granted: its file is being opened, or it has been
 * released a moment ago.
 */
async function settledSnapshot(folder) {
  const heldElsewhere = new Set()
  for (let looks = 1; ; looks++) {
    const snapshot = snapshotOf(folder)
    const due = grantable(snapshot).filter(({ file }) => !heldElsewhere.has(file))
    if (due.length === 0 || looks === MOST_LOOKS) return snapshot
    // It is answered after the requests that came before it.
    const isLocked = ({ file }) =>
      lockFile(folder.locationOf(file))
        .isLocked()
        .catch(() => true)
    for (const request of due.slice(0, ASKED_AT_ONCE)) {
      if ((await isLocked(request)) && !request.joins) heldElsewhere.add(request.file)
    }
  }
}

/**
 * Returns the first request for each file, if nothing that this process holds excludes it. `joins`: it shares what this process
 * holds.
 */
function grantable({ held, pending }) {
  const first = new Map()
  for (const request of pending) if (!first.has(request.file)) first.set(request.file, { ...request, joins: false })
  for (const hold of held) {
    const request = first.get(hold.file)
    if (request === undefined) continue
    if (request.mode === 'exclusive' || hold.mode === 'exclusive') first.delete(hold.file)
    else request.joins = true
  }
  return [...first.values()]
}

/** Resolves to what other processes hold and wait for in the folder, as the kernel tells. */
async function queryOthers(folder) {
  const files = await folder.files()
  const found = { held: [], pending: [] }
  for (let i = 0; i < files.length; i += ASKED_AT_ONCE) {
    const answers = await Promise.all(files.slice(i, i + ASKED_AT_ONCE).map((file) => queryFile(folder, file)))
    for (const { held, pending } of answers) {
      found.held.push(...held)
      found.pending.push(...pending)
    }
  }
  return found
}

/** Resolves to what other processes hold and wait for at one file. */
async function queryFile(folder, file) {
  const lock = lockFile(folder.locationOf(file))
  const answers = await Promise.all([lock.holders(), waitersOf(lock)].map((answer) => answer.catch(() => [])))
  const [held, pending] = answers.map((parties = []) => parties.filter(({ pid }) => pid !== process.pid))
  const name = held.length + pending.length === 0 ? undefined : await folder.nameOf(file)
  if (name === undefined) return { held: [], pending: [] }
  const describe = ({ mode, pid }) => ({ name, mode, clientId: String(pid) })
  return { held: held.map(describe), pending: pending.map(describe) }
}

module.exports = { queryFolder }
