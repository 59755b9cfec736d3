'use strict'

const fs = require('node:fs')

const { Daemon, listens, LocalClient, SERVER, textOf } = require('../host.js')

const FOLDER = '/run/cluster/moosefs'

/** How long the master keeps the locks of a client that is gone, in seconds: the least that it takes. The default is a day. */
const SESSION_SUSTAIN_TIME = 60

const configure = (name, settings) =>
  fs.writeFileSync(`${FOLDER}/${name}.cfg`, textOf({ WORKING_USER: 'root', WORKING_GROUP: 'root', ...settings }))

module.exports = {
  programs: { mfsmaster: 'moosefs-master', mfschunkserver: 'moosefs-chunkserver', mfsmount: 'moosefs-client' },
  devices: ['/dev/fuse'],
  type: 'fuse',
  hasSpareClients: true,
  deletesOpenFiles: true,
  seesNewFilesAfter: 0,
  namesOwn: false,
  // The master checks every 10 s, but not in its first 120 s.
  givenOn: { least: SESSION_SUSTAIN_TIME, most: 130 },

  async start() {
    for (const folder of ['meta', 'data', 'chunks']) fs.mkdirSync(`${FOLDER}/${folder}`, { recursive: true })
    fs.writeFileSync(`${FOLDER}/meta/metadata.mfs`, 'MFSM NEW')
    fs.writeFileSync(`${FOLDER}/exports.cfg`, '10.99.0.0/24 / rw,alldirs,admin,maproot=0:0\n')
    fs.writeFileSync(`${FOLDER}/hdd.cfg`, `${FOLDER}/chunks\n`)
    configure('master', {
      DATA_PATH: `${FOLDER}/meta`,
      EXPORTS_FILENAME: `${FOLDER}/exports.cfg`,
      SESSION_SUSTAIN_TIME,
    })
    configure('chunkserver', {
      DATA_PATH: `${FOLDER}/data`,
      MASTER_HOST: SERVER,
      HDD_CONF_FILENAME: `${FOLDER}/hdd.cfg`,
      HDD_LEAVE_SPACE_DEFAULT: '10MiB',
    })
    const [master, chunkserver] = ['master', 'chunkserver'].map(
      (name) => new Daemon(`mfs${name}`, `mfs${name}`, '-f', '-c', `${FOLDER}/${name}.cfg`, 'start'),
    )
    await listens(master, { port: 9421 })
    await listens(chunkserver, { port: 9422 })
    const clients = await LocalClient.createAll()
    for (const client of clients) await client.mount('mfsmount', '-f', client.folder, '-H', SERVER)
    return { clients, servers: [master, chunkserver] }
  },
}
