'use strict'

const os = require('node:os')
const { Client } = require('pg')

const { unsupportedError } = require('./errors.js')
const { HEARTBEAT, SET_UP } = require('./sql.js')
const { after, within } = require('./timers.js')

/**
 * A holder asks the server every second for a sign of life, and waits for it for two. So it knows three seconds after the last
 * one that its lock may be gone, which is before the server gives the lock to the next one (see the settings in sql.js).
 */
const HEARTBEAT_INTERVAL = 1000
const HEARTBEAT_LIMIT = 2000

/** How long a connection may take by default, in milliseconds. */
const CONNECT_LIMIT = 10_000

/** When the system starts to look whether the server of a session that is silent is still there, in milliseconds. */
const KEEP_ALIVE_DELAY = 2000

/** The first version with pg_current_xact_id(). */
const OLDEST_VERSION = 130_000

/** The codes of errors with which the server ends a session: it was terminated, was idle for too long, or the server shuts down. */
const ENDS_SESSION = /^57P0/

/** The most bytes of an application_name. */
const NAME_LENGTH = 63

/** `locket:HOST:PID`, by which others know the holder. Of a long name of a host, the middle is left out. */
function applicationName() {
  const room = NAME_LENGTH - `locket::${process.pid}`.length
  const [first] = os.hostname().split('.')
  const [host = `${first.slice(0, 20)}~${first.slice(21 - room)}`] = [os.hostname(), first].filter(
    (name) => name.length <= room,
  )
  return `locket:${host}:${process.pid}`
}

/** Values as the server writes them: a program may have set parsers of its own. */
const AS_TEXT = { getTypeParser: () => String }

function newClient(config) {
  let client
  try {
    client = new Client({
      connectionTimeoutMillis: CONNECT_LIMIT,
      fallback_application_name: applicationName(),
      ...config,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY,
      binary: false,
      pipeline: false,
    })
  } catch (error) {
    // The connection string, with its password, if it is no URL.
    delete error.input
    throw error
  }
  // It would end waits, and may come from a connection string.
  client.connectionParameters.query_timeout = false
  return client
}

/** A session at the server. Does not keep the process alive. */
class Session {
  #config
  #client
  /** Settles when the statements so far have ended. Never rejects. */
  #ended = Promise.resolve()
  /** The error that has ended the session. */
  #error
  #needsHeartbeat = false
  #stopTimer
  /** The connection of a cancellation that is under way. */
  #cancelling

  /** Called once, with the error and this session, if it ends without being closed. */
  onLost

  /** Since when nobody uses the session. */
  idleSince

  /** True until the server answers, once nobody has used the session: then it may have been cut off unnoticed. */
  isDoubtful = false

  constructor(config) {
    this.#config = config
    this.#client = newClient(config)
    this.#client.on('error', (error) => this.destroy(error))
    this.#client.on('end', () => this.destroy(new Error('the connection to the server has ended')))
    this.#client.connection.stream.unref?.()
  }

  /** Opens the session. Rejects if it is not one that can keep locks. */
  async open(allowPooler) {
    try {
      await this.#client.connect()
      // With TLS, it is another one than before.
      this.#client.connection.stream.unref?.()
      this.#check((await this.ask(SET_UP))[0], allowPooler)
    } catch (error) {
      this.destroy(error)
      throw error
    }
  }

  /**
   * Destroys the session if it has no connection yet: that would keep the process alive. What follows does not, and goes on
   * for the next one.
   */
  stopConnecting() {
    if (this.#client.connection.stream.connecting) this.destroy(new Error('nobody waits for the connection any more'))
  }

  #check([pid, version, number, isStandby], allowPooler) {
    const problem = !version.startsWith('PostgreSQL')
      ? `this server is not PostgreSQL, and may not keep its locks: ${version}`
      : Number(number) < OLDEST_VERSION
        ? `PostgreSQL 13 or newer is needed, and this is ${version}`
        : isStandby === 't'
          ? 'this server is a standby, whose locks are its own'
          : Number(pid) !== this.#client.processID && !allowPooler
            ? 'the server is behind a connection pooler: connect directly, or set allowPooler if it gives each client a ' +
              'session of its own (session mode)'
            : undefined
    if (problem !== undefined) throw unsupportedError(problem)
  }

  get isOpen() {
    return this.#error === undefined
  }

  throwIfEnded() {
    if (this.#error !== undefined) throw this.#error
  }

  /**
   * Runs a statement, or a text of several, after those before. Resolves to the rows of the last one, each an array of strings.
   * The session ends if there is no answer within `limit`.
   */
  query(statement, values, limit = Infinity) {
    const rows = this.#ended.then(() => this.#run(statement, values, limit))
    this.#ended = rows.catch(() => {})
    return rows
  }

  async #run(statement, values, limit) {
    this.throwIfEnded()
    const { name, text = statement } = statement
    const answer = this.#client.query({ name, text, values, rowMode: 'array', types: AS_TEXT })
    try {
      const results = await within(limit, answer, () => this.destroy(noAnswer()))
      this.isDoubtful = false
      return (Array.isArray(results) ? results.at(-1) : results).rows
    } catch (error) {
      // The server ends the session with it. The connection tells so only later.
      if (ENDS_SESSION.test(error.code)) this.destroy(error)
      throw this.#error ?? error
    }
  }

  /** Same, for statements that do not wait: their answer comes soon, or the server is gone. */
  ask(statement, values) {
    return this.query(statement, values, HEARTBEAT_LIMIT)
  }

  /**
   * Asks the server to cancel the statement that runs now. Resolves when the server has dealt with that, or cannot be reached:
   * before, the next statement might be cancelled instead. Resolves also when the session ends.
   */
  cancel() {
    return new Promise((resolve) => {
      const { processID, secretKey } = this.#client
      const { connection, host, port, ssl } = newClient(this.#config)
      this.#cancelling = connection
      const send = () => connection.cancel(processID, secretKey)
      connection.once('connect', () => {
        if (!ssl) send()
        else if (connection.sslNegotiation !== 'direct') connection.requestSsl()
      })
      connection.once('sslconnect', send)
      connection.on('error', resolve)
      connection.once('end', resolve)
      if (host?.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
      else connection.connect(port, host)
    })
  }

  /** Ends the session, from now on, when the server gives no sign of life any more. */
  startHeartbeat() {
    this.#needsHeartbeat = true
    // Locks that are held one after the other share a timer.
    if (this.#stopTimer === undefined) this.#scheduleHeartbeat(HEARTBEAT_INTERVAL)
  }

  stopHeartbeat() {
    this.#needsHeartbeat = false
  }

  #scheduleHeartbeat(delay) {
    this.#stopTimer = after(delay, async () => {
      const sent = performance.now()
      try {
        if (this.#needsHeartbeat) await this.ask(HEARTBEAT)
      } catch {
        // The session has ended; or the server has refused, which is a sign of life.
      }
      this.#stopTimer = undefined
      const delay = sent + HEARTBEAT_INTERVAL - performance.now()
      if (this.#needsHeartbeat) this.#scheduleHeartbeat(Math.max(0, delay))
    })
  }

  /** Ends the session in an orderly way. */
  close() {
    this.#end(new Error('the session is closed'))
    this.#client.end().catch(() => {})
  }

  /** Ends the session at once. */
  destroy(error) {
    if (!this.#end(error)) return
    this.#client.connection.stream.destroy()
    this.#cancelling?.stream.destroy()
    this.onLost?.(error, this)
  }

  #end(error) {
    if (this.#error !== undefined) return false
    this.#error = error
    this.#needsHeartbeat = false
    this.#stopTimer?.()
    return true
  }
}

const noAnswer = () => new Error(`the server has not answered for ${HEARTBEAT_LIMIT} ms`)

module.exports = { Session }
