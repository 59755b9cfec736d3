'use strict'

const { makeImage } = require('../vm/image.js')
const { Machine } = require('../vm/machine.js')

/** How long the server keeps the locks of a client that it does not hear of, in seconds. Linux' default is 90. */
const LEASE = 10

module.exports = {
  programs: { 'qemu-system-x86_64': 'qemu-system-x86' },
  devices: ['/dev/net/tun'],
  makeImage,
  type: 'nfs4',
  hasSpareClients: false,
  deletesOpenFiles: true,
  seesNewFilesAfter: 0,
  namesOwn: true,
  givenOn: { least: 0, most: 3 * LEASE },

  async start() {
    const [server, ...clients] = await Promise.all([
      Machine.boot(11, 'nfs-server', `lease=${LEASE}`),
      ...[12, 13].map((number) => Machine.boot(number, 'nfs-client')),
    ])
    for (const client of clients) await client.run(`mount.nfs4 ${server.address}:/ ${client.folder} -o vers=4.2`)
    return { clients, servers: [server] }
  },
}
