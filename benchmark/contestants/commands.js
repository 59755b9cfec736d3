'use strict'

// Commands that hold a lock while another one runs.

const { spawnSync } = require('node:child_process')

/** That of util-linux, in C, which takes the same kernel lock as `locket`. */
module.exports = {
  name: 'flock (util-linux)',
  kind: 'kernel',
  runtime: 'C',
  rows: ['command'],
  version: () => spawnSync('flock', ['--version'], { encoding: 'utf8' }).stdout?.trim().split(' ').at(-1),
  command: (file) => ['flock', file, 'true'],
}
