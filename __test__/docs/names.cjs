'use strict'

// The names that code in the documentation uses without defining them: a reader has them already. Loaded before each
// block, as globals, so that a block may define them itself.

const assert = require('node:assert/strict')

const locket = require('@locket/native')

Object.assign(globalThis, locket)

const task = (name) => async () => name

Object.assign(globalThis, {
  build: task('built'),
  deploy: task('deployed'),
  read: task('read'),
  write: task('written'),
  /** What `// → value` becomes. */
  $equal: (actual, expected) => assert.deepEqual(actual, expected),
  /** What `// throws CODE` becomes. */
  $throws: (call, code) => assert.rejects(call, { code }),
})
