'use strict'

// What users get: the package is packed and installed into an empty project, far from this clone and its node_modules,
// and used there as CommonJS, ES module, TypeScript and bundle.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { enableCompileCache } = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')

const esbuild = require('esbuild')

const { linksIn } = require('../docs/markdown.js')
const { BUNDLES, MANUAL } = require('../../scripts/bundle.js')
const { builtBinary, install, output, pack, packAll, root } = require('../../scripts/packaging.js')

const { version } = require('../../package.json')

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
  const { main, binary, dropIn } = packed
  install(project, [main.tarball, binary.tarball, `proper-lockfile@${dropIn.tarball}`])
})

after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** Runs Node in the project. */
const node = (...args) => nodeIn(project, ...args)

/** Installs a tarball or folder of @locket/postgres into the folder `own`, with pg. */
function installPostgres(own, place) {
  fs.mkdirSync(own)
  install(own, [place], ['--legacy-peer-deps', '--no-save'])
  // npm would remove it.
  fs.symlinkSync(path.join(TOOLS, 'pg'), path.join(own, 'node_modules/pg'), 'junction')
}

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

const LOAD = `
  const fs = require('node:fs')
  const Module = require('node:module')
  const asked = []
  const load = Module._load
  Module._load = function (request) {
    if (!Module.isBuiltin(request)) asked.push(request)
    return load.apply(this, arguments)
  }
  const before = new Set(process.moduleLoadList)
  require('@locket/native')
  const modules = process.moduleLoadList.filter((name) => !before.has(name) && !/internal/i.test(name))
  const binaries = process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node'))
  const scripts = Object.keys(require.cache)
  console.log(JSON.stringify({ asked, scripts, modules, binaries: binaries.map((file) => fs.realpathSync(file)) }))`

/**
 * Loads the package in a folder. What require() was asked for, the files that were compiled, the modules of Node that were
 * loaded, and the binaries that were.
 */
function load(cwd, ...flags) {
  const { status, output } = nodeIn(cwd, ...flags, '-e', LOAD)
  assert.equal(status, 0, output)
  return JSON.parse(output)
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
  const scripts = ['bin/locket.js', ...BUNDLES, ...MANUAL]
  const types = ['index.d.ts', 'proper-lockfile.d.ts']
  const others = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json', ...types]
  const isPage = (name) => /^(?:docs|examples|benchmark\/charts)\//.test(name)
  assert.deepEqual(
    packed.main.files.filter((name) => !isPage(name)),
    [...others, ...scripts].sort(),
  )
})

test('the pages in the tarball lead only to what is in it, or to addresses', () => {
  const pages = packed.main.files.filter((name) => name.endsWith('.md'))
  assert.ok(pages.length > 10, pages.join())
  for (const page of pages) {
    const file = path.join(project, 'node_modules/@locket/native', page)
    for (const link of linksIn(fs.readFileSync(file, 'utf8'))) {
      if (/^(?:\w+:|#)/.test(link)) continue
      assert.ok(fs.existsSync(path.join(path.dirname(file), link.split('#')[0])), `${page}: ${link}`)
    }
  }
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
  assert.deepEqual(load(project).binaries, [path.join(project, 'node_modules', name, binary)])
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

/** The layouts of node_modules: where the package is, and its binary, in a project. */
const LAYOUTS = {
  'of npm and Yarn, beside each other': { home: 'node_modules/@locket/native', binary: 'node_modules/@locket' },
  'of npm, one below the other where another version is beside it': {
    home: 'node_modules/@locket/native',
    binary: 'node_modules/@locket/native/node_modules/@locket',
    other: 'node_modules/@locket',
  },
  'of pnpm, with links': {
    home: 'node_modules/.pnpm/@locket+native@1/node_modules/@locket/native',
    binary: 'node_modules/.pnpm/@locket+native-binary@1/node_modules/@locket',
    links: {
      'node_modules/@locket/native': 'node_modules/.pnpm/@locket+native@1/node_modules/@locket/native',
      'node_modules/.pnpm/@locket+native@1/node_modules/@locket/BINARY':
        'node_modules/.pnpm/@locket+native-binary@1/node_modules/@locket/BINARY',
    },
  },
}

/** Puts what is installed in the project into an empty folder, in another layout. The folder, and the path of the binary. */
function layOut({ home, binary, other, links = {} }) {
  const into = fs.mkdtempSync(path.join(folder, 'layout-'))
  const from = path.join(project, 'node_modules/@locket')
  const name = fs.readdirSync(from).find((each) => each !== 'native')
  const file = fs.readdirSync(path.join(from, name)).find((each) => each.endsWith('.node'))
  fs.cpSync(path.join(from, 'native'), path.join(into, home), { recursive: true })
  fs.cpSync(path.join(from, name), path.join(into, binary, name), { recursive: true })
  if (other) fs.cpSync(path.join(from, name), path.join(into, other, name), { recursive: true })
  for (const [link, target] of Object.entries(links)) {
    const place = path.join(into, link.replace('BINARY', name))
    fs.mkdirSync(path.dirname(place), { recursive: true })
    fs.symlinkSync(path.join(into, target.replace('BINARY', name)), place, 'junction')
  }
  return { into, script: path.join(into, home, 'dist/index.js'), file: path.join(into, binary, name, file) }
}

for (const [what, layout] of Object.entries(LAYOUTS)) {
  test(`loading compiles one file, loads no module of Node, and opens the binary by its path: ${what}`, () => {
    const { into, script, file } = layOut(layout)
    const expected = { asked: ['@locket/native'], scripts: [script], modules: [], binaries: [file] }
    assert.deepEqual(load(into), expected)
  })
}

test('in any other layout require() finds the binary, as links that are not followed show', () => {
  const { into, file } = layOut({
    home: 'node_modules/@locket/native',
    binary: '../node_modules/@locket',
  })
  const { asked, binaries } = load(into)
  assert.deepEqual(binaries, [path.resolve(file)])
  assert.ok(asked.includes(path.posix.join('@locket', path.basename(path.dirname(file)))), asked.join())
})

test('a timeout is told also if the package has been removed since it was loaded', () => {
  const { into } = layOut(LAYOUTS['of npm and Yarn, beside each other'])
  const { status, output } = nodeIn(
    into,
    '-e',
    `const { lockFile } = require('@locket/native')
    require('node:fs').renameSync('node_modules', 'removed')
    lockFile('test.lock').acquireSync()
    lockFile('test.lock').acquire(0).catch(({ message }) => console.log(message.replace(process.pid, 'PID')))`,
  )
  assert.equal(status, 0, output)
  const holder = process.platform === 'linux' ? 'held by PID, which is this process' : 'it is locked'
  assert.equal(output, `Couldn't lock ${path.join(into, 'test.lock')}: ${holder}\n`)
})

test('the stack of an error has frames with the names and lines of readable code', () => {
  const { output } = node('-p', "try { require('@locket/native').lockFile('x', { wait: 1 }) } catch (e) { e.stack }")
  const frames = [...output.matchAll(/at (?:new )?(\S+) \((.+):(\d+):\d+\)/g)].filter(([, , file]) =>
    /native.dist/.test(file),
  )
  const code = fs.readFileSync(path.join(project, 'node_modules/@locket/native/dist/index.js'), 'utf8').split('\n')
  assert.deepEqual(
    frames.map(([, name]) => name),
    ['invalid', 'wrongValue', 'checkOptions', 'FileLock', 'Object.lockFile'],
  )
  const lines = frames.map(([, , , line]) => code[line - 1].trim())
  assert.match(lines.at(-2), /^} = checkOptions\(options, LOCK_FILE_OPTIONS\);$/)
  assert.equal(lines.at(-1), 'return new FileLock(path, options);')
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
    const from = loads === 'clone' ? root : path.join(other, 'node_modules/@locket/native')
    assert.deepEqual(load(other), {
      asked: ['@locket/native'],
      scripts: [path.join(from, 'dist/index.js')],
      modules: [],
      binaries: [path.join(from, builtBinary())],
    })
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

test('the command-line tool compiles one file, and keeps compiled code where only who may change the code can', () => {
  const { into } = layOut(LAYOUTS['of npm and Yarn, beside each other'])
  const home = path.join(into, 'node_modules/@locket/native')
  const cache = path.join(home, '.cache')
  fs.rmSync(cache, { recursive: true, force: true })
  const TMPDIR = fs.mkdtempSync(path.join(folder, 'temporary-'))
  // What lets everybody write lets nobody write here.
  const tell = "process.umask(0); process.on('exit', () => console.log(JSON.stringify(Object.keys(require.cache))))"
  fs.writeFileSync(path.join(into, 'tell.cjs'), tell)
  const args = ['--require', './tell.cjs', path.join(home, 'bin/locket.js'), 'test.lock', process.execPath, '-e', '0']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: into,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR, TEMP: TMPDIR, TMP: TMPDIR },
    timeout: LIMIT,
  })
  assert.deepEqual([status, stderr], [0, ''])
  assert.deepEqual(
    JSON.parse(stdout),
    ['tell.cjs', 'node_modules/@locket/native/bin/locket.js', 'node_modules/@locket/native/dist/command.js'].map(
      (name) => path.join(into, name),
    ),
  )
  assert.deepEqual(fs.readdirSync(TMPDIR), [])
  assert.equal(fs.existsSync(cache), enableCompileCache !== undefined)
  if (enableCompileCache === undefined || process.platform === 'win32') return
  const folders = fs.readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const name of [cache, ...folders.map((entry) => path.join(entry.parentPath, entry.name))]) {
    assert.equal(fs.statSync(name).mode & 0o022, 0, name)
  }
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

/** Brings packages of this clone into a project. */
function copyPackages(into, ...names) {
  for (const name of names) {
    fs.cpSync(path.join(TOOLS, name), path.join(into, 'node_modules', name), { recursive: true })
  }
}

/** Adds `@types/node` to the project, which every TypeScript project for Node has. */
const installTypesOfNode = () => copyPackages(project, '@types/node', 'undici-types')

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

/** A program that uses the drop-in as programs use proper-lockfile, loaded by `load`. */
const dropInProgram = (load) => `
  ${load}
  const release = lockfile.lockSync('package.json')
  console.log(lockfile.checkSync('package.json') ? 'held' : 'not held')
  lockfile('package.json').catch((error) => {
    console.log(error.code)
    release()
    console.log(lockfile.checkSync('package.json') ? 'locked' : 'free')
  })
`

const DROP_IN_LOADS = {
  'drop-in.cjs': "const lockfile = require('proper-lockfile')",
  'drop-in-of-main.cjs': "const lockfile = require('@locket/native/proper-lockfile')",
  'drop-in.mjs': "import lockfile from 'proper-lockfile'",
  'drop-in-by-name.mjs':
    "import { checkSync, lock, lockSync } from 'proper-lockfile'\nconst lockfile = Object.assign((file) => lock(file), { checkSync, lockSync })",
}

for (const [name, load] of Object.entries(DROP_IN_LOADS)) {
  test(`the drop-in runs in the place of proper-lockfile: ${load.split('\n')[0]}`, () => {
    assert.deepEqual(node(write(name, dropInProgram(load))), { status: 0, output: 'held\nELOCKED\nfree\n' })
  })
}

test('the tarball of the drop-in has what is needed, and nothing else', () => {
  assert.deepEqual(packed.dropIn.files, ['LICENSE', 'README.md', 'index.d.ts', 'index.js', 'package.json'])
})

const RIGHT_DROP_IN = `
export async function build(): Promise<boolean> {
  const options: lockfile.LockOptions = { retries: { retries: 3, minTimeout: 100 }, onCompromised: (error) => error.stack }
  const release: () => Promise<void> = await lockfile.lock('package.json', options)
  await release()
  return lockfile.check('package.json', { stale: 5000 })
}
`
const WRONG_DROP_IN = `
lockfile.lock('package.json', { stale: '5s' })
lockfile.lockSync('package.json').then()
`

test('TypeScript compiles the drop-in as it does proper-lockfile, and sees what is wrong', () => {
  installTypesOfNode()
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', module: 'node16', moduleResolution: 'node16' }
  const loads = {
    'require.cts': "import lockfile = require('proper-lockfile')",
    'namespace.cts': "import * as lockfile from 'proper-lockfile'",
    'import.mts': "import lockfile from 'proper-lockfile'",
    'of-main.cts': "import lockfile = require('@locket/native/proper-lockfile')",
  }
  write('drop-in/tsconfig.json', JSON.stringify({ compilerOptions }))
  for (const [name, load] of Object.entries(loads)) {
    write(`drop-in/right-${name}`, `${load}\n${RIGHT_DROP_IN}`)
    write(`drop-in/wrong-${name}`, `${load}\n${WRONG_DROP_IN}`)
  }
  const { output } = node(TSC, '-p', 'drop-in', '--pretty', 'false')
  const errors = [...output.matchAll(/^(\S+)\(.*\): error (TS\d+)/gm)].map(([, file, code]) => `${file} ${code}`)
  const expected = Object.keys(loads).flatMap((name) =>
    ['TS2322', 'TS2339'].map((code) => `drop-in/wrong-${name} ${code}`),
  )
  assert.deepEqual(errors.sort(), expected.sort(), output)
})

test('the tarball of @locket/postgres has what is needed, and nothing else', () => {
  assert.deepEqual(packed.postgres.files, ['LICENSE', 'README.md', 'dist/index.js', 'index.d.ts', 'package.json'])
})

for (const [name, load] of Object.entries({
  'postgres.cjs': "const { postgresLock } = require('@locket/postgres')",
  'postgres.mjs': "import { postgresLock } from '@locket/postgres'",
})) {
  test(`@locket/postgres needs nothing but pg: ${load}`, () => {
    const own = path.join(folder, name.replace('.', '-'))
    installPostgres(own, packed.postgres.tarball)
    fs.writeFileSync(path.join(own, name), `${load}; console.log(postgresLock('report').name)`)
    assert.deepEqual(nodeIn(own, name), { status: 0, output: 'report\n' })
  })
}

test('TypeScript needs no types of pg for @locket/postgres, and with them sees what is wrong with a connection', () => {
  const own = path.join(folder, 'postgres-types')
  installPostgres(own, packed.postgres.tarball)
  copyPackages(own, '@types/node', 'undici-types')
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', module: 'node16', skipDefaultLibCheck: true }
  fs.writeFileSync(path.join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const load = "import { postgresLock } from '@locket/postgres'"
  fs.writeFileSync(path.join(own, 'right.ts'), `${load}\npostgresLock('x', { connection: { host: 'db' }, timeout: 5 })`)
  const wrong = "postgresLock('x', { timeout: '5s' })\npostgresLock('x', { connection: { host: 7 } })"
  fs.writeFileSync(path.join(own, 'wrong.ts'), `${load}\n${wrong}`)
  const errors = () =>
    nodeIn(own, TSC, '-p', '.', '--pretty', 'false').output.replaceAll(
      /^(\S+\(\d+),.*error (TS\d+).*\n(?: .*\n)*/gm,
      '$1) $2\n',
    )
  assert.equal(errors(), 'wrong.ts(2) TS2322\n')
  copyPackages(own, '@types/pg', 'pg-types', 'pg-protocol')
  assert.equal(errors(), 'wrong.ts(2) TS2322\nwrong.ts(3) TS2322\n')
})

/** Makes a clone in which nothing is built, with what `npm pack` needs in packages/postgres. */
function unbuiltClone() {
  const clone = fs.mkdtempSync(path.join(folder, 'clone-'))
  const filter = (file) => !/[\\/](?:node_modules|dist)$/.test(file)
  for (const name of ['package.json', 'package-lock.json', 'lib', 'bin', 'scripts', 'packages/postgres']) {
    fs.cpSync(path.join(root, name), path.join(clone, name), { recursive: true, filter })
  }
  fs.symlinkSync(TOOLS, path.join(clone, 'node_modules'), 'junction')
  // The packages are installed.
  fs.utimesSync(path.join(clone, 'package-lock.json'), 0, 0)
  return path.join(clone, 'packages/postgres')
}

test('@locket/postgres is packed by `npm pack` in an unbuilt clone, which bundles it, and the tarball is installed', () => {
  const from = unbuiltClone()
  output('npm', ['pack', `--pack-destination=${from}`], from)
  const [tarball] = fs.readdirSync(from).filter((name) => name.endsWith('.tgz'))
  assert.equal(tarball, `locket-postgres-${version}.tgz`)
  const own = path.join(folder, 'postgres-of-clone')
  installPostgres(own, path.join(from, tarball))
  const script = "console.log(require('@locket/postgres').postgresLock('report').name)"
  assert.deepEqual(nodeIn(own, '-e', script), { status: 0, output: 'report\n' })
  assert.equal(fs.existsSync(path.join(own, 'node_modules/@locket/postgres/dist/index.js')), true)
})

for (const name of ['main', 'dropIn', 'postgres']) {
  test(`publint finds nothing in the tarball: ${name}`, async () => {
    const { publint } = await import('publint')
    const { buffer, byteOffset, byteLength } = fs.readFileSync(packed[name].tarball)
    const tarball = buffer.slice(byteOffset, byteOffset + byteLength)
    const { messages } = await publint({ pack: { tarball }, strict: true })
    assert.deepEqual(messages, [])
  })

  test(`@arethetypeswrong/cli finds nothing in the tarball: ${name}`, () => {
    const { status, output } = node(ATTW, packed[name].tarball, '--no-definitely-typed', '--format', 'ascii')
    assert.equal(status, 0, output)
    assert.match(output, /No problems found/)
  })
}
