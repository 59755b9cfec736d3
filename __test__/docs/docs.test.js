'use strict'

// The documentation: its code runs, its links lead somewhere, and it leaves nothing out.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const locket = require('../..')
const { anchorsOf, blocksOf, files, headingsOf, linksOf, ROOT } = require('./markdown.js')
const { isRunnable, runBlock } = require('./run.js')

/** What is not run: in shell code each line that begins so, elsewhere a block whose first line does. */
const NOT_RUN = [
  { begins: 'npm install @locket/native', why: 'it is not on npm yet' },
  { begins: 'npm install proper-lockfile@npm:@locket/proper-lockfile', why: 'it is not on npm yet' },
  { begins: 'npm install @locket/postgres', why: 'it is not on npm yet' },
  { begins: 'mkdir -p ../my-project', why: 'has tests of its own (packaging.test.js)' },
  { begins: 'npm pack --pack-destination ../my-project', why: 'has tests of its own (packaging.test.js)' },
  { begins: 'npm pack --workspace', why: 'has tests of its own (packaging.test.js)' },
  { begins: 'npm install ./locket-', why: 'has tests of its own (packaging.test.js)' },
  { begins: 'npm install ../path/to/clone', why: 'has tests of its own (packaging.test.js)' },
  { begins: 'source "$(npm root -g)', why: 'completions have tests of their own (manual.test.js)' },
  { begins: 'fpath+=("$(npm root -g)', why: 'completions have tests of their own (manual.test.js)' },
  { begins: 'ln -s "$(npm root -g)', why: 'completions have tests of their own (manual.test.js)' },
  { begins: 'npm run demo', why: 'has tests of its own (demo.test.js)' },
  { begins: 'npm test', why: 'runs this' },
  { begins: 'npm run bench', why: 'takes long, and has tests of its own (benchmark.test.js)' },
  { begins: 'npm version', why: 'changes the version' },
  { begins: 'cargo update', why: 'takes a new version in Cargo.toml' },
  { begins: 'npm run release:check', why: 'has tests of its own (version.test.js)' },
  { begins: 'git ', why: 'changes the repository' },
  { begins: 'npm run prebuilds', why: 'takes long, and CI runs it' },
  { begins: 'npm run publish:all', why: 'publishes' },
  { begins: 'npm login', why: 'takes an account' },
  { begins: 'npm trust', why: 'takes an account' },
  { begins: 'npm access', why: 'takes an account' },
  { begins: 'npm audit signatures', why: 'takes a package that is published' },
  { begins: 'gh release', why: 'takes a release' },
  { begins: 'sha256sum', why: 'takes a package that is published' },
  { begins: 'npm deprecate', why: 'takes an account' },
  { begins: 'npm dist-tag', why: 'takes an account' },
]

/** The pages whose code has tests of its own. */
const TESTED_ELSEWHERE = { 'docs/bundlers.md': '__test__/bundlers', 'docs/test-runners.md': '__test__/runners' }

const SHELL = ['sh', 'bash', 'shell']

const skips = (line) => NOT_RUN.some(({ begins }) => line.startsWith(begins))

/** What of a block is run. */
function runnablePart({ language, code }) {
  const lines = code.split('\n')
  if (!SHELL.includes(language)) return skips(lines[0]) ? '' : code
  return lines.filter((line) => !skips(line)).join('\n')
}

const markdown = files()
const tested = markdown.filter((file) => !Object.hasOwn(TESTED_ELSEWHERE, file))
const blocks = tested.flatMap(blocksOf).filter(({ language }) => language !== '' && language !== 'text')

// Each in a process of its own, which mostly waits for its locks or for Node to start.
describe('code in the documentation', { concurrency: os.availableParallelism() }, () => {
  for (const block of blocks) {
    const code = runnablePart(block)
    if (code.trim() === '' || !isRunnable(block.language)) continue
    test(`the ${block.language} at line ${block.line} of ${block.file} does what it says`, (t) =>
      runBlock(t, { ...block, code }))
  }
})

test('code in the documentation is run, or is in the list of what is not', () => {
  const unknown = blocks.filter((block) => runnablePart(block).trim() !== '' && !isRunnable(block.language))
  assert.deepEqual(
    unknown.map(({ file, line, language }) => `${file}:${line} (${language})`),
    [],
  )
})

test('nothing is in the list of what is not run but what is in the documentation', () => {
  const starts = blocks.flatMap(({ language, code }) => (SHELL.includes(language) ? code.split('\n') : [code]))
  const stale = NOT_RUN.filter(({ begins }) => !starts.some((start) => start.startsWith(begins)))
  assert.deepEqual(stale, [])
})

describe('each link leads somewhere', () => {
  for (const file of markdown) {
    test(`in ${file}`, () => {
      const dead = linksOf(file).filter((link) => !/^[a-z]+:/i.test(link) && !leadsSomewhere(file, link))
      assert.deepEqual(dead, [])
    })
  }
})

function leadsSomewhere(file, link) {
  const [target, anchor] = link.split('#')
  const name = target === '' ? file : path.posix.join(path.posix.dirname(file), decodeURIComponent(target))
  if (!fs.existsSync(path.join(ROOT, name))) return false
  return anchor === undefined || (name.endsWith('.md') && anchorsOf(name).includes(anchor))
}

test('docs/api.md has a section for each export and for each member of a FileLock', () => {
  const headings = headingsOf('docs/api.md').join('\n')
  const members = Reflect.ownKeys(locket.FileLock.prototype).filter((key) => key !== 'constructor')
  const names = members.filter((key) => typeof key === 'string' || key.description.startsWith('Symbol.'))
  for (const name of [...Object.keys(locket), ...names]) {
    const written = typeof name === 'symbol' ? `[${name.description}]` : name
    assert.ok(headings.includes(written), written)
  }
})

test('docs/troubleshooting.md has a section for each code of this package', () => {
  const headings = headingsOf('docs/troubleshooting.md').join('\n')
  const lib = path.join(ROOT, 'lib')
  const source = fs.readdirSync(lib).map((name) => fs.readFileSync(path.join(lib, name), 'utf8'))
  const codes = new Set(source.join('').match(/\b(?:ERR_[A-Z_]+|ABORT_ERR)\b/g))
  assert.ok(codes.size > 4)
  for (const code of codes) assert.ok(headings.includes(code), code)
})

test('each page of docs/ is linked to from the README or another page', () => {
  const pages = markdown.filter((file) => file.startsWith('docs/'))
  for (const page of pages) {
    const others = markdown.filter((file) => file !== page)
    const isLinked = others.some((file) =>
      linksOf(file).some((link) => path.posix.join(path.posix.dirname(file), link.split('#')[0]) === page),
    )
    assert.ok(isLinked, page)
  }
})
