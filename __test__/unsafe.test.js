'use strict'

// docs/unsafe.md names every file of the addon that has unsafe code, how much of it, and why.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const ROOT = path.dirname(__dirname)
const PAGE = 'docs/unsafe.md'

const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8').replaceAll('\r\n', '\n')

/** All Rust files below a folder, as paths from the root. */
function rustFiles(folder) {
  return fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name)
    if (entry.isDirectory()) return rustFiles(name)
    return name.endsWith('.rs') ? [name] : []
  })
}

/** The code without its comments. What is in strings cannot be told apart, and need not be: none says `unsafe`. */
const codeOf = (source) => source.replaceAll(/\/\/.*$/gm, '').replaceAll(/\/\*[\s\S]*?\*\//g, '')

/** How much unsafe code there is, by kind. */
function countUnsafe(source) {
  const code = codeOf(source)
  const count = (pattern) => [...code.matchAll(pattern)].length
  return {
    blocks: count(/\bunsafe\s*\{/g),
    // The types of such functions, too.
    functions: count(/\bunsafe\s+(?:extern\s+(?:"[^"]*"\s+)?)?fn\b/g),
    implementations: count(/\bunsafe\s+impl\b/g),
    all: count(/\bunsafe\b/g),
  }
}

/** The table of the page: file, blocks, functions, implementations, reason. */
function rowsOfPage() {
  const rows = read(PAGE).matchAll(/^\| \[`(.+?)`\]\(.+?\) *\| *(\d+) *\| *(\d+) *\| *(\d+) *\| *(.*?) *\|$/gm)
  return [...rows].map(([, file, blocks, functions, implementations, reason]) => ({
    file,
    blocks: Number(blocks),
    functions: Number(functions),
    implementations: Number(implementations),
    reason,
  }))
}

const found = ['build.rs', ...rustFiles('src')]
  .map((file) => ({ file, ...countUnsafe(read(file)) }))
  .filter(({ all }) => all > 0)

test('docs/unsafe.md has a row for each file with unsafe code, and counts what is in it', () => {
  const inPage = rowsOfPage().map(({ reason, ...row }) => row)
  const inCode = found.map(({ all, ...row }) => row)
  const byFile = (a, b) => (a.file < b.file ? -1 : 1)
  assert.deepEqual(inPage.sort(byFile), inCode.sort(byFile))
})

test('each row of docs/unsafe.md gives a reason', () => {
  for (const { file, reason } of rowsOfPage()) assert.ok(reason.split(' ').length > 5, `${file}: ${reason}`)
})

test('every unsafe is of a kind that is counted', () => {
  for (const { file, all, ...counts } of found) {
    const sum = Object.values(counts)
      .filter(Number.isInteger)
      .reduce((a, b) => a + b, 0)
    assert.equal(sum, all, file)
  }
})

test('every unsafe block has a SAFETY comment within the lines before it', () => {
  for (const { file } of found) {
    const lines = read(file).split('\n')
    lines.forEach((line, index) => {
      if (!/\bunsafe\s*\{/.test(line)) return
      const before = lines.slice(Math.max(0, index - 5), index + 1).join('\n')
      assert.match(before, /\/\/ SAFETY: /, `${file}:${index + 1}`)
    })
  }
})
