'use strict'

// What is not UTF-8. Node.js replaces such bytes of arguments, environment and working folder by U+FFFD, so that another
// file would be locked, or the command would be told something else. Linux tells the bytes; elsewhere each U+FFFD is
// suspect.

const { isUtf8 } = require('node:buffer')
const fs = require('node:fs')

const { EXIT, Failure } = require('./failure.js')
const { isIdentifier } = require('./shell.js')

const REPLACEMENT = '\ufffd'
const SLASH = 0x2f

const isSuspect = (text) => text.includes(REPLACEMENT)

/**
 * Returns the `request` that `args` have asked for, with what Node.js would change, as bytes: `path`, the lock file's;
 * `words`, the command's, by their numbers (LINE is word 2 of SHELL -c LINE); `variables`, by their names. Throws a
 * failure if the bytes are unknown.
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

/** Returns the absolute path. No option has a value with U+FFFD: the first word that reads as FILE is FILE. */
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
  // All names: Node.js finds no value by one that it has changed, and so has no entry for it.
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

/** Returns the bytes of each of `args`, with which the command line ends; undefined if they are unknown. */
function rawWords(args) {
  const words = partsOf('/proc/self/cmdline')?.slice(-args.length)
  // A process can write a title of its own over them.
  return words?.every((word, index) => word.toString() === args[index]) ? words : undefined
}

/** Returns the parts of a file, each of which a NUL ends; undefined if there is no such file. */
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

/** Returns nothing if it has been deleted: that is for the lock to say. */
function workingFolder() {
  try {
    return process.cwd()
  } catch {
    return ''
  }
}

module.exports = { withBytes }
