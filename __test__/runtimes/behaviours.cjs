'use strict'

// What the package does on every runtime, in plain asserts: runners of tests are not the same everywhere. Each one is run
// in a process of its own (see run.cjs), by scripts/runtimes.js.

module.exports = {
  behaviours: {
    ...require('./behaviours/lock.cjs'),
    ...require('./behaviours/processes.cjs'),
    ...require('./behaviours/threads.cjs'),
    ...require('./behaviours/host.cjs'),
    ...(process.platform === 'win32' ? require('./behaviours/windows.cjs') : {}),
  },
}
