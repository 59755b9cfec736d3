'use strict'

// The descriptors that the command gets: as from flock(1), all that locket has inherited, at their numbers, and the lock's.
// Node.js closes most of them in its children, but make's jobserver, socket activation and <(…) of bash need them.

const fs = require('node:fs')

const { ancestors } = require('./ancestors.js')

const FIRST = 3

/** The variables in which make and cargo name the descriptors of a jobserver. */
const JOBSERVERS = ['MAKEFLAGS', 'CARGO_MAKEFLAGS', 'MFLAGS']

/**
 * Returns the numbers, from 3 up, of the descriptors that this process has inherited. Call it before anything is opened.
 * Node.js has opened some of its own by then, which differ in kind.
 */
function inheritedDescriptors() {
  if (process.platform === 'win32') return []
  const open = openDescriptors()
  return [...open.keys()]
    .filter((descriptor) => descriptor >= FIRST && isInherited(descriptor, open))
    .sort((a, b) => a - b)
}

/** Returns the `fs.Stats` of all open descriptors, by number. */
function openDescriptors() {
  const open = new Map()
  for (const name of list(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd')) {
    try {
      open.set(Number(name), fs.fstatSync(Number(name)))
    } catch {
      // The descriptor by which the folder was read is closed again.
    }
  }
  return open
}

function list(folder) {
  try {
    return fs.readdirSync(folder)
  } catch {
    return []
  }
}

function isInherited(descriptor, open) {
  const stats = open.get(descriptor)
  if (stats.isFIFO()) return isInheritedPipe(stats, open)
  // Node.js has a channel to its parent, which is in use, and the sockets of its debugger.
  if (stats.isSocket()) return descriptor !== process.channel?.fd && require('node:inspector').url() === undefined
  return stats.isFile() || stats.isDirectory() || stats.isCharacterDevice() || stats.isBlockDevice()
}

/** What the descriptors of the ancestors lead to, once it has been read. */
let opened

/** Node.js has pipes to itself, with both ends here and nowhere else. Only Linux tells one pipe from another. */
function isInheritedPipe({ dev, ino }, open) {
  if (process.platform !== 'linux') return false
  const ends = [...open].filter(([, other]) => other.dev === dev && other.ino === ino)
  if (ends.length === 1 || ends.some(([descriptor]) => descriptor < FIRST)) return true
  opened ??= new Set(ancestors().flatMap(linksOf))
  return opened.has(`pipe:[${ino}]`)
}

/** Returns what the descriptors of a process lead to. */
function linksOf(pid) {
  return list(`/proc/${pid}/fd`).map((name) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${name}`)
    } catch {
      return undefined
    }
  })
}

/**
 * Returns the `stdio` of spawn() for a command that gets the `inherited` descriptors and `lock`, the descriptor of the
 * locked file, or undefined.
 */
function stdioOf(inherited, lock, env = process.env) {
  const stdio = ['inherit', 'inherit', 'inherit']
  for (const descriptor of inherited) stdio[descriptor] = descriptor
  if (lock !== undefined) stdio[numberForLock(inherited, env)] = lock
  return Array.from(stdio, (entry) => entry ?? 'ignore')
}

/** Returns the first free number. A jobserver's number is not free, even if closed: make would take the lock for it. */
function numberForLock(inherited, env) {
  const flags = JOBSERVERS.map((name) => env[name]).join(' ')
  const named = [...flags.matchAll(/--jobserver-(?:auth|fds)=(\d+),(\d+)/g)].flatMap(([, ...ends]) => ends.map(Number))
  let number = FIRST
  while (inherited.includes(number) || named.includes(number)) number++
  return number
}

module.exports = { inheritedDescriptors, stdioOf }
