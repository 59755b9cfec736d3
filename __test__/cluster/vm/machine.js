'use strict'

// A virtual machine, with a kernel of its own. Its processor is emulated: KVM is missing on many hosts, or does not work.

const net = require('node:net')
const { text } = require('node:stream/consumers')

const { eventually } = require('../../support/waiting.js')
const { Agent } = require('../agents.js')
const { Daemon, ip, listens } = require('../host.js')
const { IMAGE, KERNEL } = require('./image.js')

/** Where guest.js listens. */
const PORT = 7000

/** How long a machine may take to start, where the real processors are busy. */
const BOOT = 180_000

class Machine {
  #number
  #daemon

  /** The folder where it mounts the file system. */
  folder = '/mnt'

  constructor(number) {
    this.#number = number
  }

  /** Boots a machine for a part that init knows. `words` go to the command line of its kernel. */
  static async boot(number, part, ...words) {
    const machine = new Machine(number)
    const devices = []
    for (const [i, network] of ['servers', 'tests'].entries()) {
      const tap = `${network}${number}`
      await ip(`tuntap add ${tap} mode tap`, `link set ${tap} master ${network} up`)
      devices.push('-netdev', `tap,id=net${i},ifname=${tap},script=no,downscript=no`)
      devices.push('-device', `virtio-net-pci,netdev=net${i},mac=52:54:00:00:0${i}:${number},romfile=`)
    }
    machine.#daemon = new Daemon(
      `machine${number}`,
      'qemu-system-x86_64',
      ...['-machine', 'q35,accel=tcg', '-cpu', 'max', '-smp', '1', '-m', '512'],
      ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', KERNEL, '-initrd', IMAGE],
      ...['-append', ['console=ttyS0', 'quiet', 'panic=-1', `number=${number}`, `part=${part}`, ...words].join(' ')],
      ...devices,
    )
    await listens(machine.#daemon, { host: machine.#host, port: PORT, patience: BOOT })
    return machine
  }

  /** Its address in the network of the tests. */
  get #host() {
    return `10.98.0.${this.#number}`
  }

  /** Its address in the network of the cluster. */
  get address() {
    return `10.99.0.${this.#number}`
  }

  #connect(order) {
    const socket = net.connect({ host: this.#host, port: PORT, noDelay: true })
    socket.write(`${JSON.stringify(order)}\n`)
    return socket
  }

  /** Runs a command of the shell in the machine. */
  async run(command) {
    const answer = await eventually(text(this.#connect({ run: command })), `the end of ${command}`)
    const { status, output } = JSON.parse(answer)
    if (status !== 0) throw new Error(`${command}: ${output}`)
    return output
  }

  async agent() {
    const socket = this.#connect({ agent: this.folder })
    const agent = new Agent({ input: socket, output: socket, kill: (pid) => this.run(`kill -KILL ${pid}`) })
    await eventually(agent.started, 'the start of an agent')
    return agent
  }

  /** Cuts its network of the cluster. The tests still reach it. */
  cut() {
    return ip(`link set servers${this.#number} down`)
  }

  heal() {
    return ip(`link set servers${this.#number} up`)
  }

  signal(signal) {
    this.#daemon.signal(signal)
  }

  die() {
    return this.#daemon.kill()
  }
}

module.exports = { Machine }
