'use strict'

// A TCP proxy in front of a server: it can fall silent, as a network that is cut, or lie.

const { once } = require('node:events')
const net = require('node:net')

/** Returns a proxy that ends with the test. `edit` changes what the server says, which keeps its length. */
async function proxyOf(t, server, edit = (text) => text) {
  const sockets = new Set()
  let count = 0
  let cutOff = 0
  let isSilent = false
  const listener = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect(server.port, server.host)
    const number = ++count
    const isCut = () => isSilent || number <= cutOff
    for (const [from, to, change] of [
      [client, upstream, (chunk) => chunk],
      [upstream, client, (chunk) => Buffer.from(edit(chunk.toString('latin1')), 'latin1')],
    ]) {
      sockets.add(from)
      from.on('data', (chunk) => isCut() || to.write(change(chunk)))
      from.on('end', () => isCut() || to.end())
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        if (!isCut()) to.destroy()
      })
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const destroy = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    isSilent = false
    destroy()
    listener.close()
  })
  return {
    connection: { ...server.connection, host: '127.0.0.1', port: listener.address().port },
    /** From now on, nothing comes through, and nobody hears of it. */
    silence() {
      isSilent = true
    },
    /** Resolves to the next connection, as the client's end of it. */
    next: async () => (await once(listener, 'connection'))[0],
    /** The same for the connections that there are; new ones come through. */
    cutOff() {
      cutOff = count
    },
  }
}

module.exports = { proxyOf }
