'use strict'

// A PostgreSQL server of a test file: in a temporary folder, on an unused port, stopped when the tests have ended, however
// they end. It refuses to run as root, and then runs as another user.

const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { createInterface } = require('node:readline')
const { after, before } = require('node:test')

const { Client } = require('pg')

/** Where Debian has what is not on the PATH. */
const DEBIAN = '/usr/lib/postgresql'

/** Returns the path of one of PostgreSQL's programs, or undefined if it is missing. */
function programOf(name) {
  const versions = fs.existsSync(DEBIAN) ? fs.readdirSync(DEBIAN).sort((one, other) => other - one) : []
  const folders = [...versions.map((version) => `${DEBIAN}/${version}/bin`), ...process.env.PATH.split(path.delimiter)]
  return [...folders, '/usr/sbin'].map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file))
}

/** The user of Debian's package; any other that may do nothing serves as well. */
const UNPRIVILEGED = ['postgres', 'nobody']

/** The user that runs programs which refuse root, as spawn() takes it. */
function unprivileged() {
  if (process.getuid() !== 0) return {}
  for (const name of UNPRIVILEGED) {
    const ids = ['-u', '-g'].map((option) => Number(spawnSync('id', [option, name]).stdout || Number.NaN))
    if (ids.every(Number.isInteger)) return { uid: ids[0], gid: ids[1] }
  }
  throw new Error(`there is no user ${UNPRIVILEGED.join(' or ')}`)
}

/** Why there can be no server here, or undefined. */
const obstacle =
  process.platform === 'win32'
    ? 'the server of the tests needs Unix'
    : ['initdb', 'postgres']
        .filter((name) => programOf(name) === undefined)
        .map((name) => `${name} is not installed`)[0]

if (obstacle !== undefined && process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${obstacle}`)

/** A folder for programs that do not run as root. */
function openFolder() {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-postgres-')))
  const { uid, gid } = unprivileged()
  if (uid !== undefined) fs.chownSync(folder, uid, gid)
  return folder
}

async function unusedPort(host) {
  const server = net.createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Starts a program as the unprivileged user, and waits for a line that matches `isReady`. It is ended when this process ends,
 * also by SIGKILL: by the shell around it, whose standard input ends then, and which removes the folder. Resolves to a function
 * that ends it.
 */
async function startProgram(command, args, { isReady, signal, folder }) {
  const script =
    '"$@" & read -r how || { how=KILL; gone=1; }; exec 2>/dev/null; kill -s "$how" $!; wait $!; [ -z "$gone" ] || rm -rf "$PWD"'
  const child = spawn('sh', ['-c', script, 'sh', command, ...args], {
    ...unprivileged(),
    cwd: folder,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const said = []
  const exit = once(child, 'exit')
  await new Promise((resolve, reject) => {
    createInterface(child.stderr).on('line', (line) => {
      said.push(line)
      if (isReady.test(line)) resolve()
      else if (/FATAL|could not/.test(line)) reject(new Error(said.join('\n')))
    })
    child.once('exit', () => reject(new Error(said.join('\n') || `${command} has ended`)))
  })
  // It lives as long as the tests, and does not keep them alive.
  child.unref()
  child.stdin.unref()
  child.stderr.unref()
  return (how = signal) => {
    child.ref()
    child.stdin.on('error', () => {})
    child.stdin.end(`${how}\n`)
    return exit
  }
}

class Server {
  port
  #folder = openFolder()
  #stop

  /** `prepare` is called with the folder of the data when that has been made. */
  constructor({ host = '127.0.0.1', settings = [], prepare = () => {} } = {}) {
    Object.assign(this, { host, settings, prepare })
  }

  get data() {
    return path.join(this.#folder, 'data')
  }

  async start() {
    if (!fs.existsSync(this.data)) {
      const options = ['-D', this.data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync']
      const { status, stdout, stderr } = spawnSync(programOf('initdb'), options, {
        ...unprivileged(),
        cwd: this.#folder,
        encoding: 'utf8',
      })
      if (status !== 0) throw new Error(`initdb failed: ${stdout}${stderr}`)
      fs.appendFileSync(path.join(this.data, 'pg_hba.conf'), 'host all all 0.0.0.0/0 trust\n')
      this.prepare(this.data)
    }
    this.port ??= await unusedPort(this.host === '0.0.0.0' ? undefined : this.host)
    const settings = [
      ...[`listen_addresses=${this.host}`, `port=${this.port}`, `unix_socket_directories=${this.#folder}`],
      ...['fsync=off', 'max_connections=40', ...this.settings],
    ]
    this.#stop = await startProgram(
      programOf('postgres'),
      ['-D', this.data, ...settings.flatMap((setting) => ['-c', setting])],
      { isReady: /ready to accept connections/, signal: 'INT', folder: this.#folder },
    )
  }

  /** Ends the server: with INT in an orderly way, with QUIT as in a crash. */
  async stop(signal) {
    await this.#stop?.(signal)
    this.#stop = undefined
  }

  async restart(signal) {
    await this.stop(signal)
    await this.start()
  }

  async remove() {
    await this.stop('QUIT')
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The options of a connection. */
  get connection() {
    return { host: this.host, port: this.port, user: 'postgres', database: 'postgres' }
  }

  /** The folder of its Unix socket. */
  get socket() {
    return this.#folder
  }

  get url() {
    return `postgres://postgres@${this.host}:${this.port}/postgres`
  }

  /** Connects as any program does. Ended when the test ends. */
  async connect(t, options) {
    const client = new Client({ ...this.connection, ...options })
    client.on('error', () => {})
    await client.connect()
    t.after(() => client.end())
    return client
  }
}

/** The server of a test file, whose tests are skipped if there can be none. */
function useServer(options) {
  if (obstacle !== undefined) {
    console.log(`Skipped: ${obstacle}`)
    process.exit(0)
  }
  const server = new Server(options)
  before(() => server.start())
  after(() => server.remove())
  return server
}

let shared

/** Resolves to a server that ends with this process. */
function sharedServer() {
  shared ??= (async () => {
    const server = new Server({ settings: ['max_connections=100'] })
    await server.start()
    return server
  })()
  return shared
}

module.exports = { obstacle, openFolder, programOf, Server, sharedServer, startProgram, unusedPort, useServer }
