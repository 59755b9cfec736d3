'use strict'

// docs/unsafe.md has a row with the reason for every Rust file with unsafe code.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { ROOT } = require('../support/folders.js')

const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8').replaceAll('\r\n', '\n')

/** All Rust files below a folder, as paths from the root. */
function rustFiles(folder) {
  if (!fs.existsSync(path.join(ROOT, folder))) return []
  return fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name)
    if (entry.isDirectory()) return rustFiles(name)
    return name.endsWith('.rs') ? [name] : []
  })
}

/** The code without its comments. What is in strings cannot be told apart, and need not be: none says `unsafe`. */
const codeOf = (source) => source.replaceAll(/\/\/.*$/gm, '').replaceAll(/\/\*[\s\S]*?\*\//g, '')

const withUnsafe = ['build.rs', ...rustFiles('src'), ...rustFiles('crates')].filter((file) =>
  /\bunsafe\b/.test(codeOf(read(file))),
)

/** The rows of the page's table: a link to the file first, the reason last. */
const rows = [...read('docs/unsafe.md').matchAll(/^\| \[`(.+?)`\]\(.+?\) *\|(?:.*\|)? *(.*?) *\|$/gm)]

test('docs/unsafe.md has a row for each file with unsafe code, and for no other', () => {
  assert.deepEqual(rows.map(([, file]) => file).sort(), withUnsafe.sort())
})

test('each row of docs/unsafe.md gives a reason', () => {
  for (const [, file, reason] of rows) assert.ok(reason.split(' ').length > 5, `${file}: ${reason}`)
})

test('every unsafe block has a SAFETY comment within the lines before it', () => {
  for (const file of withUnsafe) {
    const lines = read(file).split('\n')
    lines.forEach((line, index) => {
      if (!/\bunsafe\s*\{/.test(line)) return
      const before = lines.slice(Math.max(0, index - 5), index + 1).join('\n')
      assert.match(before, /\/\/ SAFETY: /, `${file}:${index + 1}`)
    })
  }
})
