'use strict'

// A command that is started by way of a shell, which becomes the command. It does what spawn() cannot do: hand on bytes
// that are not UTF-8, and tell the command its own pid.

const fs = require('node:fs')
const path = require('node:path')

/** Where systemd names the process that its sockets and its watchdog are for. */
const PIDS = ['LISTEN_PID', 'WATCHDOG_PID']

/**
 * Returns the start of a command that gets some of its words, by their numbers, and some variables, by their names, as
 * these bytes, and is told its own pid where this process is told its own. Mostly that is the command as it is.
 */
function startWith(command, { words, variables }, env = process.env) {
  const [file, ...args] = command
  const pids = PIDS.filter((name) => env[name] === String(process.pid))
  // What cannot be run is left to spawn(), for its errors.
  if (words.size + variables.size + pids.length === 0 || !isProgram(file, env)) return { file, args }
  // Some shells leave such variables out; env(1) sets them again.
  const others = Object.keys(env).filter((name) => !isIdentifier(name))
  const all = [...(others.length > 0 ? ['env', ...others.map((name) => `${name}=${env[name]}`)] : []), ...command]
  const first = all.length - command.length
  const script = [
    ...[...variables].map(([name, bytes]) => `export ${name}; ${assign(name, bytes)}`),
    ...[...words].map(([number, bytes]) => assign(nameOf(number), bytes)),
    ...pids.map((name) => `export ${name}=$$`),
    // systemd's second way to name the process, which nobody else can make. Without it the pid is what counts.
    pids.length > 0 ? 'unset LISTEN_PIDFDID' : '',
    `exec ${all.map((_, index) => `"\${${words.has(index - first) ? nameOf(index - first) : index + 1}}"`).join(' ')}`,
  ]
  return { file: '/bin/sh', args: ['-c', script.join('\n'), 'sh', ...all] }
}

/** Can a shell have a variable of this name? */
const isIdentifier = (name) => /^[a-z_]\w*$/i.test(name)

const nameOf = (number) => `locket_word_${number}`

/** A line of the shell. The dot keeps line breaks at the end, which $(…) takes off. */
function assign(name, bytes) {
  const digits = [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
  return `${name}=$(printf '${digits}.'); ${name}=\${${name}%.}`
}

function isProgram(file, { PATH = '/usr/bin:/bin' }) {
  const files = file.includes('/') ? [file] : PATH.split(':').map((folder) => path.join(folder, file))
  return files.some((each) => {
    try {
      fs.accessSync(each, fs.constants.X_OK)
      return fs.statSync(each).isFile()
    } catch {
      return false
    }
  })
}

module.exports = { isIdentifier, startWith }
