'use strict'

// What Linux tells of locks and descriptors.

const fs = require('node:fs')

const { until } = require('./waiting.js')

const lines = () => fs.readFileSync('/proc/locks', 'utf8').split('\n')

/** The lines of the kernel's table for this process and `file`: of what it holds and waits for. */
function kernelLocks(file) {
  const { ino } = fs.statSync(file)
  const ours = new RegExp(` FLOCK .* ${process.pid} [0-9a-f]+:[0-9a-f]+:${ino} `)
  return lines().filter((line) => ours.test(line))
}

/** Returns true if a process waits in the kernel for the lock of `file`. */
function isWaitedFor(file) {
  const { ino } = fs.statSync(file)
  return lines().some((line) => line.includes('->') && line.includes(`:${ino} `))
}

/** Resolves when the process waits in the kernel for a lock. `kind`: WRITE or READ, the kernel's words for the modes. */
function waitsInKernel({ pid }, kind = '\\w+') {
  const wait = new RegExp(`-> FLOCK +ADVISORY +${kind} +${pid} `)
  return until(() => lines().some((line) => wait.test(line)), `a wait of process ${pid} in the kernel`)
}

/** The file that a descriptor of this process has open; undefined if it is closed. */
function targetOf(descriptor) {
  try {
    return fs.readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return undefined
  }
}

/** The descriptors of this process for `file`. */
const descriptorsOf = (file) =>
  fs
    .readdirSync('/proc/self/fd')
    .filter((descriptor) => targetOf(descriptor) === file)
    .map(Number)

module.exports = { descriptorsOf, isWaitedFor, kernelLocks, targetOf, waitsInKernel }
