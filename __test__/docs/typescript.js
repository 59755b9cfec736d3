'use strict'

// TypeScript as its users have it: strict, for Node, against the package's own types.

const assert = require('node:assert/strict')
const path = require('node:path')

const { ROOT } = require('./markdown.js')

/** Checks a file of `folder`, and writes the JavaScript of it beside it. */
function compile(folder, name) {
  // Not at the top: it takes half a second.
  const ts = require('typescript')
  const options = {
    strict: true,
    noEmitOnError: true,
    // The package's own declarations are checked in types/.
    skipLibCheck: true,
    module: ts.ModuleKind.Node16,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
    typeRoots: [path.join(ROOT, 'node_modules/@types')],
    types: ['node'],
  }
  const program = ts.createProgram([path.join(folder, name), path.join(__dirname, 'names.d.ts')], options)
  const { diagnostics } = program.emit()
  const all = [...ts.getPreEmitDiagnostics(program), ...diagnostics]
  const host = { getCanonicalFileName: (file) => file, getCurrentDirectory: () => folder, getNewLine: () => '\n' }
  assert.equal(all.length, 0, ts.formatDiagnostics(all, host))
}

module.exports = { compile }
