'use strict'

// `npm run stress -- --postgres`: the storm of @locket/postgres. Processes on two hosts, which are network namespaces, want a few
// locks. Some are killed, and a host is cut off now and then, for longer than the server waits for it. Then a checker decides
// whether the logs can be those of a lock: no two holders at a time, and a greater token for each later one.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { randomOf } = require('../../../scripts/stress/random.js')
const { hostsObstacle, Network } = require('../test/support/hosts.js')
const { obstacle, Server } = require('../test/support/server.js')
const { check } = require('./checker.js')

const PROCESSES = 3
const TASKS = 6
const NAMES = ['one', 'two', 'three', 'four']

/** The mean time between two kills, and between two cuts, in milliseconds. */
const KILLS = 1500
const CUTS = 4000

/** How long a host is cut off, in milliseconds: some holders are not missed, others lose their locks. */
const CUT = [500, 8000]

/** How long the processes have to end, in milliseconds. */
const PATIENCE = 60_000

class Storm {
  #processes = new Map()
  #count = 0
  kills = new Map()
  cuts = 0
  isOver = false

  constructor({ seed, sabotage }, { folder, connection, hosts }) {
    Object.assign(this, { seed, sabotage, folder, connection, hosts })
    this.random = randomOf(seed)
  }

  start(host) {
    const name = `process ${++this.#count}`
    const options = {
      ...{ log: path.join(this.folder, name), connection: this.connection, names: NAMES, tasks: TASKS },
      ...{ seed: `${this.seed}:${this.#count}`, sabotage: this.sabotage && this.#count === 1 },
    }
    const file = path.join(__dirname, 'process.js')
    const [command, ...args] = [...host.command, process.execPath, file, JSON.stringify(options)]
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const exit = once(child, 'exit').then(([code]) => {
      this.#processes.delete(name)
      if (code !== 0 && !this.kills.has(name)) throw new Error(`${name} has ended with ${code}`)
    })
    exit.catch(() => {})
    this.#processes.set(name, { child, exit, host })
  }

  async #kill() {
    while (!this.isOver) {
      await sleep(this.random.interval(KILLS))
      if (this.isOver || this.#processes.size === 0) return
      // Not the one that is broken, which has to be found out.
      const names = [...this.#processes.keys()].filter((name) => !(this.sabotage && name === 'process 1'))
      const name = this.random.pick(names)
      const { child, exit, host } = this.#processes.get(name)
      this.kills.set(name, Number(process.hrtime.bigint()))
      child.kill('SIGKILL')
      await exit
      this.start(host)
    }
  }

  async #cut() {
    while (!this.isOver) {
      await sleep(this.random.interval(CUTS))
      if (this.isOver) return
      const host = this.random.pick(this.hosts)
      host.cut()
      this.cuts++
      await sleep(CUT[0] + this.random.next() * (CUT[1] - CUT[0]))
      host.heal()
    }
  }

  async run(seconds) {
    for (const host of this.hosts) for (let i = 0; i < PROCESSES; i++) this.start(host)
    const disturbing = [this.#kill(), ...(this.hosts[0].cut ? [this.#cut()] : [])]
    await sleep(seconds * 1000)
    this.isOver = true
    await Promise.all(disturbing)
    const all = [...this.#processes.values()]
    for (const { child } of all) child.send('end')
    const late = setTimeout(() => {
      for (const { child } of all) child.kill('SIGABRT')
    }, PATIENCE)
    await Promise.all(all.map(({ exit }) => exit))
    clearTimeout(late)
  }
}

/** The events in the logs. The last line of a process that was killed may be cut off. */
function eventsIn(folder) {
  return fs.readdirSync(folder).flatMap((process) =>
    fs
      .readFileSync(path.join(folder, process), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => ({ process, ...JSON.parse(line) })),
  )
}

function readOptions(args) {
  const string = { type: 'string' }
  const { values } = parseArgs({ args, options: { seconds: string, seed: string, sabotage: { type: 'boolean' } } })
  const { seconds = '60', seed = String(Math.floor(Math.random() * 2 ** 32)), sabotage } = values
  if (!(Number(seconds) >= 1)) throw new Error(`--seconds takes a number from 1, not ${seconds}`)
  return { seconds: Number(seconds), seed, sabotage }
}

async function main(args) {
  const options = readOptions(args)
  const missing = obstacle ?? hostsObstacle()
  if (missing !== undefined && process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${missing}`)
  if (obstacle !== undefined) return console.log(`No storm: ${obstacle}`)
  if (missing !== undefined) console.log(`Without hosts that are cut off: ${missing}`)

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-storm-'))
  const server = new Server({ host: '0.0.0.0' })
  let network
  try {
    await server.start()
    if (missing === undefined) network = new Network()
    const hosts = network ? [network.add(), network.add()] : [{ command: [] }]
    const connection = { ...server.connection, host: network?.address ?? '127.0.0.1' }
    console.log(
      `${options.seconds} s: ${hosts.length} hosts × ${PROCESSES} processes × ${TASKS} tasks, ${NAMES.length} locks; seed ${options.seed}\n`,
    )
    const storm = new Storm(options, { folder, connection, hosts })
    await storm.run(options.seconds)
    report(check(eventsIn(folder), storm.kills), storm, folder)
  } finally {
    network?.remove()
    await server.remove()
  }
}

function report({ holds, lost, rejected, violations }, { kills, cuts }, folder) {
  const rows = { holds, lost, kills: kills.size, cuts, violations: violations.length }
  for (const [name, number] of Object.entries(rows)) console.log(`${name.padEnd(12)} ${number}`)
  const rejections = Object.entries(rejected).map(([code, number]) => `${number} ${code}`)
  console.log(`${'rejections'.padEnd(12)} ${rejections.join(', ')}`)
  if (violations.length === 0 && holds > 0) return fs.rmSync(folder, { recursive: true })
  console.log(`\n${violations.slice(0, 10).join('\n')}\n\nThe logs are in ${folder}`)
  process.exitCode = 1
}

module.exports = { main }
