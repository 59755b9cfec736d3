'use strict'

const { cyclicConnection } = require('./arguments.js')
const { Entry } = require('./entry.js')
const { failureError } = require('./errors.js')
const { Session } = require('./session.js')
const { after } = require('./timers.js')

/** How long a session stays open that nobody needs, in milliseconds. */
const IDLE_LIMIT = 10_000

/** The sessions of this thread for one connection, and the locks that they are used for. */
class Sessions {
  #config
  #allowPooler
  /** The number of sessions, with those that are being opened. */
  #count = 0
  /** The sessions that nobody needs now, the last used one at the end, and whether a timer closes them. */
  #idle = []
  #isSweeping = false
  /** The claims that wait for a session, in their order. */
  #claims = []
  /** The entries by name. */
  #entries = new Map()
  /** For questions when there is no room: one session more. */
  #more

  constructor(config, allowPooler) {
    this.#config = config
    this.#allowPooler = allowPooler
  }

  /** Returns the entry of this name, which is there as long as it is used. */
  entry(name) {
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = new Entry(this, name)
      this.#entries.set(name, entry)
    }
    return entry
  }

  /** Returns true if this thread holds the lock of this name. */
  isHeld(name) {
    return this.#entries.get(name)?.isHeld === true
  }

  forget(entry) {
    this.#entries.delete(entry.name)
  }

  /** Returns true if a session can be had at once, with at most `limit` of them. */
  hasRoom(limit) {
    return this.#idle.length > 0 || this.#count < limit
  }

  get areWaitedFor() {
    return this.#claims.length > 0
  }

  /**
   * Claims a session, when there are less than `limit`, or one is idle. Has a promise, which resolves to undefined if the claim
   * is withdrawn.
   */
  claim(limit) {
    const claim = { limit }
    claim.promise = new Promise((resolve, reject) => Object.assign(claim, { resolve, reject }))
    this.#claims.push(claim)
    this.#serve()
    return claim
  }

  withdraw(claim) {
    const index = this.#claims.indexOf(claim)
    if (index !== -1) this.#claims.splice(index, 1)
    claim.isWithdrawn = true
    claim.opening?.stopConnecting()
    claim.resolve(undefined)
  }

  #serve() {
    for (;;) {
      const index = this.#claims.findIndex(({ limit }) => this.hasRoom(limit))
      if (index === -1) return
      const [claim] = this.#claims.splice(index, 1)
      const session = this.#idle.pop()
      if (session === undefined) {
        this.#open(claim)
      } else {
        session.onLost = undefined
        claim.resolve(session)
      }
    }
  }

  async #open(claim) {
    this.#count++
    try {
      const session = new Session(this.#config)
      claim.opening = session
      await session.open(this.#allowPooler)
      if (claim.isWithdrawn) this.give(session)
      else claim.resolve(session)
    } catch (error) {
      this.#count--
      claim.reject(error)
      this.#serve()
    }
  }

  /** Takes back a session that is open, and holds nothing; or one that has ended. */
  give(session) {
    session.onLost = undefined
    if (session.isOpen) {
      session.isDoubtful = true
      session.idleSince = performance.now()
      session.onLost = this.#drop
      this.#idle.push(session)
      if (!this.#isSweeping) this.#sweepIn(IDLE_LIMIT)
    } else {
      this.#count--
      // It was cut off while nobody used it: so were the others, probably.
      if (session.isDoubtful)
        for (const other of [...this.#idle]) other.destroy(new Error('another session was cut off'))
    }
    this.#serve()
  }

  /** Forgets a session that has ended while nobody used it. */
  #drop = (_error, session) => {
    this.#idle.splice(this.#idle.indexOf(session), 1)
    this.#count--
    this.#serve()
  }

  /** Closes, after this time, the sessions that have been idle for too long. */
  #sweepIn(milliseconds) {
    this.#isSweeping = true
    after(milliseconds, () => {
      this.#isSweeping = false
      const limit = performance.now() - IDLE_LIMIT
      while (this.#idle.length > 0 && this.#idle[0].idleSince <= limit) {
        this.#count--
        this.#idle.shift().close()
      }
      if (this.#idle.length > 0) this.#sweepIn(this.#idle[0].idleSince - limit)
    })
  }

  /** Asks a question, whose answer are rows. Waits for no lock: at `limit`, the questions have one session of their own. */
  async ask(name, question, limit) {
    const holding = this.#entries.get(name)?.holdingSession
    try {
      if (holding !== undefined) return await holding.ask(question)
      if (this.hasRoom(limit)) return await this.#ask(question, limit)
      this.#more ??= new Sessions(this.#config, this.#allowPooler)
      return await this.#more.#ask(question, 1)
    } catch (error) {
      throw failureError(error, name)
    }
  }

  async #ask(question, limit) {
    for (;;) {
      const session = await this.claim(limit).promise
      const { isDoubtful } = session
      try {
        return await session.ask(question)
      } catch (error) {
        // It may have been cut off while nobody used it.
        if (session.isOpen || !isDoubtful) throw error
      } finally {
        this.give(session)
      }
    }
  }
}

/** The sessions by connection, see keyOf(). They are there as long as a handle or a lock needs them. */
const all = new Map()
const registry = new FinalizationRegistry((key) => {
  if (all.get(key)?.deref() === undefined) all.delete(key)
})

/** A number for each object that is compared by identity. */
const numbers = new WeakMap()
let lastNumber = 0

/**
 * Returns a text that is the same for equal connections. Functions, and objects of a class, are equal to themselves only.
 * `outer`: the objects around the value.
 */
function keyOf(value, outer = []) {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return `${typeof value}:${JSON.stringify(String(value))}`
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) {
    if (outer.includes(value)) throw cyclicConnection()
    // Also those that are not enumerable: a Pool hides its password so.
    const names = Object.getOwnPropertyNames(value).sort()
    return `{${names.map((name) => `${JSON.stringify(name)}:${keyOf(value[name], [...outer, value])}`).join()}}`
  }
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString('base64')}`
  let number = numbers.get(value)
  if (number === undefined) {
    number = ++lastNumber
    numbers.set(value, number)
  }
  return `#${number}`
}

/** Returns what pg needs to know of a connection: a copy, since the program may change it. */
function configOf(connection) {
  if (connection === undefined) return {}
  if (typeof connection === 'string' || connection instanceof URL) return { connectionString: String(connection) }
  // A Pool hides its password from enumeration.
  const { password } = connection
  return { ...connection, ...(password !== undefined && { password }) }
}

/** Returns the sessions for a connection: the same for an equal one. */
function sessionsOf(connection, allowPooler) {
  const config = configOf(connection)
  const key = `${allowPooler}:${keyOf(config)}`
  let sessions = all.get(key)?.deref()
  if (sessions === undefined) {
    sessions = new Sessions(config, allowPooler)
    all.set(key, new WeakRef(sessions))
    registry.register(sessions, key)
  }
  return sessions
}

module.exports = { sessionsOf }
