'use strict'

const { randomUUID } = require('node:crypto')
const fs = require('node:fs')

const { Daemon, listens, LocalClient, run, SERVER, textOf } = require('../host.js')

const FOLDER = '/run/cluster/ceph'
const CONF = `${FOLDER}/ceph.conf`

/** How long the servers keep the locks of a client that they do not hear of, in seconds: the least. The default is 300. */
const SESSION_AUTOCLOSE = 30

const SETTINGS = {
  'mon host': `[v2:${SERVER}:3300,v1:${SERVER}:6789]`,
  'public network': `${SERVER}/24`,
  ...Object.fromEntries(['cluster', 'service', 'client'].map((part) => [`auth ${part} required`, 'none'])),
  'mon warn on pool no redundancy': 'false',
  'mon allow pool size one': 'true',
  'mon data avail crit': 1,
  'osd pool default size': 1,
  'osd pool default min size': 1,
  'osd crush chooseleaf type': 0,
  // In memory.
  'osd objectstore': 'memstore',
  ...Object.fromEntries(['mon', 'mgr', 'osd', 'mds'].map((part) => [`${part} data`, `${FOLDER}/${part}`])),
  'run dir': FOLDER,
  'log file': `${FOLDER}/$name.log`,
}

const ceph = (...words) => run('ceph', '--conf', CONF, '--connect-timeout', '10', ...words)

const serve = (part, id) => new Daemon(`ceph-${part}`, `ceph-${part}`, '--conf', CONF, '-f', '-i', id)

module.exports = {
  programs: {
    ...Object.fromEntries(['mon', 'osd', 'mds', 'fuse'].map((part) => [`ceph-${part}`, `ceph-${part}`])),
    ...Object.fromEntries(['ceph', 'monmaptool'].map((program) => [program, 'ceph-common ceph-base'])),
  },
  devices: ['/dev/fuse'],
  type: 'fuse.ceph-fuse',
  hasSpareClients: true,
  // While one is lost, others may have to wait for what it has cached.
  stallsWhenOneIsLost: true,
  deletesOpenFiles: true,
  // Until it is mounted again.
  afterCut: 'ESHUTDOWN',
  seesNewFilesAfter: 0,
  namesOwn: false,
  givenOn: { least: 0, most: 5 * SESSION_AUTOCLOSE },

  async start() {
    for (const part of ['mon', 'mgr', 'osd', 'mds']) fs.mkdirSync(`${FOLDER}/${part}`, { recursive: true })
    const [fsid, osd] = [randomUUID(), randomUUID()]
    fs.writeFileSync(CONF, `[global]\n${textOf({ fsid, ...SETTINGS })}`)
    await run('monmaptool', '--create', '--fsid', fsid, '--addv', 'x', SETTINGS['mon host'], `${FOLDER}/monmap`)
    await run('ceph-mon', '--conf', CONF, '--mkfs', '-i', 'x', '--monmap', `${FOLDER}/monmap`)
    const monitor = serve('mon', 'x')
    await listens(monitor, { port: 3300 })

    await ceph('osd', 'new', osd)
    await run('ceph-osd', '--conf', CONF, '-i', '0', '--mkfs', '--osd-uuid', osd)
    const store = serve('osd', '0')
    for (const pool of ['metadata', 'data']) await ceph('osd', 'pool', 'create', pool, '8')
    await ceph('fs', 'new', 'files', 'metadata', 'data')
    for (const name of ['session_timeout', 'session_autoclose']) {
      await ceph('fs', 'set', 'files', name, String(SESSION_AUTOCLOSE))
    }
    const metadata = serve('mds', 'x')
    await metadata.ready(async () => (await ceph('mds', 'stat')).includes('up:active'), 'ceph-mds', 120_000)

    const clients = await LocalClient.createAll()
    for (const client of clients) await client.mount('ceph-fuse', '-f', '--conf', CONF, client.folder)
    return { clients, servers: [monitor, store, metadata] }
  },
}
