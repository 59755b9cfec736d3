'use strict'

// What the figures were measured on.

const fs = require('node:fs')
const os = require('node:os')

function machine(folder) {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory: os.totalmem(),
    // Its version alone: what follows is the builder's own.
    kernel: os.release().split('-')[0],
    fileSystem: fileSystemOf(folder),
  }
}

/** The kind of file system that a folder is on: `ext4`, `tmpfs`. */
function fileSystemOf(folder) {
  const real = fs.realpathSync(folder)
  const mounts = mountTable().filter(({ point }) => point === '/' || `${real}/`.startsWith(`${point}/`))
  // The last of the longest: what is mounted later hides what was there.
  const innermost = mounts.reduce((best, mount) => (mount.point.length >= best.point.length ? mount : best), mounts[0])
  return innermost?.type ?? 'unknown file system'
}

function mountTable() {
  const table = '/proc/self/mounts'
  if (!fs.existsSync(table)) return []
  const lines = fs.readFileSync(table, 'utf8').trimEnd().split('\n')
  return lines.map((line) => {
    const [, point, type] = line.split(' ')
    return { point: point.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))), type }
  })
}

module.exports = { machine }
