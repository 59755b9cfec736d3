'use strict'

// Which descriptors the command gets. As with flock(1): all that locket has inherited, at their numbers, and the lock's.
// Node.js closes most of them in its children, but make's jobserver, socket activation and <(…) of bash count on them.

const fs = require('node:fs')

const { ancestors } = require('./ancestors.js')

const FIRST = 3

/** Where make names the descriptors of its jobserver, and where cargo does. */
const JOBSERVERS = ['MAKEFLAGS', 'CARGO_MAKEFLAGS', 'MFLAGS']

/**
 * Returns the numbers from 3 up of the descriptors that this process has inherited. To be called before anything is
 * opened. Node.js has opened some of its own by then, which are told apart by what they are.
 */
function inheritedDescriptors() {
  if (process.platform === 'win32') return []
  const open = openDescriptors()
  return [...open.keys()]
    .filter((descriptor) => descriptor >= FIRST && isInherited(descriptor, open))
    .sort((a, b) => a - b)
}

/** Returns what is open: `fs.Stats` by descriptor. */
function openDescriptors() {
  const open = new Map()
  for (const name of list(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd')) {
    try {
      open.set(Number(name), fs.fstatSync(Number(name)))
    } catch {
      // It was the one of the list itself.
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
  // Of Node.js are its channel to a parent, which is in use, and the sockets of its debugger.
  if (stats.isSocket()) return descriptor !== process.channel?.fd && require('node:inspector').url() === undefined
  return stats.isFile() || stats.isDirectory() || stats.isCharacterDevice() || stats.isBlockDevice()
}

/** Node.js has pipes to itself: both ends are here, and nowhere else. Only Linux tells one pipe from another. */
function isInheritedPipe({ dev, ino }, open) {
  if (process.platform !== 'linux') return false
  const ends = [...open].filter(([, other]) => other.dev === dev && other.ino === ino)
  if (ends.length === 1 || ends.some(([descriptor]) => descriptor < FIRST)) return true
  return ancestors().some((pid) => list(`/proc/${pid}/fd`).some((name) => isSame(`/proc/${pid}/fd/${name}`, dev, ino)))
}

function isSame(path, dev, ino) {
  try {
    const stats = fs.statSync(path)
    return stats.dev === dev && stats.ino === ino
  } catch {
    return false
  }
}

/**
 * Returns the `stdio` of spawn() for a command that gets the `inherited` descriptors, and `lock`, the descriptor of the
 * locked file, if there is one.
 */
function stdioOf(inherited, lock, env = process.env) {
  const stdio = ['inherit', 'inherit', 'inherit']
  for (const descriptor of inherited) stdio[descriptor] = descriptor
  if (lock !== undefined) stdio[numberForLock(inherited, env)] = lock
  return Array.from(stdio, (entry) => entry ?? 'ignore')
}

/** Returns the first free number. A jobserver's is not free though it is closed: a lock file is no pipe of tokens. */
function numberForLock(inherited, env) {
  const flags = JOBSERVERS.map((name) => env[name]).join(' ')
  const named = [...flags.matchAll(/--jobserver-(?:auth|fds)=(\d+),(\d+)/g)].flatMap(([, ...ends]) => ends.map(Number))
  let number = FIRST
  while (inherited.includes(number) || named.includes(number)) number++
  return number
}

module.exports = { inheritedDescriptors, stdioOf }
