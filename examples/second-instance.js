'use strict'

// A program of which only one runs, and which a second one tells what it was started for: what Electron has in
// app.requestSingleInstanceLock() and the event 'second-instance', for any Node program. There the folder of the app's
// data is what two instances have in common; here it is the lock file.
//
//   node examples/second-instance.js [ARGUMENT…]
//
// Run it in two terminals: the second one hands its arguments and folder over to the first one, and ends. End the first
// one with Ctrl+D or kill -9, and the next one is the first.

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { text } = require('node:stream/consumers')

const { lockFile, LockTimeoutError } = require('@locket/native')

// Take a folder of your program's own, which nobody tidies up, and which only its user may write to. The path should be
// short: that of a socket, which is longer, is cut off after some 100 bytes.
const LOCK = path.join(os.tmpdir(), 'second-instance.lock')

// All times are in milliseconds.
const RETRY = 50
const LIMIT = 10_000

const OK = 'ok'

/** Where the first instance listens. The name follows from the lock file, so all instances come to the same one. */
function addressOf(lock) {
  const file = fs.realpathSync(lock.path)
  if (process.platform !== 'win32') return `${file}.sock`
  return `\\\\.\\pipe\\${createHash('sha256').update(file).digest('hex')}`
}

/** The first instance's part: calls `onSecondInstance` with what each further one sends, and says so to it. */
function listen(address, onSecondInstance) {
  // The socket of an instance that was killed is still there, and nobody can listen while it is. Whoever holds the lock
  // knows that it is stale: that is what the lock is needed for. (Pipes of Windows go with their process.)
  if (process.platform !== 'win32') fs.rmSync(address, { force: true })
  // Half open: whoever has sent its message and ends its side still reads the answer.
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
    // It may have been killed before the answer.
    socket.on('error', () => {})
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(address, () => resolve(server))
  })
}

/** A message; undefined if it is none, or only a part, since its sender was killed. */
function parse(json) {
  try {
    const { argv, cwd } = JSON.parse(json)
    return { argv, cwd }
  } catch {
    return undefined
  }
}

/** A further instance's part. Resolves to whether the first one has taken the message. */
async function handOver(address, message) {
  const socket = net.connect(address)
  // The reading below fails with it.
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

/** Becomes the first instance, and resolves to its server; or hands the message over, and resolves to undefined. */
async function requestSingleInstance(message, onSecondInstance) {
  const lock = lockFile(LOCK)
  const end = Date.now() + LIMIT
  for (let timeout = 0; ; timeout = RETRY) {
    if (await acquired(lock, timeout)) return listen(addressOf(lock), onSecondInstance)
    if (await handOver(addressOf(lock), message)) return
    // There is a first one that does not listen: not yet, or no longer. Wait for its lock, then try both again.
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
  // The program itself: this one waits for the end of its input. The lock is not released here but by the end of the
  // process, when the socket has gone.
  process.stdin.resume().on('end', () => server.close())
}

main()
