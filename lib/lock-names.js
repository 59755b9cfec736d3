'use strict'

// The names of locks as names of files that every file system keeps as they are, and that Windows does not reserve.

const { createHash } = require('node:crypto')

const PREFIX = 'lock-'
/** Of a name that is too long: the hash of it follows. */
const HASH_PREFIX = 'hash-'

/** The longest name of a file. Some file systems have no room for more than 143 bytes. */
const LONGEST = 128

const HASHED = /^hash-[0-9a-f]{64}$/

/** Escapes a UTF-16 code unit: capital letters too, since file systems may not tell them from small ones. */
function escapeUnit(unit) {
  const code = unit.charCodeAt(0)
  return code < 0x100 ? `%${code.toString(16).padStart(2, '0')}` : `%u${code.toString(16).padStart(4, '0')}`
}

const escapeName = (name) => PREFIX + name.replace(/[^a-z0-9_-]/g, escapeUnit)

const hashName = (name) => HASH_PREFIX + createHash('sha256').update(name, 'utf16le').digest('hex')

/** Returns the name of the file for the lock `name`. */
function fileOf(name) {
  if (name.length <= LONGEST) {
    const escaped = escapeName(name)
    if (escaped.length <= LONGEST) return escaped
  }
  return hashName(name)
}

/** Returns true for a file whose name has a hash: its content has the name of the lock. */
const isHashed = (file) => HASHED.test(file)

/** Returns the name of the lock that a file is for; undefined for one that has a hash, or that is none of ours. */
function nameIn(file) {
  if (!file.startsWith(PREFIX)) return undefined
  const name = file
    .slice(PREFIX.length)
    .replace(/%(?:u([0-9a-f]{4})|([0-9a-f]{2}))/g, (_, long, short) => String.fromCharCode(parseInt(long ?? short, 16)))
  return fileOf(name) === file ? name : undefined
}

/** Returns true for the name of a file that is for a lock. */
const isLockFile = (file) => isHashed(file) || nameIn(file) !== undefined

/** Returns what a file with a hash has as its content. */
const contentOf = (name) => JSON.stringify(name)

/** Returns the name that stands in a file with a hash, or undefined if that is not the name of the file. */
function nameInContent(content, file) {
  try {
    const name = JSON.parse(content)
    return typeof name === 'string' && fileOf(name) === file ? name : undefined
  } catch {
    // Nobody has written it yet, or not all of it.
    return undefined
  }
}

module.exports = { contentOf, fileOf, isHashed, isLockFile, nameIn, nameInContent }
