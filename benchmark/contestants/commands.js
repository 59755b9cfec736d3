'use strict'

// Commands that hold a lock while another one runs.

const { spawnSync } = require('node:child_process')

/** Returns the last word of what a command says of its version. */
const versionOf = (command) =>
  spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0].trim().split(' ').at(-1)

/** That of util-linux, in C, which takes the same kernel lock as `locket`. */
const flock = {
  name: 'flock (util-linux)',
  kind: 'kernel',
  runtime: 'C',
  rows: ['command'],
  version: () => versionOf('flock'),
  command: (file) => ['flock', file, 'true'],
}

/** That of GNU parallel, in Perl: hard links of a file, for which it tries again and again. */
const sem = {
  name: 'sem (GNU parallel)',
  kind: 'file',
  runtime: 'Perl',
  needs: 'sem',
  rows: [],
  version: () => versionOf('sem'),
  limitCommand: (_, permits) => ['sem', '--will-cite', '--fg', '--jobs', String(permits), '--id', 'benchmark'],
}

module.exports = [flock, sem]
