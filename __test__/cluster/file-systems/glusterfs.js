'use strict'

const fs = require('node:fs')

const { Daemon, LocalClient, run, SERVER } = require('../host.js')

/** How long a server keeps the locks of a client that it does not hear of, in seconds. The default is 42. */
const TIMEOUT = 10

const SETTINGS = {
  'network.ping-timeout': TIMEOUT,
  'performance.stat-prefetch': 'off',
  'server.tcp-user-timeout': TIMEOUT,
  'server.keepalive-time': TIMEOUT / 2,
  'server.keepalive-interval': 1,
  'server.keepalive-count': TIMEOUT / 2,
}

const gluster = (...words) => run('gluster', '--mode=script', ...words)

module.exports = {
  programs: { glusterd: 'glusterfs-server', gluster: 'glusterfs-cli', glusterfs: 'glusterfs-client' },
  devices: ['/dev/fuse'],
  type: 'fuse.glusterfs',
  hasSpareClients: true,
  deletesOpenFiles: true,
  seesNewFilesAfter: 0,
  namesOwn: false,
  givenOn: { least: 0, most: 2 * TIMEOUT },

  async start() {
    const server = new Daemon('glusterd', 'glusterd', '--no-daemon', '--log-file=-')
    await server.ready(
      () =>
        gluster('volume', 'info').then(
          () => true,
          () => false,
        ),
      'glusterd',
    )
    fs.mkdirSync('/run/cluster/brick')
    await gluster('volume', 'create', 'files', `${SERVER}:/run/cluster/brick`, 'force')
    await gluster('volume', 'set', 'files', ...Object.entries(SETTINGS).flat().map(String))
    await gluster('volume', 'start', 'files')
    const clients = await LocalClient.createAll()
    for (const client of clients) {
      const options = [`--volfile-server=${SERVER}`, '--volfile-id=files', '--log-file=-', '--direct-io-mode=enable']
      await client.mount('glusterfs', '--no-daemon', ...options, client.folder)
    }
    // The brick has a process of its own.
    const folder = '/run/gluster/vols/files'
    const [pid] = fs.readdirSync(folder).map((name) => Number(fs.readFileSync(`${folder}/${name}`, 'utf8')))
    return { clients, servers: [server, { signal: (signal) => process.kill(pid, signal) }] }
  },
}
