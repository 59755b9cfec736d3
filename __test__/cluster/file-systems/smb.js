'use strict'

const fs = require('node:fs')

const { Daemon, listens, SERVER } = require('../host.js')
const { Machine } = require('../vm/machine.js')

const FOLDER = '/run/cluster/samba'

/** How long the server keeps the locks of a client that it does not hear of, in seconds. By default, it is hours. */
const TIMEOUT = 10

/** The folders that Samba keeps its files in, by their settings. */
const FOLDERS = ['private dir', 'lock directory', 'state directory', 'cache directory', 'pid directory', 'ncalrpc dir']

module.exports = {
  programs: { smbd: 'samba', 'qemu-system-x86_64': 'qemu-system-x86' },
  devices: ['/dev/net/tun'],
  prepare: () => require('../vm/image.js').makeImage(),
  type: 'cifs',
  hasSpareClients: false,
  deletesOpenFiles: false,
  seesNewFilesAfter: 1500,
  namesOwn: true,
  refuses: { replace: 'EACCES' },
  givenOn: { least: 0, most: 3 * TIMEOUT },

  async start() {
    const settings = {
      'server role': 'standalone server',
      'map to guest': 'bad user',
      interfaces: SERVER,
      'bind interfaces only': 'yes',
      'smb ports': 445,
      'disable netbios': 'yes',
      'socket options': `TCP_NODELAY SO_KEEPALIVE TCP_KEEPIDLE=${TIMEOUT / 2} TCP_KEEPINTVL=1 TCP_KEEPCNT=${TIMEOUT / 2}`,
      ...Object.fromEntries(FOLDERS.map((name) => [name, `${FOLDER}/${name}`])),
    }
    const share = { path: `${FOLDER}/share`, writable: 'yes', 'guest ok': 'yes', 'force user': 'root' }
    for (const name of [...FOLDERS, 'share']) fs.mkdirSync(`${FOLDER}/${name}`, { recursive: true })
    const section = (name, of) => [`[${name}]`, ...Object.entries(of).map(([key, value]) => `${key} = ${value}`)]
    const lines = [...section('global', settings), ...section('share', share), '']
    fs.writeFileSync(`${FOLDER}/smb.conf`, lines.join('\n'))

    const server = new Daemon(
      'smbd',
      'smbd',
      '--foreground',
      '--no-process-group',
      '--debug-stdout',
      '-s',
      `${FOLDER}/smb.conf`,
    )
    const [, ...clients] = await Promise.all([
      listens(server, { port: 445 }),
      ...[12, 13].map((number) => Machine.boot(number, 'smb-client')),
    ])
    // With a lease, Linux' client keeps locks to itself at first, and two clients have held one at the same time.
    for (const client of clients) {
      await client.run(`mount.cifs //${SERVER}/share ${client.folder} -o guest,vers=3.1.1,nolease`)
    }
    return { clients, servers: [server] }
  },
}
