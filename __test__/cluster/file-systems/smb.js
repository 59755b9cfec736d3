'use strict'

const fs = require('node:fs')

const { Daemon, listens, SERVER, textOf } = require('../host.js')
const { makeImage } = require('../vm/image.js')
const { Machine } = require('../vm/machine.js')

const FOLDER = '/run/cluster/samba'
const CONF = `${FOLDER}/smb.conf`

/** How long the server keeps the locks of a client that it does not hear of, in seconds. By default, it is hours. */
const TIMEOUT = 10

/** The folders that Samba keeps its files in, by their settings. */
const FOLDERS = ['private dir', 'lock directory', 'state directory', 'cache directory', 'pid directory', 'ncalrpc dir']

module.exports = {
  programs: { smbd: 'samba', 'qemu-system-x86_64': 'qemu-system-x86' },
  devices: ['/dev/net/tun'],
  makeImage,
  type: 'cifs',
  hasSpareClients: false,
  deletesOpenFiles: false,
  seesNewFilesAfter: 1500,
  namesOwn: true,
  refuses: { replace: 'EACCES' },
  forbids: { name: 'forbidden.lock', code: 'ENOENT' },
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
    const share = {
      path: `${FOLDER}/share`,
      writable: 'yes',
      'guest ok': 'yes',
      'force user': 'root',
      'veto files': '/forbidden.lock/',
    }
    for (const name of [...FOLDERS, 'share']) fs.mkdirSync(`${FOLDER}/${name}`, { recursive: true })
    fs.writeFileSync(CONF, `[global]\n${textOf(settings)}[share]\n${textOf(share)}`)

    const options = ['--foreground', '--no-process-group', '--debug-stdout', '-s', CONF]
    const server = new Daemon('smbd', 'smbd', ...options)
    const [, ...clients] = await Promise.all([
      listens(server, { port: 445 }),
      ...[12, 13].map((number) => Machine.boot(number, 'smb-client')),
    ])
    // With a lease, Linux' client keeps locks to itself at first: two clients have held one at the same time.
    for (const client of clients) {
      await client.run(`mount.cifs //${SERVER}/share ${client.folder} -o guest,vers=3.1.1,nolease`)
    }
    return { clients, servers: [server] }
  },
}
