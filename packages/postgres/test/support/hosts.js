'use strict'

// Hosts of a test: network namespaces with a bridge between them, of which each can be cut off. Needs root, on Linux.

const { execFileSync, spawnSync } = require('node:child_process')

const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** Why there can be no namespaces here, or undefined. */
function hostsObstacle() {
  if (process.platform !== 'linux') return 'only Linux has network namespaces'
  const name = `locket-try-${process.pid}`
  const { error, status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
  if (status !== 0) return `no network namespaces: ${error ? 'ip is not installed' : stderr.trim()}`
  spawnSync('ip', ['netns', 'delete', name])
  return spawnSync('nsenter', ['--version']).status === 0 ? undefined : 'nsenter is not installed'
}

/** A network of the process's own: the addresses are this process's, so that several can run side by side. */
class Network {
  #prefix = `lkt${process.pid}`
  #names = []

  constructor() {
    const [second, third] = [(process.pid >> 8) & 255, process.pid & 255]
    this.#address = (last) => `10.${second}.${third}.${last}`
    this.bridge = `${this.#prefix}b`
    ip('link', 'add', this.bridge, 'type', 'bridge')
    ip('address', 'add', `${this.address}/24`, 'dev', this.bridge)
    ip('link', 'set', this.bridge, 'up')
  }

  #address

  /** The address of this process's side. */
  get address() {
    return this.#address(1)
  }

  /** Adds a host. Returns the command that runs a program on it, with functions that cut it off and bring it back. */
  add() {
    const number = this.#names.length + 2
    const name = `${this.#prefix}h${number}`
    ip('netns', 'add', name)
    this.#names.push(name)
    const link = `${this.#prefix}v${number}`
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    ip('link', 'set', link, 'master', this.bridge, 'up')
    ip('-n', name, 'address', 'add', `${this.#address(number)}/24`, 'dev', 'eth0')
    ip('-n', name, 'link', 'set', 'lo', 'up')
    ip('-n', name, 'link', 'set', 'eth0', 'up')
    return {
      name,
      address: this.#address(number),
      command: ['nsenter', `--net=/run/netns/${name}`],
      cut: () => ip('-n', name, 'link', 'set', 'eth0', 'down'),
      /** Has the other side acknowledged all that was sent? The third column is what it has not. */
      isAcknowledged: () => /^\S+ +\d+ +0 /.test(String(execFileSync('ip', ['netns', 'exec', name, 'ss', '-tnH']))),
      heal: () => ip('-n', name, 'link', 'set', 'eth0', 'up'),
    }
  }

  remove() {
    for (const name of this.#names) spawnSync('ip', ['netns', 'delete', name])
    spawnSync('ip', ['link', 'delete', this.bridge])
  }
}

module.exports = { hostsObstacle, Network }
