'use strict'

// A process whose system calls on a lock file follow rules, for a test.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { temporaryFolder, temporaryPath } = require('../folders.js')
const { isFree } = require('../locks.js')
const { AGENT, Talker } = require('../processes.js')
const { LINUX, needs, unavailable } = require('../systems.js')
const { until } = require('../waiting.js')

const SUPERVISOR = path.join(__dirname, 'supervisor.py')

/** The rules as supervisor.py reads them: on the lock file unless a rule says otherwise. */
const rulesFor = (file, rules) => rules.map((rule) => (rule.folder ? rule : { path: file, ...rule }))

/** A command for `file`, whose system calls follow the rules that it is given. */
class Subject extends Talker {
  #rules

  constructor(t, file, command, rules = []) {
    // Not beside the lock file, where it would wake who watches that folder.
    const own = path.join(temporaryFolder(t), 'rules.json')
    // In force before the command runs.
    fs.writeFileSync(own, JSON.stringify(rulesFor(file, rules)))
    super(t, 'python3', [SUPERVISOR, own, ...command])
    this.#rules = own
    this.file = file
  }

  /** The calls that the rules have concerned since they are in force. */
  get calls() {
    const file = `${this.#rules}.met`
    // What follows the last line break is not complete yet.
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  }

  /** How many they are. */
  get met() {
    return this.calls.length
  }

  /** From now on, calls follow these rules (see supervisor.py). */
  follow(...rules) {
    fs.rmSync(`${this.#rules}.met`, { force: true })
    fs.writeFileSync(`${this.#rules}.new`, JSON.stringify(rulesFor(this.file, rules)))
    fs.renameSync(`${this.#rules}.new`, this.#rules)
  }

  /** Resolves once a call is concerned. */
  stopped() {
    return until(() => this.met > 0, 'a call that is concerned')
  }

  /** What comes of a command of agent.js that takes the lock, and of `acquire` what comes of the wait. */
  async take(command, options = '') {
    const answer = await this.ask(`${command} ${options}`)
    return command === 'acquire' ? this.line() : answer
  }

  /** `command` gets the lock, which is released. */
  async takesAndReleases(command) {
    assert.equal(await this.take(command), command === 'try' ? 'true' : 'acquired')
    assert.equal(await isFree(this.file), false)
    assert.equal(await this.ask('release'), 'released')
    assert.equal(await isFree(this.file), true)
  }

  /** Acquires and releases, as if nothing had ever been wrong, and leaves nothing. */
  async worksAgain() {
    this.follow()
    assert.equal(await this.ask('held'), 'false')
    assert.equal(await isFree(this.file), true)
    for (const command of ['acquire', 'sync']) await this.takesAndReleases(command)
    assert.equal(await this.ask('closed'), 'closed')
  }
}

/** A subject that is there: an agent, unless another script is given. undefined: the test is skipped. */
async function subject(t, script = AGENT) {
  if (!needs(t, 'python3')) return undefined
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const it = new Subject(t, file, [process.execPath, script, file])
  if ((await it.ask('held')) === 'false') return it
  return unavailable(t, 'seccomp is not allowed here') || undefined
}

/** Returns false if calls of processes can be stopped here, or what is in the way. */
function isUnavailable() {
  if (!LINUX) return 'only on Linux'
  const rules = path.join(os.tmpdir(), `locket-rules-${process.pid}.json`)
  fs.writeFileSync(rules, '[]')
  const { error, stdout } = spawnSync('python3', [SUPERVISOR, rules, 'true'], { encoding: 'utf8' })
  fs.rmSync(rules)
  const why = error ? 'python3 is not installed' : stdout.includes('unavailable') && 'seccomp is not allowed here'
  return process.env.LOCKET_REQUIRE_ALL !== '1' && why
}

module.exports = { isUnavailable, Subject, subject }
