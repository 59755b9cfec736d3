'use strict'

// Starts a command through a shell, which becomes the command. It does what spawn() cannot do: pass bytes that are not
// UTF-8, and tell the command its own pid.

const fs = require('node:fs')
const path = require('node:path')

/** The variables in which systemd names the process for its sockets and its watchdog. */
const PIDS = ['LISTEN_PID', 'WATCHDOG_PID']

/**
 * Returns the arguments of spawn() for a command that gets these bytes as `words`, by number, and as `variables`, by name,
 * and its own pid where this process gets its own. If there is none of it, that is the command itself.
 */
function startWith(command, { words, variables }, env = process.env) {
  const [file, ...args] = command
  const pids = PIDS.filter((name) => env[name] === String(process.pid))
  // spawn() reports what cannot be run.
  if (words.size + variables.size + pids.length === 0 || !isProgram(file, env)) return { file, args }
  // Some shells drop such variables; env(1) sets them again.
  const others = Object.keys(env).filter((name) => !isIdentifier(name))
  const all = [...(others.length > 0 ? ['env', ...others.map((name) => `${name}=${env[name]}`)] : []), ...command]
  const first = all.length - command.length
  const script = [
    ...[...variables].map(([name, bytes]) => `export ${name}; ${assign(name, bytes)}`),
    ...[...words].map(([number, bytes]) => assign(nameOf(number), bytes)),
    ...pids.map((name) => `export ${name}=$$`),
    // systemd's second name of the process, which a shell cannot make. Without it the pid counts.
    pids.length > 0 ? 'unset LISTEN_PIDFDID' : '',
    `exec ${all.map((_, index) => `"\${${words.has(index - first) ? nameOf(index - first) : index + 1}}"`).join(' ')}`,
  ]
  return { file: '/bin/sh', args: ['-c', script.join('\n'), 'sh', ...all] }
}

/** Returns true if a shell can have a variable of this name. */
const isIdentifier = (name) => /^[a-z_]\w*$/i.test(name)

const nameOf = (number) => `locket_word_${number}`

/** Returns a line of shell code. The dot protects line breaks at the end, which $(…) removes. */
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
