'use strict'

// What to say when no binary can be loaded: which package is missing, why that may be, and what to do. Loaded only then.

const { name, version, optionalDependencies } = require('../package.json')

/** The name of this platform, as the packages of binaries have it. */
function platformHere() {
  const { platform, arch } = process
  if (platform === 'win32') return `${platform}-${arch}-msvc`
  if (platform !== 'linux') return `${platform}-${arch}`
  // Else it may look up the names of all peers of this process's sockets.
  process.report.excludeNetwork = true
  return `${platform}-${arch}-${process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'}`
}

/** Why the package of a binary cannot be loaded, if it is there at all. */
function refusal(binary) {
  try {
    require.resolve(`${binary}/package.json`)
  } catch {
    return undefined
  }
  try {
    require(binary)
    return 'nothing is wrong with it now'
  } catch (error) {
    return error.message
  }
}

const FROM_SOURCE = `Build it from source, which takes Rust: in a clone of ${name}, \`npm ci\` and \`npm run build\`. The
environment variable NAPI_RS_NATIVE_LIBRARY_PATH names a binary that lies elsewhere.`

function explain(platform) {
  // Written into package.json when it is published.
  if (!optionalDependencies) return `This is a clone: \`npm run build\` builds the binary for ${platform}.`
  const binary = `${name}-${platform}`
  if (!(binary in optionalDependencies)) return `There is no prebuilt binary for ${platform}.\n${FROM_SOURCE}`
  const refused = refusal(binary)
  if (refused) return `The package ${binary} is installed, but cannot be loaded: ${refused}\n${FROM_SOURCE}`
  return `The package ${binary} is not installed. It should come along with ${name}, as an optional dependency. It does not if
- optional dependencies are left out (--omit=optional, --no-optional): install with them;
- node_modules was installed on another platform, or for another C library, and copied: install where it is used;
- the lock file was made on another platform by a version of npm that forgot the others: delete node_modules and
  package-lock.json, and install again.
To install it by its name: npm install ${binary}@${version}`
}

/** An error for the one of the generated loader. */
function describe(error) {
  const platform = platformHere()
  return new Error(`${name} finds no binary for ${platform}, Node ${process.version}.\n${explain(platform)}`, {
    cause: error,
  })
}

module.exports = { describe }
