'use strict'

// A program that runs only once at a time. A second instance passes its arguments to the first one and exits, as with
// Electron's app.requestSingleInstanceLock() and its event 'second-instance', but in any Node program. Instances belong
// together if they use the same lock file.
//
//   node examples/second-instance.js [ARGUMENT…]
//
// Run it in two terminals: the second instance passes its arguments and its folder to the first one, and exits. End the
// first instance with Ctrl+D or kill -9, and the next one becomes the first.

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { text } = require('node:stream/consumers')

const { lockFile, LockTimeoutError } = require('@locket/native')

// Use a folder of your own program, where nothing deletes old files, and which only its user may write to. Keep the
// path short: the path of the socket is longer, and is cut off after some 100 bytes.
const LOCK = path.join(os.tmpdir(), 'second-instance.lock')

// All times are in milliseconds.
const RETRY = 50
const LIMIT = 10_000

const OK = 'ok'

/** Returns the address where the first instance listens. It depends only on the lock file, so all instances agree. */
function addressOf(lock) {
  const file = fs.realpathSync(lock.path)
  if (process.platform !== 'win32') return `${file}.sock`
  return `\\\\.\\pipe\\${createHash('sha256').update(file).digest('hex')}`
}

/** The part of the first instance: calls `onSecondInstance` with each message, and confirms it to the sender. */
function listen(address, onSecondInstance) {
  // An instance that was killed leaves its socket behind, and no process can listen on that. The holder of the lock
  // knows that the socket is stale: this is what the lock is for. (On Windows, a pipe ends with its process.)
  if (process.platform !== 'win32') fs.rmSync(address, { force: true })
  // Half open: the sender ends its side after the message, and still reads the answer.
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let received = ''
    socket.setEncoding('utf8')
    socket.on('data', (data) => {
      received += data
    })
    socket.on('end', () => {
      const message = parse(received)
      if (message === undefined) {
        socket.destroy()
      } else {
        onSecondInstance(message)
        socket.end(OK)
      }
    })
    // The sender may have been killed before the answer.
    socket.on('error', () => {})
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(address, () => resolve(server))
  })
}

/** Returns the message. `undefined`: it is invalid, or incomplete, since its sender was killed. */
function parse(json) {
  try {
    const { argv, cwd } = JSON.parse(json)
    return { argv, cwd }
  } catch {
    return undefined
  }
}

/** The part of a further instance. Resolves to true if the first instance has taken the message. */
async function handOver(address, message) {
  const socket = net.connect(address)
  // The read below reports it.
  socket.on('error', () => {})
  socket.setTimeout(LIMIT, () => socket.destroy())
  socket.end(JSON.stringify(message))
  try {
    return (await text(socket)) === OK
  } catch {
    return false
  }
}

async function acquired(lock, timeout) {
  try {
    await lock.acquire({ timeout })
    return true
  } catch (error) {
    if (error instanceof LockTimeoutError) return false
    throw error
  }
}

/** Becomes the first instance and resolves to its server, or passes the message on and resolves to undefined. */
async function requestSingleInstance(message, onSecondInstance) {
  const lock = lockFile(LOCK)
  const end = Date.now() + LIMIT
  for (let timeout = 0; ; timeout = RETRY) {
    if (await acquired(lock, timeout)) return listen(addressOf(lock), onSecondInstance)
    if (await handOver(addressOf(lock), message)) return
    // The first instance does not listen yet, or no longer. Wait for its lock, then try both again.
    if (Date.now() >= end) throw new Error(`${LOCK} is locked, but its holder does not answer`)
  }
}

async function main() {
  const message = { argv: process.argv.slice(2), cwd: process.cwd() }
  const server = await requestSingleInstance(message, ({ argv, cwd }) => {
    console.log(`Second instance: ${JSON.stringify(argv)} in ${cwd}`)
  })
  if (server === undefined) {
    console.log('Handed over to the first instance')
    return
  }
  console.log(`First instance: process ${process.pid}`)
  // The program itself waits for the end of its input. The end of the process releases the lock, after the socket is
  // gone.
  process.stdin.resume().on('end', () => server.close())
}

main()
