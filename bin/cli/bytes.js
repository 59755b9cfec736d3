'use strict'

// Finds the bytes that are not UTF-8. Node.js replaces them by U+FFFD in arguments, environment and working folder, so that
// it would lock another file, or change what the command gets. Linux tells the bytes; elsewhere each U+FFFD is refused.

const { isUtf8 } = require('node:buffer')
const fs = require('node:fs')

const { EXIT, Failure } = require('./failure.js')
const { isIdentifier } = require('./shell.js')

const REPLACEMENT = '\ufffd'
const SLASH = 0x2f

const isSuspect = (text) => text.includes(REPLACEMENT)

/**
 * Returns the `request` that `args` make, with the bytes of what Node.js would change: `path` of the lock file, `words` of
 * the command by number (LINE is word 2 of SHELL -c LINE), `variables` by name. Throws a failure if the bytes are unknown.
 */
function withBytes(request, args) {
  const { action, file } = request
  if (file === undefined) return request
  const raw = args.some(isSuspect) ? rawWords(args) : undefined
  const found = {}
  if (isSuspect(file) || isSuspect(workingFolder())) found.path = pathOf(file, raw?.[args.indexOf(file)])
  if (action === 'run') {
    found.words = wordsOf(request, args, raw)
    found.variables = variablesOf(process.env)
  }
  return { ...request, ...found }
}

/** Returns the absolute path. No option has a value with U+FFFD, so the first word that reads as FILE is FILE. */
function pathOf(file, raw = isSuspect(file) ? undefined : Buffer.from(file)) {
  try {
    if (raw.length === 0 || raw[0] === SLASH) return raw
    return Buffer.concat([fs.readlinkSync('/proc/self/cwd', { encoding: 'buffer' }), Buffer.from('/'), raw])
  } catch {
    const message = `cannot open lock file ${file}: its path is not UTF-8, and Node.js would change it`
    throw new Failure(message, EXIT.NO_INPUT)
  }
}

function wordsOf({ command }, args, raw) {
  const begin = args.length - (command?.length ?? 3)
  const words = new Map()
  for (let index = command ? begin : args.length - 1; index < args.length; index++) {
    if (!isSuspect(args[index])) continue
    const isName = command !== undefined && index === begin
    if (raw === undefined || (isName && !isUtf8(raw[index]))) throw cannotPass(`'${args[index]}'`)
    if (!isUtf8(raw[index])) words.set(index - begin, raw[index])
  }
  return words
}

function variablesOf(env) {
  const variables = new Map()
  // By ownKeys: Node.js finds no value by a name that it has changed, and so no entry.
  const suspects = Reflect.ownKeys(env).filter((name) => isSuspect(name) || isSuspect(env[name]))
  const entries = suspects.length === 0 ? [] : (partsOf('/proc/self/environ') ?? [])
  for (const name of suspects) {
    const entry = entries.find((each) => each.toString() === `${name}=${env[name]}`)
    if (entry !== undefined && isUtf8(entry)) continue
    if (entry === undefined || !isIdentifier(name)) throw cannotPass(`the environment variable ${name}`)
    variables.set(name, entry.subarray(name.length + 1))
  }
  return variables
}

function cannotPass(what) {
  return new Failure(
    `failed to execute the command: ${what} is not UTF-8, and Node.js would change it`,
    EXIT.UNAVAILABLE,
  )
}

/** Returns the bytes of `args`, the last words of the command line; undefined if they are unknown. */
function rawWords(args) {
  const words = partsOf('/proc/self/cmdline')?.slice(-args.length)
  // A process can overwrite them with a title of its own.
  return words?.every((word, index) => word.toString() === args[index]) ? words : undefined
}

/** Returns the parts of a file, each of which ends with a NUL; undefined if there is no such file. */
function partsOf(file) {
  try {
    const parts = []
    let rest = fs.readFileSync(file)
    for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
      parts.push(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    return parts
  } catch {
    return undefined
  }
}

/** Returns '' if it has been deleted: acquiring the lock reports that. */
function workingFolder() {
  try {
    return process.cwd()
  } catch {
    return ''
  }
}

module.exports = { withBytes }
