'use strict'

// Starting a command on Windows. There the system itself starts only .exe and .com; npm's commands are .cmd files, for
// cmd.exe to run, which reads the whole command line anew.

const fs = require('node:fs')
const path = require('node:path').win32

const { EXIT, Failure } = require('./failure.js')

const DIRECT = ['.exe', '.com']
const EXTENSIONS = '.COM;.EXE;.BAT;.CMD'

const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false

/** What spawn has to start for `command`: `{ file, args, verbatim }`. */
function startOfCommand([command, ...args], { env = process.env, exists = isFile } = {}) {
  const found = find(command, env, exists)
  // Also what is not found: spawn says what is wrong with it.
  if (found === undefined || DIRECT.includes(path.extname(found).toLowerCase())) return { file: found ?? command, args }
  return startOfLine([found, ...args].map(quote).join(' '), { env })
}

/** The same for a line that is for cmd.exe to understand. */
function startOfLine(line, { env = process.env } = {}) {
  // /d: nothing from the registry runs before; /s: it takes off these quotes and no others. quote() needs the others.
  const args = ['/d', '/e:on', '/v:off', '/s', '/c', `"${line}"`]
  return { file: env.ComSpec || 'cmd.exe', args, verbatim: true }
}

/** The file that `command` means, as cmd.exe looks for it; undefined if there is none. */
function find(command, env, exists) {
  const extensions = (env.PATHEXT || EXTENSIONS).split(';').filter((extension) => extension !== '')
  const names = extensions.map((extension) => command + extension)
  if (path.extname(command) !== '') names.unshift(command)
  const files = foldersFor(command, env).flatMap((folder) => names.map((name) => path.join(folder, name)))
  return files.find(exists)
}

function foldersFor(command, env) {
  if (/[\\/:]/.test(command)) return ['']
  // A folder with a semicolon in its name stands in quotes.
  const folders = (env.PATH ?? '').match(/(?:"[^"]*"|[^;"])+/g) ?? []
  const here = env.NoDefaultCurrentDirectoryInExePath === undefined ? ['.'] : []
  return [...here, ...folders.map((folder) => folder.replaceAll('"', ''))]
}

/**
 * One argument in quotes, as both cmd.exe, once or twice, and the program behind it read it. Within quotes cmd.exe has
 * an eye for quotes and percent signs alone.
 */
function quote(argument) {
  if (/[\r\n]/.test(argument)) throw new Failure('a .cmd file cannot be given a line break', EXIT.UNAVAILABLE)
  // Backslashes before a quote count double; a quote is doubled, so that for cmd.exe the text stays in quotes.
  const escaped = argument.replace(/(\\*)("|$)/g, (_, slashes, end) => slashes + slashes + end + end)
  // %cd:~,% is the empty beginning of a variable that is always there. It keeps the sign before it from another one.
  return `"${escaped.replaceAll('%', '%%cd:~,%')}"`
}

module.exports = { startOfCommand, startOfLine }
