'use strict'

// Starts the processes of a storm, kills some at random, replaces them, and sees to it that all come to an end.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')

const { lockFile } = require('../..')
const { sleep } = require('./attempt.js')
const { createFiles, entryOf, lockOf } = require('./files.js')
const { Journal } = require('./journal.js')
const { OF_NPM, PROTOCOLS } = require('./protocols.js')
const { randomOf } = require('./random.js')

/** How long until the next process is killed, on average, in milliseconds. Others kill themselves: see thread.js. */
const KILL = 2000

/** No process is started any more when less than this is left, in nanoseconds: it would be busy with starting. */
const LAST_START = 1e9

/** How long a process that hangs has to say what it waits for, in milliseconds. */
const LAST_WORDS = 20_000

/** How long the lock of a process that has ended may take to be free, in milliseconds. */
const FREE_WITHIN = 30_000

/** How often the size of the logs is looked at, in milliseconds. */
const SIZE_LOOK = 1000

/** How often it is looked whether an entry is of a dead process, and the time between two looks, in milliseconds. */
const LOOKS = 4
const LOOK = 25

/** The number of the storm among the processes, for its log. */
const STORM = 0

class Storm {
  #options
  #folder
  #python
  #start = process.hrtime.bigint()
  #journal
  #random
  #end
  #limit
  #lastNumber = STORM
  #running = new Set()
  /** What people want to know of what went wrong, beyond the logs. */
  remarks = []

  /**
   * `folder`: for the locks and the logs, empty. `limit`: how many bytes the logs may have. `python`: the interpreter with
   * the neighbours' libraries; `neighbours`: those that are there.
   */
  constructor(options, { folder, limit, python, neighbours }) {
    this.#options = { ...options, neighbours }
    this.#folder = folder
    this.#limit = limit
    this.#python = python
    this.#random = randomOf(options.seed, 'storm')
    this.#end = options.seconds * 1e9
    this.#journal = new Journal(folder, { process: STORM, program: 'storm' }, this.#start)
  }

  /**
   * Resolves when all processes have ended, in one way or another, `patience` seconds after the end at the latest: to the
   * seconds that the storm has taken.
   */
  async run() {
    createFiles(this.#folder, this.#options.files, this.#options.protocol)
    const programs = [...Array(this.#options.processes).fill('node'), ...this.#options.neighbours]
    const places = Promise.all(programs.map((program, place) => this.#occupy(program, place)))
    const everyone = places.then(() => this.#isOver() || this.stop('nobody is left'))
    await Promise.all([everyone, this.#kill(), this.#limitLogs(), this.#takeOverAtTheEnd()])
    for (let file = 0; file < this.#options.files; file++) this.#mustBeFree(file)
    this.#journal.write('closed')
    return Math.min(this.#end, this.#journal.now()) / 1e9
  }

  /** Ends the storm before its time. */
  stop(why) {
    if (this.#isOver()) return
    this.remarks.push(`ended early: ${why}`)
    this.#end = this.#journal.now()
    for (const each of this.#running) {
      if (each.program === 'node') each.child.send('stop', () => {})
      else each.child.kill('SIGTERM')
      each.watch()
    }
  }

  #isOver() {
    return this.#journal.now() >= this.#end
  }

  /** Has a process of this program run until the end. */
  async #occupy(program, place) {
    do {
      await this.#runProcess(program, place)
    } while (this.#journal.now() < this.#end - LAST_START)
  }

  async #runProcess(program, place) {
    const number = ++this.#lastNumber
    const errors = path.join(this.#folder, `${number}.stderr`)
    const fd = fs.openSync(errors, 'w')
    this.#journal.write('starts', { process: number })
    const child = this.#spawn(program, number, place, fd)
    fs.closeSync(fd)

    const ended = new Promise((resolve) => {
      child.on('error', (error) => resolve({ error: error.message }))
      child.on('exit', (code, signal) => resolve({ code, signal }))
    })
    const one = { number, program, child, killed: false, watch: () => this.#watch(one) }
    this.#running.add(one)
    one.watch()
    const end = await ended
    clearTimeout(one.timer)
    this.#running.delete(one)
    this.#judge(one, end)
    if (program !== 'node' && this.#options.protocol) await this.#breakLocksOf(child.pid)
    const said = fs.readFileSync(errors, 'utf8').trim()
    if (said) this.remarks.push(`${program} ${number} said: ${said.slice(0, 2000)}`)
  }

  #spawn(program, number, place, stderr) {
    const { seed, seconds, workers, tasks, files, sabotage, protocol, defects } = this.#options
    const { ours, theirs, defects: theirDefects } = PROTOCOLS[protocol] ?? {}
    const isOurs = program === 'node'
    const plan = JSON.stringify({
      folder: this.#folder,
      process: number,
      start: String(this.#start),
      end: seconds * 1e9,
      seed,
      workers,
      tasks,
      // Where the last one is deleted on release, other programs would not notice.
      files: isOurs || protocol ? files : Math.max(1, files - 1),
      options: isOurs ? { protocol, ...ours } : ((defects && theirDefects) ?? theirs ?? {}),
      sabotage: place === 0 ? sabotage : undefined,
    })
    if (OF_NPM.includes(program)) {
      const args = [path.join(__dirname, 'neighbour.js'), program, plan]
      return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', stderr] })
    }
    if (!isOurs) {
      const args = [path.join(__dirname, 'neighbour.py'), program, plan]
      return spawn(this.#python, args, { stdio: ['ignore', 'ignore', stderr] })
    }
    const args = [path.join(__dirname, 'process.js'), plan]
    return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', stderr, 'ipc'] })
  }

  /** Has it ended as it should? */
  #judge({ program, number }, { code, signal, error }) {
    // By us, or by itself: then its log says so, and if it does not, the checker tells.
    if (signal === 'SIGKILL') return
    if (signal === 'SIGTERM' && this.#isOver()) {
      // Told to stop before it could listen to that.
      this.#journal.write('kills', { process: number })
      return
    }
    if (code === 0 && this.#isOver()) return
    this.#journal.write('crashed', { process: number })
    this.remarks.push(`${program} ${number} ended by itself: ${error ?? signal ?? `exit code ${code}`}`)
  }

  /** From now on it is not waited for longer than until the end, and then some. */
  #watch(one) {
    clearTimeout(one.timer)
    const left = (this.#end - this.#journal.now()) / 1e6 + this.#options.patience * 1000
    one.timer = setTimeout(() => this.#giveUp(one), left)
  }

  /** A process hangs. Asks it what it is waiting for, and kills it. */
  async #giveUp(one) {
    one.killed = true
    this.#journal.write('hangs', { process: one.number })
    const words = one.program === 'node' ? await lastWords(one.child) : 'it cannot be asked'
    this.remarks.push(`${one.program} ${one.number} (${one.child.pid}) hangs: ${words}`)
    for (let file = 0; file < this.#options.files; file++) {
      const { protocol } = this.#options
      const holders = await lockFile(lockOf(this.#folder, file), { protocol }).holders()
      if (holders?.length > 0)
        this.remarks.push(`  file ${file} is held by ${holders.map(({ pid }) => pid).join(', ')}`)
    }
    one.child.kill('SIGKILL')
  }

  async #kill() {
    for (;;) {
      await this.#pause(this.#random.interval(KILL))
      if (this.#isOver()) return
      // A dotlockfile(1) that outlives who has started it takes a lock that is nobody's for five minutes.
      const mayDie = ({ killed, program }) => !killed && program !== 'dotlockfile'
      const victim = this.#random.pick([...this.#running].filter(mayDie))
      if (!victim) continue
      victim.killed = true
      this.#journal.write('kills', { process: victim.number })
      victim.child.kill('SIGKILL')
    }
  }

  /**
   * At the end, takes over what killed processes have left behind, as the next one of ours would: a program that cannot see
   * that they are dead would wait for ever.
   */
  async #takeOverAtTheEnd() {
    const { protocol, files } = this.#options
    if (!protocol) return
    await this.#pause(Infinity)
    while (this.#running.size > 0) {
      for (let file = 0; file < files; file++) {
        const lock = lockFile(lockOf(this.#folder, file), { protocol, ...PROTOCOLS[protocol].ours })
        if (await lock.tryAcquire()) lock.release()
      }
      await sleep(LOOK)
    }
  }

  async #limitLogs() {
    for (;;) {
      await this.#pause(SIZE_LOOK)
      if (this.#isOver()) return
      const logs = fs.readdirSync(this.#folder).filter((name) => name.endsWith('.log'))
      const size = logs.reduce((sum, name) => sum + fs.statSync(path.join(this.#folder, name)).size, 0)
      if (size > this.#limit) this.stop(`the logs have ${Math.round(size / 2 ** 20)} MiB`)
    }
  }

  /** `ms`, but not longer than until the end. */
  #pause(ms) {
    return sleep(Math.max(1, Math.min(ms, (this.#end - this.#journal.now()) / 1e6)))
  }

  /**
   * Breaks the locks that a process of another program has left, where nobody can know that it is dead. There is one such
   * process at a time, so what is not ours is of the dead one.
   */
  async #breakLocksOf(pid) {
    const { protocol, files } = this.#options
    if (!PROTOCOLS[protocol].breaks) return
    for (let file = 0; file < files; file++) {
      const lock = lockFile(lockOf(this.#folder, file), { protocol })
      const entry = entryOf(this.#folder, file, protocol)
      const found = new Set()
      for (let look = 0; look < LOOKS; look++) {
        const [{ ino } = {}, holders] = [fs.lstatSync(entry, { throwIfNoEntry: false }), await lock.holders()]
        found.add(holders?.some((holder) => holder.pid !== pid) ? 'ours' : ino)
        await sleep(LOOK)
      }
      const [ino] = found
      if (found.size === 1 && ino !== undefined && ino !== 'ours') await lock.breakLock()
    }
  }

  /** Nobody is left who could hold it. A flock(1) whose parent was killed may have it for an instant yet. */
  #mustBeFree(file) {
    try {
      const { protocol } = this.#options
      lockFile(lockOf(this.#folder, file), { protocol, ...PROTOCOLS[protocol]?.ours })
        .acquireSync({ timeout: FREE_WITHIN })
        .release()
    } catch (error) {
      this.#journal.write('locked', { file })
      this.remarks.push(error.message)
    }
  }
}

/** What a process of Node that hangs knows of its locks, if its main thread still answers. */
async function lastWords(child) {
  const answer = new Promise((resolve) => child.once('message', resolve))
  child.send('query', () => {})
  const limit = new AbortController()
  const silence = delay(LAST_WORDS, undefined, { signal: limit.signal }).catch(() => {})
  const words = await Promise.race([answer, silence])
  limit.abort()
  return words ? JSON.stringify(words) : 'its main thread does not answer'
}

module.exports = { Storm }
