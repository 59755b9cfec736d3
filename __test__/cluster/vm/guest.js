'use strict'

// Runs in a virtual machine, as its first process, and does there what the tests ask for. The first line of a connection says
// what: { run: SCRIPT } is answered by { status, output }; { agent: FOLDER } makes the connection that of an agent.

const { execFile, spawn } = require('node:child_process')
const net = require('node:net')
const path = require('node:path')

const AGENT = path.join(__dirname, '../agent.js')

function serve(socket, line) {
  const { run, agent } = JSON.parse(line)
  if (agent === undefined) {
    execFile('/bin/sh', ['-c', run], (error, stdout, stderr) => {
      socket.end(JSON.stringify({ status: error?.code ?? 0, output: stdout + stderr }))
    })
    return
  }
  const child = spawn(process.execPath, [AGENT, agent], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {})
  socket.pipe(child.stdin)
  child.stdout.pipe(socket, { end: false })
  child.once('close', () => socket.destroySoon())
}

net
  .createServer((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.once('data', (line) => serve(socket, line))
  })
  .listen(7000)
