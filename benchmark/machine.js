'use strict'

// What the figures were measured on.

const { spawnSync } = require('node:child_process')
const os = require('node:os')

function machine(folder) {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory: os.totalmem(),
    // The version alone, without what the builder has added.
    kernel: os.release().split('-')[0],
    fileSystem: fileSystemOf(folder),
  }
}

/** The kind of file system that a folder is on: `ext4`, `tmpfs`. */
function fileSystemOf(folder) {
  const { stdout } = spawnSync('df', ['--output=fstype', folder], { encoding: 'utf8' })
  return stdout?.trim().split('\n')[1] ?? 'unknown file system'
}

module.exports = { machine }
