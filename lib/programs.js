'use strict'

// Names processes in messages: by number, program, and the script that the program runs. Never by more of the command
// line, which may contain secrets.

const SHELL = /^(?:ba|da|k|z|a)?sh$/
const INTERPRETER = /^(?:node(?:js)?|deno|bun|tsx|python[\d.]*|pypy[\d.]*|ruby[\d.]*|perl[\d.]*)$/

/** Options that exclude a script: the program itself is an argument, or comes from standard input. */
const NO_SCRIPT = /^(?:-|-[a-zA-Z]*[ceEps].*|--(?:eval|print|run|interactive)\b.*)$/
const NO_SCRIPT_IN_SHELL = /^(?:-|-[a-zA-Z]*[cs].*)$/

/** Options whose value is the next argument. */
const TAKES_VALUE = /^(?:-[a-zA-Z]*[rCIWXQoOFM]|--(?:require|import|loader|experimental-loader|conditions|env-file))$/

/** Names that are scripts, and not the value of an option. */
const SCRIPT = /\.(?:[cm]?[jt]sx?|py|rb|pl|sh|bash|zsh)$/

/** The most characters of a name that are shown. */
const LONGEST = 60

/** Returns `4242 (node deploy.js)`; without the program if the command line is unknown, with the host if it is another. */
function nameProcess({ pid, command = '', host }) {
  const program = nameProgram(command)
  return `${pid}${program && ` (${program})`}${host === undefined ? '' : ` on ${cut(host)}`}`
}

/** Returns `node deploy.js` for `/usr/bin/node --inspect /srv/deploy.js --token=…`. */
function nameProgram(command) {
  const [first, ...rest] = command.trim().split(' ')
  // An assignment to an environment variable is not a program.
  if (first.includes('=')) return ''
  // A login shell has a hyphen before its name.
  const program = baseName(first).replace(/^-/, '')
  const isShell = SHELL.test(program)
  if (!isShell && !INTERPRETER.test(program)) return cut(program)
  const script = scriptIn(rest, isShell ? NO_SCRIPT_IN_SHELL : NO_SCRIPT)
  return script === undefined ? program : `${program} ${cut(baseName(script))}`
}

/** Returns the script among the arguments of an interpreter, or undefined in case of doubt. */
function scriptIn(args, none) {
  let doubtful = false
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]
    // The subcommand of Deno and Bun before the script.
    if (i === 0 && arg === 'run') continue
    if (arg === '--') return args[i + 1]
    if (none.test(arg)) return undefined
    if (!arg.startsWith('-')) return doubtful && !SCRIPT.test(arg) ? undefined : arg
    if (TAKES_VALUE.test(arg)) i++
    // The next argument may be the value of an unknown option.
    else doubtful ||= arg.startsWith('--')
  }
}

const baseName = (path) => path.slice(path.lastIndexOf('/') + 1)

const cut = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name)

module.exports = { nameProcess }
