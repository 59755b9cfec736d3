'use strict'

// How a behaviour and the processes that it starts talk, line by line: by pipes, or by files where pipes do not work
// (LOCKET_TALK=files: Node's pipes do not under wine).

const { spawn } = require('node:child_process')
const { EventEmitter } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')

const BY_FILES = process.env.LOCKET_TALK === 'files'

/** How often a file is looked at, in milliseconds. */
const PACE = 10

/** Emits "line" for each line that comes into `file`, and "close" once there is a file `file`.closed. */
class Follower extends EventEmitter {
  #file
  #seen = 0
  #timer

  constructor(file) {
    super()
    this.#file = file
    this.#timer = setInterval(() => this.#look(), PACE)
  }

  #look() {
    const closed = fs.existsSync(`${this.#file}.closed`)
    const lines = fs.readFileSync(this.#file, 'utf8').split('\n').slice(0, -1)
    for (; this.#seen < lines.length; this.#seen++) this.emit('line', lines[this.#seen])
    if (closed) this.close()
  }

  close() {
    clearInterval(this.#timer)
    this.emit('close')
  }

  /** Reads what has come last, and then no more. */
  end() {
    this.#look()
    this.close()
  }
}

/** The lines that this process is told by the one that has started it. */
const told = () =>
  BY_FILES ? new Follower(process.env.LOCKET_TOLD) : readline.createInterface({ input: process.stdin })

function startWithPipes(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (data) => {
    errors += data
  })
  child.stdin.on('error', () => {})
  return {
    child,
    lines: readline.createInterface({ input: child.stdout }),
    errors: () => errors,
    write: (line) => child.stdin.write(`${line}\n`),
    end: () => child.stdin.end(),
  }
}

function startWithFiles(command, args, folder) {
  const [said, failed, heard] = ['said', 'failed', 'told'].map((name) => path.join(folder, name))
  const [output, errors] = [said, failed].map((file) => fs.openSync(file, 'w'))
  fs.writeFileSync(heard, '')
  const env = { ...process.env, LOCKET_TOLD: heard }
  const child = spawn(command, args, { env, stdio: ['ignore', output, errors] })
  fs.closeSync(output)
  fs.closeSync(errors)
  const lines = new Follower(said)
  child.on('exit', () => lines.end())
  return {
    child,
    lines,
    errors: () => fs.readFileSync(failed, 'utf8'),
    write: (line) => fs.appendFileSync(heard, `${line}\n`),
    end: () => fs.writeFileSync(`${heard}.closed`, ''),
  }
}

/**
 * Starts a process. `lines` emits "line" for what it says, `write` tells it a line, `end` that no more will come; `folder`
 * is for the files, if there are any.
 */
const start = BY_FILES ? startWithFiles : startWithPipes

module.exports = { start, told }
