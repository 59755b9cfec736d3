'use strict'

// What must be true of a binary before anybody gets it.

const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { root } = require('../prepare.js')
const { packageOf, PACKAGES, PLATFORMS, prebuiltOf } = require('./platforms.js')

/** The largest that a binary may be, in bytes, unless its platform has a limit of its own. */
const LIMIT = 640_000

/** What Node looks for in an addon. */
const ENTRY = 'napi_register_module_v1'

/** What may be asked of a system; everything else has to be inside. */
const LIBRARIES = {
  ELF: /^(libc\.so(\.[67])?|ld(64|-linux-.*)\.so\.\d|lib(m|dl|pthread|rt|thr)\.so\.\d)$/,
  MachO: /^\/usr\/lib\/lib(System\.B|iconv\.2)\.dylib$/,
  PE: /^(kernel32|ntdll|bcryptprimitives|api-ms-win-(core|crt)-[a-z0-9-]+)\.dll$/i,
}

/** The text of `content` that looks like a path of the machine on which it was built. */
function pathsOfThisMachine(content) {
  const text = content.toString('latin1')
  const places = [root, os.homedir(), '/usr/lib/rustlib', '/usr/src/', '.cargo/registry', process.env.CARGO_HOME]
  return places.filter((place) => place && text.includes(place))
}

const isNewer = (a, b) => a.localeCompare(b, undefined, { numeric: true }) > 0

/** What is wrong with a binary, by the facts of inspect.py and its content. */
function problemsOf({ format, arch, glibc, libc, macos, signed, limit = LIMIT }, facts, content) {
  const problems = []
  const expect = (what, is, wanted) => is === wanted || problems.push(`${what} is ${is}, not ${wanted}`)
  expect('the format', facts.format, format)
  expect('the processor', facts.arch, arch)
  // Apple's linker leaves names of its own beside it.
  if (format === 'MachO') expect('the entry', facts.exports.includes(ENTRY), true)
  else expect('what is exported', facts.exports.join(', '), ENTRY)
  const strange = facts.libraries.filter((name) => !LIBRARIES[format].test(name))
  if (strange.length > 0) problems.push(`it needs ${strange.join(', ')}`)
  if (libc && !facts.libraries.includes(libc)) problems.push(`it does not need ${libc}`)
  if (glibc ? !facts.glibc || isNewer(facts.glibc, glibc) : facts.glibc) problems.push(`it needs glibc ${facts.glibc}`)
  if (macos) {
    expect('the oldest macOS', facts.macos, macos)
    expect('its own name', facts.name, '@rpath/locket.node')
    // Without this flag, dyld does not set up the thread-local variables of the library.
    expect('the flag MH_HAS_TLV_DESCRIPTORS', facts.thread_locals, true)
  }
  if (signed) expect('the signature', facts.signed, true)
  if (content.length > limit) problems.push(`it has ${content.length} bytes, more than ${limit}`)
  const places = pathsOfThisMachine(content)
  if (places.length > 0) problems.push(`paths are in it: ${places.join(', ')}`)
  return problems
}

/** What is wrong with the package around a binary. */
function problemsOfPackage(name) {
  const { name: is, version, main, files } = JSON.parse(fs.readFileSync(path.join(packageOf(name), 'package.json')))
  const own = require('../../package.json')
  const binary = path.basename(prebuiltOf(name))
  const wanted = { is: `${own.name}-${name}`, version: own.version, main: binary, files: [binary] }
  const right = JSON.stringify({ is, version, main, files }) === JSON.stringify(wanted)
  return right ? [] : [`its package.json is not of ${wanted.is}@${wanted.version}`]
}

/** What inspect.py says of a file. */
function inspect(file, python) {
  const { status, stdout, stderr } = spawnSync(python, [path.join(__dirname, 'inspect.py'), file], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** A line about a binary, and what is wrong with it. */
function check(name, python) {
  const content = fs.readFileSync(prebuiltOf(name))
  const facts = inspect(prebuiltOf(name), python)
  const libc = facts.libraries.includes('libc.so.7') ? 'FreeBSD' : 'musl'
  const system = { ELF: facts.glibc ? `glibc ${facts.glibc}` : libc, MachO: `macOS ${facts.macos}`, PE: 'Windows' }
  const line = [name.padEnd(21), facts.format.padEnd(7), facts.arch.padEnd(9), system[facts.format].padEnd(12)]
  const problems = [...problemsOf(PLATFORMS[name].expected, facts, content), ...problemsOfPackage(name)]
  return { line: `${line.join('')}${content.length.toLocaleString('en').padStart(8)} bytes`, problems }
}

/** Writes the list that `sha256sum --check` reads. */
function writeSums(names) {
  const line = (name) => {
    const sum = createHash('sha256')
      .update(fs.readFileSync(prebuiltOf(name)))
      .digest('hex')
    return `${sum}  ${path.relative(PACKAGES, prebuiltOf(name)).replaceAll('\\', '/')}\n`
  }
  fs.writeFileSync(path.join(PACKAGES, 'SHA256SUMS'), names.map(line).join(''))
}

module.exports = { check, problemsOf, writeSums }
