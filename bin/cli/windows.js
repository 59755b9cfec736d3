'use strict'

// Starts a command on Windows. The system itself starts only .exe and .com; npm's commands are .cmd files, which cmd.exe
// runs. It parses the whole command line again.

const fs = require('node:fs')
const path = require('node:path').win32

const { EXIT, Failure } = require('./failure.js')

const DIRECT = ['.exe', '.com']
const EXTENSIONS = '.COM;.EXE;.BAT;.CMD'

const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false

/** Returns the arguments of spawn() for `command`: `{ file, args, verbatim }`. */
function startOfCommand([command, ...args], { env = process.env, exists = isFile } = {}) {
  const found = find(command, env, exists)
  // spawn() reports what is not found.
  if (found === undefined || DIRECT.includes(path.extname(found).toLowerCase())) return { file: found ?? command, args }
  return startOfLine([found, ...args].map(quote).join(' '), { env })
}

/** Same as {@link startOfCommand}, for a line of cmd.exe. */
function startOfLine(line, { env = process.env } = {}) {
  // /d: runs nothing from the registry; /s: removes these quotes and no others. quote() needs /e:on and /v:off.
  const args = ['/d', '/e:on', '/v:off', '/s', '/c', `"${line}"`]
  return { file: env.ComSpec || 'cmd.exe', args, verbatim: true }
}

/** Returns the file that cmd.exe finds for `command`, or undefined. */
function find(command, env, exists) {
  const extensions = (env.PATHEXT || EXTENSIONS).split(';').filter((extension) => extension !== '')
  const names = extensions.map((extension) => command + extension)
  if (path.extname(command) !== '') names.unshift(command)
  const files = foldersFor(command, env).flatMap((folder) => names.map((name) => path.join(folder, name)))
  return files.find(exists)
}

function foldersFor(command, env) {
  if (/[\\/:]/.test(command)) return ['']
  // A folder with a semicolon in its name is quoted.
  const folders = (env.PATH ?? '').match(/(?:"[^"]*"|[^;"])+/g) ?? []
  const here = env.NoDefaultCurrentDirectoryInExePath === undefined ? ['.'] : []
  return [...here, ...folders.map((folder) => folder.replaceAll('"', ''))]
}

/**
 * Returns an argument in quotes, which cmd.exe, once or twice, and then the program read as the same argument. Within
 * quotes cmd.exe heeds only quotes and percent signs.
 */
function quote(argument) {
  if (/[\r\n]/.test(argument)) throw new Failure('a .cmd file cannot be given a line break', EXIT.UNAVAILABLE)
  // Backslashes before a quote are doubled; so is the quote, which keeps the text in quotes for cmd.exe.
  const escaped = argument.replace(/(\\*)("|$)/g, (_, slashes, end) => slashes + slashes + end + end)
  // %cd:~,% is the empty prefix of a variable that always exists. It separates the sign before it from the next one.
  return `"${escaped.replaceAll('%', '%%cd:~,%')}"`
}

module.exports = { startOfCommand, startOfLine }
