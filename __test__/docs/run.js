'use strict'

// Runs a code block of the documentation as a reader would: pasted into a file of its own, in a folder where the package
// is installed. There `// → value` after an expression says what it comes to, and `// throws CODE` how it fails.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { temporaryFolder } = require('../support/folders.js')
const { obstacle, sharedServer } = require('../../packages/postgres/test/support/server.js')
const { needs, unavailable } = require('../support/systems.js')
const { ROOT } = require('./markdown.js')
const { compile } = require('./typescript.js')

const NAMES = path.join(__dirname, 'names.cjs')

/** How long a block may take, in milliseconds. */
const LIMIT = 60_000

/** A folder with what blocks find there: the package, its command, and the files in folder/. */
function prepareFolder(t) {
  const folder = temporaryFolder(t)
  fs.cpSync(path.join(__dirname, 'folder'), folder, { recursive: true })
  const modules = path.join(folder, 'node_modules')
  fs.mkdirSync(path.join(modules, '@locket'), { recursive: true })
  fs.symlinkSync(ROOT, path.join(modules, '@locket/native'), 'junction')
  // A copy, which finds @locket/native here.
  for (const name of ['proper-lockfile', 'postgres']) {
    fs.cpSync(path.join(ROOT, 'packages', name), path.join(modules, '@locket', name), { recursive: true })
  }
  fs.symlinkSync(path.join(ROOT, 'node_modules/pg'), path.join(modules, 'pg'), 'junction')
  if (process.platform !== 'win32') {
    fs.mkdirSync(path.join(modules, '.bin'))
    fs.symlinkSync(path.join(ROOT, 'bin/locket.js'), path.join(modules, '.bin/locket'))
  }
  return folder
}

const PROMISE = /^(\s*)(?:(const|let) (\w+) = )?(\S.*?) *\/\/ (→|throws) (.+)$/gm

/** The code with what its comments promise as assertions, each on the line of its comment. */
function withPromises(code) {
  return code.replaceAll(PROMISE, (_, indent, keyword, name, expression, sign, promised) => {
    if (sign === 'throws') return `${indent}await $throws(async () => ${expression}, '${promised}')`
    if (name === undefined) return `${indent}$equal(${expression}, ${promised})`
    return `${indent}${keyword} ${name} = ${expression}; $equal(${name}, ${promised})`
  })
}

/** In a CommonJS module one may not await at the top: readers know that such code stands in an async function. */
const inAsyncFunction = (code) =>
  `let over = false; process.on('beforeExit', () => { if (!over) process.exit(13) }); (async () => {${code}\n})().then(() => { over = true })`

const runNode = (folder, file) => run(process.execPath, ['--expose-gc', '--require', NAMES, file], { cwd: folder })

/** Runs a program to its end. Resolves to what it has written, also on its standard error, if it has ended well. */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { ...options, timeout: LIMIT, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error) reject(new Error(`${error.message}\n${stdout}`, { cause: error }))
        else resolve(stdout + stderr)
      },
    )
    child.stdin.end()
  })
}

function runShell(folder, script) {
  const file = path.join(folder, 'block.sh')
  fs.writeFileSync(file, script)
  const bins = [path.join(folder, 'node_modules/.bin'), path.join(ROOT, 'node_modules/.bin'), process.env.PATH]
  return run('sh', ['-e', file], { cwd: folder, env: { ...process.env, PATH: bins.join(path.delimiter) } })
}

/** A line of a console, as shown: each number, and each `…`, stands for any. */
function pattern(line) {
  const escaped = line.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return escaped.replaceAll(/\d+/g, '\\d+').replaceAll('…', '.*')
}

const RUNNERS = {
  js(t, { code }) {
    const folder = prepareFolder(t)
    const isCommonJs = /\brequire\(/.test(code)
    const file = path.join(folder, isCommonJs ? 'block.cjs' : 'block.mjs')
    const promised = withPromises(code)
    fs.writeFileSync(file, isCommonJs ? inAsyncFunction(promised) : promised)
    return runNode(folder, file)
  },
  ts(t, { code }) {
    const folder = prepareFolder(t)
    fs.writeFileSync(path.join(folder, 'block.mts'), withPromises(code))
    compile(folder, 'block.mts')
    return runNode(folder, path.join(folder, 'block.mjs'))
  },
  sh(t, { code }) {
    if (process.platform !== 'win32' || needs(t, 'sh')) return runShell(prepareFolder(t), code)
  },
  /** Commands after `$ `, each followed by what it writes. */
  async console(t, { code }) {
    if (process.platform !== 'linux') return unavailable(t, 'what is shown is what Linux shows')
    const lines = code.trimEnd().split('\n')
    const commands = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2))
    const shown = lines.filter((line) => !line.startsWith('$ '))
    const output = await runShell(prepareFolder(t), `exec 2>&1\n${commands.join('\n')}\n`)
    assert.match(output, new RegExp(`^${shown.map((line) => `${pattern(line)}\\n`).join('')}$`))
  },
  json(_t, { code }) {
    JSON.parse(code)
  },
}

RUNNERS.javascript = RUNNERS.js
RUNNERS.typescript = RUNNERS.ts
RUNNERS.bash = RUNNERS.sh
RUNNERS.shell = RUNNERS.sh

/** Can blocks of this language be run? */
const isRunnable = (language) => Object.hasOwn(RUNNERS, language)

/** Returns true for a block that talks to a PostgreSQL server, which it finds in the environment. */
const needsServer = ({ code }) => /@locket\/postgres'|^psql /m.test(code)

async function runBlock(t, block) {
  if (needsServer(block)) {
    if (obstacle !== undefined) return unavailable(t, obstacle)
    process.env.DATABASE_URL = (await sharedServer()).url
  }
  return RUNNERS[block.language](t, block)
}

module.exports = { isRunnable, runBlock }
