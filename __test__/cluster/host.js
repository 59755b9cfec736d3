'use strict'

// This machine as the host of a small cluster. Everything here is in namespaces of its own, which scripts/cluster.js makes: the
// network, the mounts and the processes vanish with it, however it ends.

const { execFile, spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { promisify } = require('node:util')

const { eventually, until } = require('../support/waiting.js')
const { Agent } = require('./agents.js')
const { mountedAt } = require('./mounted.js')

const AGENT = path.join(__dirname, 'agent.js')
const LOGS = path.resolve(__dirname, '../../target/cluster/logs')

/** The address of the servers. The clients have the following ones. */
const SERVER = '10.99.0.1'

/** Longer than any command takes that has not hung. */
const LIMIT = 30_000

const execute = promisify(execFile)

/** Runs a command to its end, and returns what it writes. */
async function run(command, ...args) {
  const { stdout } = await execute(command, args, { timeout: LIMIT, killSignal: 'SIGKILL' })
  return stdout
}

/** The text of a file of settings, in the form that most servers read. */
const textOf = (settings) =>
  Object.entries(settings)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')

/** Runs several commands of ip(8). */
async function ip(...lines) {
  for (const line of lines) await run('ip', ...line.split(' '))
}

/** A process that serves until it is killed. Its output is in the folder of the logs. */
class Daemon {
  #process

  constructor(name, command, ...args) {
    const log = fs.openSync(path.join(LOGS, `${name}.log`), 'w')
    // With a process group of its own: signals reach what it starts, too.
    this.#process = spawn(command, args, { stdio: ['ignore', log, log], detached: true })
    fs.closeSync(log)
    this.exited = new Promise((resolve, reject) => {
      this.#process.once('error', reject)
      this.#process.once('exit', resolve)
    })
    this.exited.catch(() => {})
    this.failed = this.exited.then((code) => {
      throw new Error(`${name} has ended (${code}): see ${LOGS}/${name}.log`)
    })
    this.failed.catch(() => {})
  }

  /** Resolves when `condition` holds; rejects if the process ends. */
  ready(condition, what, patience) {
    return Promise.race([until(condition, what, patience), this.failed])
  }

  signal(signal) {
    process.kill(-this.#process.pid, signal)
  }

  async kill() {
    this.signal('SIGKILL')
    await eventually(this.exited, 'the end of a server')
  }
}

/** Returns true if a server accepts connections at the port. */
function accepts(host, port) {
  const socket = net.connect({ host, port, timeout: 1000 })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true))
    for (const event of ['timeout', 'error']) socket.once(event, () => resolve(false))
  }).finally(() => socket.destroy())
}

/** Resolves when a server accepts connections at a port. */
const listens = (daemon, { host = SERVER, port, patience }) =>
  daemon.ready(() => accepts(host, port), `a server at ${host}:${port}`, patience)

/** A client that is a network namespace of this machine, with a process that has the file system mounted (FUSE). */
class LocalClient {
  #name
  #agents = []

  constructor(name, folder) {
    this.#name = name
    this.folder = folder
  }

  /** Creates two clients for all tests, and two to lose. */
  static createAll() {
    return Promise.all([1, 2, 3, 4].map((number) => LocalClient.#create(number)))
  }

  static async #create(number) {
    const name = `client${number}`
    const folder = `/run/cluster/${name}`
    fs.mkdirSync(folder, { recursive: true })
    await ip(
      `netns add ${name}`,
      `link add ${name} type veth peer name eth0 netns ${name}`,
      `link set ${name} master servers up`,
      `-n ${name} link set lo up`,
      `-n ${name} addr add 10.99.0.${1 + number}/24 dev eth0`,
      `-n ${name} link set eth0 up`,
    )
    return new LocalClient(name, folder)
  }

  /** Mounts by a command that goes on running in the foreground. */
  async mount(command, ...args) {
    this.daemon = new Daemon(this.#name, 'nsenter', `--net=/run/netns/${this.#name}`, command, ...args)
    await this.daemon.ready(() => mountedAt(this.folder), `the mount at ${this.folder}`)
  }

  async agent() {
    const child = spawn(process.execPath, [AGENT, this.folder], { stdio: ['pipe', 'pipe', 'inherit'] })
    const agent = new Agent({ input: child.stdin, output: child.stdout, kill: (pid) => process.kill(pid, 'SIGKILL') })
    await eventually(agent.started, 'the start of an agent')
    this.#agents.push(agent)
    return agent
  }

  cut() {
    return ip(`link set ${this.#name} down`)
  }

  heal() {
    return ip(`link set ${this.#name} up`)
  }

  /** Kills all of its processes. It differs from a machine that is switched off: the kernel closes the connections. */
  async die() {
    await this.daemon.kill()
    for (const agent of this.#agents) if (!agent.hasExited) await agent.kill()
  }
}

/** The folder for what the servers keep, and for the mounts; the network between servers and clients. */
async function prepareHost() {
  fs.mkdirSync(LOGS, { recursive: true })
  for (const folder of ['/run', '/var/lib', '/var/log']) await run('mount', '-t', 'tmpfs', 'none', folder)
  fs.mkdirSync('/run/cluster')
  await ip('link set lo up')
  // The network of the cluster, and that of the tests, which is never cut.
  for (const [name, address] of [
    ['servers', SERVER],
    ['tests', '10.98.0.1'],
  ]) {
    await ip(`link add ${name} type bridge`, `addr add ${address}/24 dev ${name}`, `link set ${name} up`)
  }
}

module.exports = { Daemon, ip, listens, LocalClient, prepareHost, run, SERVER, textOf }
