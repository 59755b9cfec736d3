'use strict'

// What users read who have the package, but not the binary for their platform.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { PLATFORMS } = require('../../scripts/packaging/stage.js')
const { ROOT, temporaryFolder } = require('../support/folders.js')
const { outcomeOf } = require('../support/processes.js')
const { needing, onLinux } = require('../support/systems.js')

const { name, version, main } = require('../../package.json')

/** The name of this platform, as binaries have it. */
const HERE = fs
  .readdirSync(ROOT)
  .find((file) => /^locket\..*\.node$/.test(file))
  .split('.')[1]
const FILE = `locket.${HERE}.node`
const OPTIONAL = { [`${name}-${HERE}`]: version, [`${name}-another`]: version }

/**
 * Loads the package as it is published, but without any binary, or with the contents of `binary`. `prelude` runs before
 * that, in a Node that is started with `flags`. What the error says, or what the package exports.
 */
function load(
  t,
  { folder = temporaryFolder(t), optionalDependencies = OPTIONAL, prelude = '', binary, flags = [], env = {} } = {},
) {
  const home = install(folder, { optionalDependencies, binary })
  return run([...flags, '-e', prelude + scriptFor(home)], env)
}

/** Loads the package in `home`, and prints what the error says, or what it exports. */
const scriptFor = (home) => `
  try { console.log(JSON.stringify({ exports: Object.keys(require(${JSON.stringify(home)})) })) } catch (error) {
    const { name, code, message, cause } = error
    console.log(JSON.stringify({ name, code, message, cause: { code: cause.code, message: cause.message } }))
  }`

/** Puts the package into node_modules of `folder`. Its own folder. */
function install(folder, { optionalDependencies = OPTIONAL, binary } = {}) {
  const modules = path.join(folder, 'node_modules')
  const home = path.join(modules, name)
  fs.cpSync(path.join(ROOT, 'dist'), path.join(home, 'dist'), { recursive: true })
  fs.writeFileSync(path.join(home, 'package.json'), JSON.stringify({ name, version, main, optionalDependencies }))
  if (binary !== undefined) {
    const of = path.join(modules, `${name}-${HERE}`)
    fs.mkdirSync(of)
    fs.writeFileSync(path.join(of, 'package.json'), JSON.stringify({ version, main: FILE }))
    if (binary !== null) fs.writeFileSync(path.join(of, FILE), binary)
  }
  return home
}

/** What a Node with these arguments prints, which is JSON. */
function run(args, env = {}, command = process.execPath) {
  const { NAPI_RS_NATIVE_LIBRARY_PATH, ...rest } = process.env
  const { stdout, stderr } = outcomeOf(command, args, { env: { ...rest, ...env } })
  return JSON.parse(stdout || JSON.stringify(`nothing was printed: ${stderr}`))
}

const BINARY = fs.readFileSync(path.join(ROOT, FILE))

/** An error must be of a binary that is there. */
function isUnusable({ name: kind, code, message, cause }, reason, help) {
  assert.deepEqual([kind, code], ['Error', 'ERR_LOCKET_BINARY_UNUSABLE'], message)
  assert.ok(message.startsWith(`@locket/native cannot load its binary for ${HERE}, Node v`), message)
  assert.match(message, /locket\.[\w-]+\.node: /)
  assert.match(message, reason)
  assert.match(message, help)
  assert.doesNotMatch(message, /npm has a bug|finds no binary/)
  assert.match(cause.code, /^ERR_DLOPEN_/)
}

test('a package that is not installed is named, with what leaves it out and how to get it', (t) => {
  const { name: kind, code, message, cause } = load(t)
  assert.deepEqual([kind, code], ['Error', 'ERR_LOCKET_BINARY_MISSING'])
  assert.match(message, new RegExp(`^@locket/native finds no binary for ${HERE}, Node v`))
  assert.ok(message.includes(`The package @locket/native-${HERE} is not installed.`), message)
  assert.match(message, /--omit=optional, --no-optional/)
  assert.match(message, /another C library/)
  assert.match(message, /package-lock\.json/)
  assert.ok(message.endsWith(`npm install @locket/native-${HERE}@${version}`), message)
  assert.equal(cause.code, 'MODULE_NOT_FOUND')
  assert.ok(cause.message.includes(`@locket/native-${HERE}`), cause.message)
  assert.doesNotMatch(message + cause.message, /npm has a bug/)
})

test('a package whose binary has been taken out is said to be incomplete', (t) => {
  const { code, message } = load(t, { binary: null })
  assert.equal(code, 'ERR_LOCKET_BINARY_MISSING')
  assert.ok(message.includes(`The package @locket/native-${HERE} is installed, but its binary is not in it.`), message)
})

/** One that is for another machine, by the header of an ELF file: one that Node does not run on. */
const FOREIGN = Buffer.from(BINARY)
FOREIGN.writeUInt16LE(2, 18)

for (const [what, binary, reason, help, options = {}] of [
  ['that is empty is said to be empty', '', /the file is empty/, /install again/],
  // The loader of another system says these otherwise.
  [
    'that is no binary is said to be none',
    'version https://git-lfs.github.com/spec/v1',
    /no binary/,
    /install again/,
    onLinux,
  ],
  ['that is cut off is said to be cut off', BINARY.subarray(0, 40), /the file is cut off/, /install again/, onLinux],
  ['for another processor is said to be for another', FOREIGN, /for another processor/, /npm run build/, onLinux],
]) {
  test(`a file ${what}`, options, (t) => isUnusable(load(t, { binary }), reason, help))
}

const mountNamespace = { skip: onLinux.skip || needing('unshare', ['--mount', 'true']).skip }

test('a file on a file system with noexec: that is said, and what helps', mountNamespace, (t) => {
  const folder = temporaryFolder(t)
  const script = scriptFor(install(folder, { binary: BINARY }))
  const of = path.join(folder, 'node_modules', `${name}-${HERE}`)
  const mount = 'cp "$1"/* "$2" && mount -t tmpfs -o noexec none "$1" && cp "$2"/* "$1" && exec "$3" -e "$4"'
  const args = ['--mount', 'sh', '-c', mount, 'sh', of, temporaryFolder(t), process.execPath, script]
  isUnusable(run(args, {}, 'unshare'), /mounted with noexec/, /without noexec/)
})

test('without the right to load addons it says which flag forbids it', (t) => {
  isUnusable(load(t, { binary: BINARY, flags: ['--no-addons'] }), /started with --no-addons/, /Start it without/)
})

test('under the permission model it says which flag is missing', (t) => {
  const model = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'
  const answer = load(t, { binary: BINARY, flags: [model, '--allow-fs-read=*'] })
  isUnusable(answer, /permission model forbids addons/, /--allow-addons/)
})

test('a binary that the environment variable names is taken', (t) => {
  const { exports } = load(t, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: path.join(ROOT, FILE) } })
  assert.ok(exports.includes('lockFile'))
})

test('a variable that names nothing, or no binary, is named, with the reason', (t) => {
  const folder = temporaryFolder(t)
  for (const [file, contents, code, reason] of [
    ['missing.node', undefined, 'ERR_LOCKET_BINARY_MISSING', 'there is no such file'],
    ['empty.node', '', 'ERR_LOCKET_BINARY_UNUSABLE', 'the file is empty'],
  ]) {
    const named = path.join(folder, file)
    if (contents !== undefined) fs.writeFileSync(named, contents)
    const error = load(t, { binary: BINARY, env: { NAPI_RS_NATIVE_LIBRARY_PATH: named } })
    assert.equal(error.code, code)
    assert.match(error.message, /the environment variable NAPI_RS_NATIVE_LIBRARY_PATH names/)
    assert.ok(error.message.includes(`${named}: ${reason}`), error.message)
    assert.doesNotMatch(error.message, /npm has a bug|wasm/)
  }
})

test("a variable that names another package's addon, which reads the same variable, is not for us", (t) => {
  const folder = temporaryFolder(t)
  const ways = {
    'some.js': 'module.exports = { Tar: class {}, list() {} }',
    'opens.js': "module.exports = { open() { throw new Error('not ours') }, close() {} }",
    'nothing.js': 'module.exports = undefined',
  }
  for (const [file, source] of Object.entries(ways)) {
    const named = path.join(folder, file)
    fs.writeFileSync(named, source)
    const { exports, message } = load(t, { binary: BINARY, env: { NAPI_RS_NATIVE_LIBRARY_PATH: named } })
    assert.ok(exports?.includes('lockFile'), message)
    const { code } = load(t, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: named } })
    assert.equal(code, 'ERR_LOCKET_BINARY_MISSING')
  }
})

for (const format of ['cjs', 'esm']) {
  test(`code that was bundled (${format}) without its binary says that it was`, (t) => {
    const folder = temporaryFolder(t)
    install(folder)
    const entry = path.join(folder, 'entry.mjs')
    fs.writeFileSync(
      entry,
      `import(${JSON.stringify(name)}).catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`,
    )
    const outfile = path.join(folder, 'dist', format === 'cjs' ? 'bundle.cjs' : 'bundle.mjs')
    const banner = format === 'esm' && {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
    }
    const options = { bundle: true, platform: 'node', format, logLevel: 'silent', ...(banner && { banner }) }
    require('esbuild').buildSync({ entryPoints: [entry], outfile, ...options })
    const { code, message } = run([outfile])
    assert.equal(code, 'ERR_LOCKET_BINARY_MISSING')
    assert.match(message, /was bundled/)
    assert.ok(message.includes(`Copy ${FILE} from the package\n${name}-${HERE} to the folder of the bundle`), message)
    assert.match(message, /--external:@locket\/native/)
  })
}

test('a platform without a prebuilt binary is told how to build', (t) => {
  const { message } = load(t, { prelude: "Object.defineProperty(process, 'arch', { value: 'loong64' })" })
  assert.match(message, /There is no prebuilt binary for \S+-loong64/)
  assert.match(message, /takes Rust.*\n?.*npm run build/)
  assert.match(message, /NAPI_RS_NATIVE_LIBRARY_PATH/)
})

test('the binary of every platform is looked for there', (t) => {
  for (const platform of PLATFORMS) {
    const [os, arch] = platform.split('-')
    const prelude = `
      const tried = []
      process.dlopen = (_, file) => {
        tried.push(require('node:path').basename(file))
        throw new Error('not here')
      }
      process.on('exit', () => console.error(tried.join()))
      Object.defineProperties(process, { platform: { value: '${os}' }, arch: { value: '${arch}' } })`
    const { stderr } = outcomeOf(process.execPath, ['-e', prelude + scriptFor(install(temporaryFolder(t)))])
    assert.ok(stderr.includes(`locket.${platform}.node`), `${platform}: ${stderr}`)
  }
})

test('with another C library the package for that is the one that is missing', onLinux, (t) => {
  const prelude = 'process.report.getReport = () => ({ header: {} })'
  const binary = `${name}-linux-${process.arch}-musl`
  const { message } = load(t, { prelude, optionalDependencies: { [binary]: version } })
  assert.ok(message.includes(`The package ${binary} is not installed.`), message)
})

test('on armv7 the package is missed by its name there', onLinux, (t) => {
  const prelude = "Object.defineProperty(process, 'arch', { value: 'arm' })"
  const binary = `${name}-linux-arm-gnueabihf`
  const { message } = load(t, { prelude, optionalDependencies: { [binary]: version } })
  assert.ok(message.includes(`The package ${binary} is not installed.`), message)
})

test('in a clone it says how to build', (t) => {
  // Without optional dependencies, which are written when the package is published.
  const { message } = load(t, { optionalDependencies: null })
  assert.match(message, /This is a clone: `npm run build` builds the binary/)
})
