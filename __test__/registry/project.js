'use strict'

// An empty project of somebody who has Node, a package manager and our registry, and nothing else: no compiler, no
// cache, no settings, no other registry.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { programOf } = require('../../scripts/registry/install.js')
const { MANAGERS } = require('./managers.js')

/** How long a program may take, in milliseconds. */
const LIMIT = 300_000
/** What the shell scripts that package managers write call. */
const COMMANDS = ['basename', 'dirname', 'env', 'readlink', 'sed', 'sh', 'uname']
/** What managers themselves put beside the files of a package: pnpm its commands, Yarn's PnP a mark that all is there. */
const OF_MANAGERS = /^node_modules\/\.bin\/|^\.ready$/
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9/'

/** A folder with Node and a few commands, to be the only one in PATH. Windows has no compiler beside its commands. */
function commandsIn(folder) {
  if (process.platform === 'win32') {
    return [path.dirname(process.execPath), path.join(process.env.SystemRoot, 'System32')].join(path.delimiter)
  }
  const bin = path.join(folder, 'bin')
  if (fs.existsSync(bin)) return bin
  fs.mkdirSync(bin)
  fs.symlinkSync(process.execPath, path.join(bin, 'node'))
  for (const command of COMMANDS) {
    const found = process.env.PATH.split(path.delimiter).find((each) => fs.existsSync(path.join(each, command)))
    if (found) fs.symlinkSync(path.join(found, command), path.join(bin, command))
  }
  return bin
}

/** All files below `folder`, links not followed. */
function filesIn(folder) {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
}

class Project {
  #environment
  #manager

  /** One that is managed by one of MANAGERS. */
  constructor(registry, manager = MANAGERS.npm) {
    const own = fs.mkdtempSync(path.join(registry.folder, 'project-'))
    this.folder = path.join(own, 'project')
    this.home = path.join(own, 'home')
    for (const folder of [this.folder, this.home]) fs.mkdirSync(folder)
    const token = `//${new URL(registry.url).host}/:_authToken=anybody`
    const npmrc = [`registry=${registry.url}`, token, 'ignore-scripts=true', 'audit=false', 'update-notifier=false']
    fs.writeFileSync(path.join(this.home, '.npmrc'), `${npmrc.join('\n')}\n`)
    this.write('package.json', JSON.stringify({ name: 'project', private: true }))
    const settings = Object.entries(manager.settings?.(registry.url) ?? {})
    for (const [name, content] of settings) this.write(name, JSON.stringify(content))
    this.#manager = manager
    this.#environment = this.#makeEnvironment(commandsIn(registry.folder))
  }

  #makeEnvironment(commands) {
    const { SystemRoot, ComSpec, PATHEXT } = process.env
    const home = (name) => path.join(this.home, name)
    return {
      PATH: commands,
      ...(process.platform === 'win32' && { SystemRoot, ComSpec, PATHEXT }),
      ...{ HOME: this.home, USERPROFILE: this.home, APPDATA: home('AppData'), LOCALAPPDATA: home('LocalAppData') },
      ...{ XDG_CACHE_HOME: home('.cache'), XDG_CONFIG_HOME: home('.config'), XDG_DATA_HOME: home('.local/share') },
      ...{ http_proxy: NOWHERE, https_proxy: NOWHERE, no_proxy: '127.0.0.1' },
      NO_COLOR: '1',
    }
  }

  /** Writes a file of the project. */
  write(name, content) {
    fs.writeFileSync(path.join(this.folder, name), content)
  }

  read(name) {
    return fs.readFileSync(path.join(this.folder, name), 'utf8')
  }

  #run(args) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: this.folder,
      encoding: 'utf8',
      env: this.#environment,
      timeout: LIMIT,
      killSignal: 'SIGKILL',
    })
    return { status: status ?? signal, stdout, output: stdout + stderr }
  }

  /** Runs Node in the project, so that it finds what is installed. */
  node(...args) {
    const [tool, ...before] = this.#manager.node ?? []
    const { status, output } = this.#run(tool ? [programOf(tool), ...before, ...args] : args)
    return { status, output }
  }

  /** Runs a tool in the project, which has to end well. What it has printed. */
  tool(name, ...args) {
    const { status, stdout, output } = this.#run([programOf(name), ...args])
    if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${status}\n${output}`)
    return stdout
  }

  /** Adds a package, as the manager of this project is told to by people. */
  add(name, ...options) {
    return this.tool(...this.#manager.add, name, ...options)
  }

  /** Runs a command of an installed package. */
  exec(command, ...args) {
    return this.tool(...this.#manager.exec, command, ...args)
  }

  /** The packages `@locket/…` whose files are in the project, and what files: all, whether they came or were made. */
  packages() {
    const found = {}
    for (const file of filesIn(this.folder)) {
      const [, name, rest] = /.*\/node_modules\/(@locket\/[^/]+)\/(.*)/.exec(file.replaceAll('\\', '/')) ?? []
      if (name && !OF_MANAGERS.test(rest)) found[name] = [...(found[name] ?? []), rest].sort()
    }
    return found
  }
}

module.exports = { Project }
