'use strict'

// What users get: the package is packed and installed into an empty project, far from this clone and its node_modules,
// and used there as CommonJS, ES module, TypeScript and bundle.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')

const esbuild = require('esbuild')

const { builtBinary, install, installInto, pack, packAll, root } = require('../../scripts/packaging.js')

const TOOLS = path.join(root, 'node_modules')
const TSC = path.join(TOOLS, 'typescript/bin/tsc')
const ATTW = path.join(TOOLS, '@arethetypeswrong/cli/dist/index.js')
/** How long a program may take, in milliseconds. */
const LIMIT = 120_000

let folder
let packed
let project

before(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-packaging-')))
  packed = packAll(folder)
  project = path.join(folder, 'project')
  fs.mkdirSync(project)
  installInto(project, packed)
})

after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** Runs Node in the project. */
const node = (...args) => nodeIn(project, ...args)

/** Runs Node in a folder. */
function nodeIn(cwd, ...args) {
  const { NODE_OPTIONS, NAPI_RS_NATIVE_LIBRARY_PATH, NODE_PATH, ...env } = process.env
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    encoding: 'utf8',
    env: { ...env, NO_COLOR: '1', FORCE_COLOR: '0' },
    timeout: LIMIT,
  })
  return { status: status ?? signal, output: stdout + stderr }
}

/** Writes a file of the project. Its path. */
function write(name, content) {
  const file = path.join(project, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content)
  return file
}

/** A program takes a lock, and sees that it has it, by `lockFile` as `load` provides it. Says "held" and "free". */
const program = (load) => `
  ${load}
  lockFile('test.lock').run(async (lock) => {
    await lockFile('test.lock').acquire({ timeout: 0 }).catch((error) => {
      if (!(error instanceof LockTimeoutError)) throw error
      console.log(lock.held ? 'held' : 'not held')
    })
  }).then(async () => console.log((await lockFile('test.lock').isLocked()) ? 'locked' : 'free'))
`

const runs = (file) => assert.deepEqual(node(file), { status: 0, output: 'held\nfree\n' })

test('the tarball has what is needed, and nothing else', () => {
  const scripts = ['lib', 'bin'].flatMap((name) =>
    fs
      .readdirSync(path.join(root, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)).replaceAll('\\', '/')),
  )
  assert.ok(scripts.every((name) => name.endsWith('.js')))
  const others = ['CHANGELOG.md', 'LICENSE', 'README.md', 'index.d.ts', 'index.js', 'native.d.ts', 'native.js']
  assert.deepEqual(packed.main.files, [...others, 'package.json', ...scripts].sort())
})

test('the binary is in a package of its own, of the name that the loader asks for, for this platform alone', () => {
  const [binary] = packed.binary.files.filter((name) => name.endsWith('.node'))
  assert.deepEqual(packed.binary.files, ['README.md', binary, 'package.json'].sort())
  const name = `@locket/native-${binary.split('.')[1]}`
  const installed = JSON.parse(fs.readFileSync(path.join(project, 'node_modules', name, 'package.json'), 'utf8'))
  const own = require('../../package.json')
  assert.deepEqual(
    [installed.name, installed.version, installed.main, installed.os, installed.cpu],
    [name, own.version, binary, [process.platform], [process.arch]],
  )
  const { output } = node('-p', 'require("@locket/native"); Object.keys(require.cache).join("\\n")')
  assert.deepEqual(
    output.split('\n').filter((file) => file.endsWith('.node')),
    [path.join(project, 'node_modules', name, binary)],
  )
})

test('what is published has no binary, though one is built here', () => {
  assert.ok(fs.existsSync(path.join(root, builtBinary())))
  assert.ok(packed.main.files.every((name) => !name.endsWith('.node')))
  const installed = JSON.parse(fs.readFileSync(path.join(project, 'node_modules/@locket/native/package.json'), 'utf8'))
  assert.deepEqual(
    installed.files.filter((entry) => entry.endsWith('.node')),
    [],
  )
})

/** What somebody names to npm who uses a built clone in a project of their own. */
const CLONES = {
  'packed by `npm pack`': { place: () => pack(root, folder).tarball, loads: 'project' },
  'named as a folder': { place: () => root, loads: 'clone' },
  'named as a folder that is copied': { place: () => root, options: ['--install-links'], loads: 'project' },
}

for (const [how, { place, options, loads }] of Object.entries(CLONES)) {
  test(`a built clone, ${how}, is installed into another project with the binary that was built`, () => {
    const other = fs.mkdtempSync(path.join(folder, 'other-'))
    install(other, [place()], options)
    assert.deepEqual(fs.readdirSync(path.join(other, 'node_modules/@locket')), ['native'])
    fs.writeFileSync(
      path.join(other, 'main.cjs'),
      program("const { lockFile, LockTimeoutError } = require('@locket/native')"),
    )
    assert.deepEqual(nodeIn(other, 'main.cjs'), { status: 0, output: 'held\nfree\n' })
    const { output } = nodeIn(other, '-p', 'require("@locket/native"); Object.keys(require.cache).join("\\n")')
    const from = loads === 'clone' ? root : path.join(other, 'node_modules/@locket/native')
    assert.deepEqual(
      output.split('\n').filter((file) => file.endsWith('.node')),
      [path.join(from, builtBinary())],
    )
  })
}

test('`npm pack` builds what is missing or out of date, so that its tarball is never without a binary', () => {
  assert.equal(require('../../package.json').scripts.prepack, 'node scripts/prepare.js')
})

test('`npm publish` in a clone is refused: it would publish the binary of this machine alone', () => {
  const { status, stdout, stderr } = spawnSync('npm', ['publish', '--dry-run', '--offline'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  assert.notEqual(status, 0)
  assert.match(stdout + stderr, /What is published is staged by npm run publish:all/)
  assert.doesNotMatch(stdout + stderr, /\.node/)
})

test('nothing of this clone can be reached from the project', () => {
  assert.match(node('-p', "require.resolve('typescript')").output, /MODULE_NOT_FOUND/)
})

test('require() gives it', () => {
  runs(write('required.cjs', program("const { lockFile, LockTimeoutError } = require('@locket/native')")))
})

test('import gives it, by name', () => {
  runs(write('named.mjs', program("import { lockFile, LockTimeoutError } from '@locket/native'")))
})

test('import gives it, all at once and by default', () => {
  const all = "import * as all from '@locket/native'\nconst { lockFile } = all"
  runs(write('all.mjs', program(`${all}\nconst { LockTimeoutError } = all.default`)))
  // Each name of the CommonJS module is one of the ES module: Node finds them by reading the source.
  write(
    'names.mjs',
    "import * as all from '@locket/native'\nconsole.log(Object.keys(all.default).every((n) => n in all))",
  )
  assert.deepEqual(node('names.mjs'), { status: 0, output: 'true\n' })
})

test('the command-line tool is installed', () => {
  const tool = path.join(project, 'node_modules/@locket/native', require('../../package.json').bin.locket)
  assert.ok(
    fs.existsSync(path.join(project, 'node_modules/.bin', process.platform === 'win32' ? 'locket.cmd' : 'locket')),
  )
  const said = node(tool, 'test.lock', process.execPath, '-p', '"it runs"')
  assert.deepEqual(said, { status: 0, output: 'it runs\n' })
})

const RIGHT = `
export async function build(mode: LockMode): Promise<string> {
  const lock: FileLock = await lockFile('build.lock', { mode }).acquire({ timeout: 5000 })
  lock.release()
  try {
    return await lockFile(new URL('file:///build.lock')).run(() => 'built', { signal: AbortSignal.timeout(1000) })
  } catch (error) {
    if (error instanceof LockTimeoutError) return String(error.timeout)
    throw error
  }
}
`
const WRONG = `
lockFile(1)
lockFile('build.lock').acquire({ timeout: '5000' })
lockFile('build.lock').unlock()
`
const IMPORT = "import { type FileLock, type LockMode, LockTimeoutError, lockFile } from '@locket/native'"
const REQUIRE = `import locket = require('@locket/native')
import LockTimeoutError = locket.LockTimeoutError
import lockFile = locket.lockFile
type FileLock = locket.FileLock
type LockMode = locket.LockMode`

/** Brings the types of Node into the project, as somebody who writes TypeScript for Node has installed them. */
function installTypesOfNode() {
  for (const name of ['@types/node', 'undici-types']) {
    fs.cpSync(path.join(TOOLS, name), path.join(project, 'node_modules', name), { recursive: true })
  }
}

/** The kinds of TypeScript there are, by `moduleResolution`: the module each file is, and how it loads the package. */
const DIALECTS = {
  node16: {
    module: 'node16',
    files: { 'import.cts': IMPORT, 'require.cts': REQUIRE, 'import.mts': IMPORT },
  },
  bundler: { module: 'esnext', files: { 'import.ts': IMPORT } },
}

for (const [moduleResolution, { module, files }] of Object.entries(DIALECTS)) {
  test(`TypeScript (moduleResolution ${moduleResolution}) compiles it, and sees what is wrong`, () => {
    installTypesOfNode()
    // No more than is usual: what the declarations need they have to bring. The compiler's own need no check.
    const usual = { strict: true, noEmit: true, target: 'es2022', skipDefaultLibCheck: true }
    const compilerOptions = { ...usual, module, moduleResolution }
    write(`${moduleResolution}/tsconfig.json`, JSON.stringify({ compilerOptions }))
    for (const [name, load] of Object.entries(files)) {
      write(`${moduleResolution}/right-${name}`, `${load}\n${RIGHT}`)
      write(`${moduleResolution}/wrong-${name}`, `${load}\n${WRONG}`)
    }
    const { output } = node(TSC, '-p', moduleResolution, '--pretty', 'false')
    const errors = [...output.matchAll(/^(\S+)\(.*\): error (TS\d+)/gm)].map(([, file, code]) => `${file} ${code}`)
    const expected = Object.keys(files).flatMap((name) =>
      ['TS2345', 'TS2322', 'TS2339'].map((code) => `${moduleResolution}/wrong-${name} ${code}`),
    )
    assert.deepEqual(errors.sort(), expected.sort(), output)
  })
}

for (const format of ['cjs', 'esm']) {
  test(`a bundle (esbuild, ${format}) that leaves the package out runs`, () => {
    const entry = write('entry.mjs', program("import { lockFile, LockTimeoutError } from '@locket/native'"))
    const bundle = path.join(project, `bundle.${format === 'cjs' ? 'cjs' : 'mjs'}`)
    const { errors, warnings } = esbuild.buildSync({
      entryPoints: [entry],
      outfile: bundle,
      bundle: true,
      format,
      platform: 'node',
      external: ['@locket/native'],
      logLevel: 'silent',
    })
    assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] })
    runs(bundle)
  })
}

test('publint finds nothing in the tarball', async () => {
  const { publint } = await import('publint')
  const { buffer, byteOffset, byteLength } = fs.readFileSync(packed.main.tarball)
  const tarball = buffer.slice(byteOffset, byteOffset + byteLength)
  const { messages } = await publint({ pack: { tarball }, strict: true })
  assert.deepEqual(messages, [])
})

test('@arethetypeswrong/cli finds nothing in the tarball', () => {
  const { status, output } = node(ATTW, packed.main.tarball, '--no-definitely-typed', '--format', 'ascii')
  assert.equal(status, 0, output)
  assert.match(output, /No problems found/)
})
