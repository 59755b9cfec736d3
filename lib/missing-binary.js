'use strict'

// Explains why no binary could be loaded: which one, what the reason may be, and what to do. Loaded only then.

const fs = require('node:fs')
const path = require('node:path')

const { name, version, optionalDependencies } = require('../package.json')

const VARIABLE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

const FROM_SOURCE = `Build it from source, which takes Rust: in a clone of ${name}, \`npm ci\` and \`npm run build\`. The
environment variable ${VARIABLE} names a binary that lies elsewhere.`

const INSTALL_AGAIN = 'Delete node_modules, and install again.'

const ELF_MAGIC = 0x7f454c46
const ELF_HEADER = 64

/** Returns the one among `platforms` that fits the C library: with two, the first is for glibc and the second for musl. */
function platformHere(platforms) {
  if (platforms.length === 1) return platforms[0]
  // Or the report may look up the names of all peers of this process's sockets.
  const { excludeNetwork } = process.report
  process.report.excludeNetwork = true
  const { glibcVersionRuntime } = process.report.getReport().header
  process.report.excludeNetwork = excludeNetwork
  return platforms[glibcVersionRuntime ? 0 : 1]
}

/** Returns true for the error of a binary that is there, but cannot be loaded. */
const isOfLoading = (error) => /^ERR_(DLOPEN_|ACCESS_DENIED)/.test(error?.code)

/** Returns why an existing binary was not loaded, and what helps. */
function diagnose(error, file) {
  switch (error?.code) {
    case 'ERR_DLOPEN_DISABLED':
      return process.permission
        ? ["Node's permission model forbids addons", 'Start Node with --allow-addons, too.']
        : ['Node was started with --no-addons', 'Start it without, also where NODE_OPTIONS or a worker thread has it.']
    case 'ERR_ACCESS_DENIED':
      return [
        "Node's permission model forbids reading it",
        `Start Node with --allow-fs-read=${path.dirname(file)}/*, too.`,
      ]
  }
  const flaw = flawOf(file)
  if (flaw !== undefined) return [flaw, `${INSTALL_AGAIN}\n${FROM_SOURCE}`]
  const message = error?.message ?? String(error)
  if (/failed to map segment|operation not permitted|permission denied/i.test(message)) {
    return [
      `${message}. The system does not let it be executed: its file system may be mounted with noexec`,
      'Install the package on a file system without noexec, or mount it anew.',
    ]
  }
  return [message, FROM_SOURCE]
}

/** Returns the first bytes of a file, fewer if it is shorter, or undefined if it cannot be read. */
function headerOf(file) {
  try {
    const descriptor = fs.openSync(file, 'r')
    try {
      const header = Buffer.alloc(ELF_HEADER)
      return header.subarray(0, fs.readSync(descriptor, header))
    } finally {
      fs.closeSync(descriptor)
    }
  } catch {
    return undefined
  }
}

/** Returns the processor that an ELF file is for: a number, in the byte order of that processor. */
const machineOf = (header) => header.toString('hex', 18, 20)

/** Returns what is wrong with a file that should be a binary for this system, or undefined. */
function flawOf(file) {
  const header = headerOf(file)
  if (header === undefined) return undefined
  if (header.length === 0) return 'the file is empty'
  if (process.platform !== 'linux') return undefined
  if (header.length < 4 || header.readUInt32BE(0) !== ELF_MAGIC) return 'the file is no binary'
  if (header.length < ELF_HEADER) return 'the file is cut off'
  const own = headerOf(process.execPath)
  return own === undefined || machineOf(own) === machineOf(header) ? undefined : 'the file is for another processor'
}

/** Returns the file that `load`, which is a require(), finds by a name, or undefined. */
function fileOf(binary, load) {
  try {
    return load.resolve(binary)
  } catch {
    return undefined
  }
}

/** Returns true if a bundler has separated the code of this package from its files, among which `load` finds others. */
function isBundled(load) {
  try {
    return load('../package.json').name !== name
  } catch {
    return true
  }
}

function explainMissing(platform, load) {
  if (isBundled(load)) {
    return `The code of ${name} was bundled, and its binary was left behind. Copy locket.${platform}.node from the package
${name}-${platform} to the folder of the bundle. Or tell the bundler to leave ${name} out (esbuild:
--external:${name}), and install it beside the bundle.`
  }
  // Publishing writes them into package.json.
  if (!optionalDependencies) return `This is a clone: \`npm run build\` builds the binary for ${platform}.`
  const binary = `${name}-${platform}`
  if (!(binary in optionalDependencies)) return `There is no prebuilt binary for ${platform}.\n${FROM_SOURCE}`
  if (fileOf(`${binary}/package.json`, load))
    return `The package ${binary} is installed, but its binary is not in it. ${INSTALL_AGAIN}`
  return `The package ${binary} is not installed. It should come along with ${name}, as an optional dependency. It does not if
- optional dependencies are left out (--omit=optional, --no-optional): install with them;
- node_modules was installed on another platform, or for another C library, and copied: install where it is used;
- the lock file was made on another platform by a version of npm that forgot the others: delete node_modules and
  package-lock.json, and install again.
To install it by its name: npm install ${binary}@${version}`
}

const binaryError = (code, message, cause) => Object.assign(new Error(message, { cause }), { code })

/**
 * Returns the error for all binaries of these platforms that `load`, which is a require(), was asked for:
 * `{ binary, error }`.
 */
function describe(failures, load, platforms) {
  const platform = platformHere(platforms)
  const own = failures.filter(({ binary }) => binary.includes(platform))
  const unusable = own.find(({ binary, error }) => isOfLoading(error) || fileOf(binary, load))
  if (unusable === undefined) {
    return binaryError(
      'ERR_LOCKET_BINARY_MISSING',
      `${name} finds no binary for ${platform}, Node ${process.version}.\n${explainMissing(platform, load)}`,
      (own.at(-1) ?? failures[0]).error,
    )
  }
  const file = fileOf(unusable.binary, load) ?? unusable.binary
  const [reason, help] = diagnose(unusable.error, file)
  return binaryError(
    'ERR_LOCKET_BINARY_UNUSABLE',
    `${name} cannot load its binary for ${platform}, Node ${process.version}.\n${file}: ${reason}.\n${help}`,
    unusable.error,
  )
}

/** Returns the error for the binary that the environment variable names. */
function describeNamed(named, error) {
  const missing = error?.code === 'MODULE_NOT_FOUND'
  const [reason] = missing ? ['there is no such file'] : diagnose(error, named)
  return binaryError(
    missing ? 'ERR_LOCKET_BINARY_MISSING' : 'ERR_LOCKET_BINARY_UNUSABLE',
    `${name} cannot load the binary that the environment variable ${VARIABLE} names.
${named}: ${reason}.
Mend the variable, or unset it: then the package takes its own binary. Other packages read the same variable.`,
    error,
  )
}

module.exports = { describe, describeNamed }
