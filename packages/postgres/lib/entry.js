'use strict'

const { holds } = require('../../../lib/nested-runs.js')
const { onAbort } = require('../../../lib/signals.js')
const { AbortError, failureError, lostError, timeoutError } = require('./errors.js')
const { holdersOf } = require('./holders.js')
const { questionsOn, STATEMENTS, UNLOCK_ALL } = require('./sql.js')
const { after, sleep } = require('./timers.js')

/** A server that has not dealt with a cancellation by then is taken for dead, in milliseconds. */
const CANCEL_LIMIT = 2000

/** A cancellation that comes before its statement has begun does nothing: it is repeated after this time. */
const CANCEL_AGAIN = 50

/** How long shared requests may join those that hold the lock, until the server is asked whether others wait for it. */
const JOIN_TIME = 100

/** SQLSTATE of a statement that was cancelled. */
const QUERY_CANCELED = '57014'

/** How often a statement that does not wait is tried that somebody else cancels. */
const TRIES = 3

/**
 * The lock of one name, in this thread: who holds it, and who waits. However many they are, they need one session, which holds
 * or waits for the lock at the server in their place.
 */
class Entry {
  #sessions
  #ownQuestions
  /** The requests, in their order. The first one may be under way at the server. */
  #queue = []
  #holds = new Set()
  /** The session, and the claim to it, until it is there. */
  #session
  #claim
  /** The mode in which the session holds the lock, and the token of this. */
  #mode
  #token
  /**
   * The lock statement that is under way for the first request: its mode, whether the server has said that the lock is held, its
   * end, and its cancellation.
   */
  #statement
  /** Until when shared requests may join, and whether others wait for the lock at the server. */
  #joinUntil
  #isWaitedFor
  /** The promise of the unlocking that a release waits for, with its functions. */
  #unlocking
  /** The answer to the question who holds the lock, while it is on its way. */
  #holders
  #isDriven = false

  constructor(sessions, name) {
    this.#sessions = sessions
    this.name = name
  }

  /** The questions that the server can be asked about the lock. */
  get #questions() {
    this.#ownQuestions ??= questionsOn(this.name)
    return this.#ownQuestions
  }

  /** The session, if it holds the lock: then it can answer questions. */
  get holdingSession() {
    return this.#mode === undefined ? undefined : this.#session
  }

  get isHeld() {
    return this.#holds.size > 0
  }

  /**
   * Requests the lock. Resolves to the hold; if it is refused at once, a try resolves to undefined. `begin` is called with the
   * hold as soon as it is granted. It has a `token`, and may get a function `onLost`. `run`: the run() around the request that
   * holds the same lock.
   */
  request({ mode, timeout, signal, isTry, limit, handle, run, begin }) {
    const request = { mode, timeout, signal, isTry, limit, handle, run, begin, isOnce: timeout === 0 }
    return new Promise((resolve, reject) => {
      Object.assign(request, { resolve, reject })
      if (signal?.aborted) return this.#reject(request, 'aborted')
      if (request.isOnce && !this.#mayTry(request)) {
        // If this thread does not hold the lock, it can be others that wait only.
        return this.#refuse(request, this.isHeld ? undefined : 'other requests of this thread wait for it')
      }
      const forgetSignal = signal && onAbort(signal, () => this.#withdraw(request, 'aborted'))
      const stopTimer = request.isOnce ? undefined : after(timeout, () => this.#withdraw(request, 'timeout'))
      request.leave = () => {
        forgetSignal?.()
        stopTimer?.()
      }
      this.#queue.push(request)
      this.#drive()
    })
  }

  /** Ends a hold. Returns a promise that resolves when the next one can have the lock, or undefined if others share it. */
  release(hold) {
    this.#holds.delete(hold)
    if (!this.isHeld) this.#unlocking = withResolvers()
    const unlocked = this.#unlocking?.promise
    this.#drive()
    return unlocked
  }

  /** May this request be tried, though it does not wait for others? */
  #mayTry(request) {
    if (this.isHeld && !this.#mayJoin(request)) return false
    // Shared ones get the lock together.
    return (
      this.#queue.length === 0 || [...this.#queue, request].every(({ isOnce, mode }) => isOnce && mode === 'shared')
    )
  }

  /** May this request hold the lock beside those who do? A handle holds it at most once. */
  #mayJoin({ mode, handle }) {
    return mode === 'shared' && this.#mode === 'shared' && ![...this.#holds].some((hold) => hold.handle === handle)
  }

  /** Does what there is to do, until a request or a release comes. */
  async #drive() {
    if (this.#isDriven) return
    this.#isDriven = true
    for (let action = this.#nextAction(); action !== undefined; action = this.#nextAction()) await action
    this.#isDriven = false
  }

  /** Starts what is to be done next. Returns its promise, which never rejects, or undefined if there is nothing. */
  #nextAction() {
    if (this.#mode !== undefined) {
      if (!this.isHeld) return this.#unlock()
      return this.#letJoin()
    }
    if (this.#queue.length === 0) return this.#end()
    return this.#session === undefined ? this.#connect() : this.#lock(this.#queue[0])
  }

  /** Lets shared requests join. Starts to ask the server first, if it is time to. */
  #letJoin() {
    for (;;) {
      const [head] = this.#queue
      if (head === undefined) return undefined
      if (!this.#mayJoin(head) || this.#isWaitedFor) {
        if (!head.isOnce) return undefined
        this.#refuse(head)
      } else if (performance.now() >= this.#joinUntil) {
        return this.#look()
      } else {
        this.#grant(head)
      }
    }
  }

  /** Looks whether others wait for the lock at the server. */
  async #look() {
    try {
      const [[isWaitedFor]] = await this.#session.ask(this.#questions.isWaitedFor)
      this.#isWaitedFor = isWaitedFor === 't'
      this.#joinUntil = performance.now() + JOIN_TIME
    } catch {
      // The session is gone; or the question was cancelled, and it is safe to let nobody join.
      this.#isWaitedFor = true
    }
  }

  /** Gives back the session. A later request makes a new entry. */
  #end() {
    if (this.#session !== undefined) this.#giveSession()
    this.#sessions.forget(this)
  }

  #giveSession() {
    const session = this.#session
    this.#session = undefined
    this.#sessions.give(session)
  }

  async #connect() {
    const [head] = this.#queue
    if (head.isOnce && !this.#sessions.hasRoom(head.limit)) return this.#refuse(head, allInUse(head.limit))
    this.#claim = this.#sessions.claim(head.limit)
    try {
      this.#session = await this.#claim.promise
      if (this.#session !== undefined) this.#session.onLost = this.#lose
    } catch (error) {
      for (const request of [...this.#queue]) {
        this.#remove(request)
        request.reject(failureError(error, this.name))
      }
    }
    this.#claim = undefined
  }

  /** Requests the lock at the server, for the first request or the one that takes its place. */
  async #lock({ mode, isOnce }) {
    const session = this.#session
    const statement = { mode, isRefused: false, isSettled: false, settled: withResolvers() }
    this.#statement = statement
    // One that comes later is tried by itself: the lock may be free by then.
    const tries = this.#queue.filter(({ isOnce }) => isOnce)
    try {
      const token = await this.#askFor(session, statement, isOnce).finally(() => {
        statement.isSettled = true
        statement.settled.resolve()
      })
      // The next statement of the session might be cancelled instead.
      await statement.cancellation
      session.throwIfEnded()
      this.#statement = undefined
      if (token !== null) this.#begin(mode, BigInt(token))
      else for (const request of tries) this.#refuse(request)
    } catch (error) {
      await statement.cancellation
      await this.#fail(session, error)
    }
  }

  /** Resolves to the token, or to null if the lock is refused. */
  async #askFor(session, statement, isOnce) {
    const { try: attempt, lock } = STATEMENTS[statement.mode]
    const [[token]] = await session.ask(attempt, [this.name])
    statement.isRefused = token === null
    // A wait has no limit: it begins when the server has shown that it is there.
    if (token !== null || isOnce) return token
    const [[late]] = await session.query(lock, [this.name])
    return late
  }

  /** The session holds the lock now: it is granted to the first request, and to shared ones behind it. */
  #begin(mode, token) {
    this.#mode = mode
    this.#token = token
    this.#isWaitedFor = false
    this.#joinUntil = performance.now() + JOIN_TIME
    this.#session.startHeartbeat()
    if (this.#queue[0]?.mode === mode) this.#grant(this.#queue[0])
  }

  #grant(request) {
    this.#remove(request)
    const hold = { entry: this, handle: request.handle, token: this.#token, onLost: undefined }
    this.#holds.add(hold)
    request.begin(hold)
    request.resolve(hold)
  }

  /** Rejects the first request, whose statement has failed. Not before it is certain that its session holds nothing. */
  async #fail(session, error) {
    const [request] = this.#queue
    let holders
    try {
      const isTimeout = request.reason === 'timeout'
      const statements = isTimeout ? `${UNLOCK_ALL}; ${this.#questions.holders}` : UNLOCK_ALL
      const rows = await this.#insist(() => session.ask(statements))
      if (isTimeout) holders = holdersOf(rows)
    } catch (problem) {
      session.destroy(problem)
    }
    this.#statement = undefined
    if (request.reason !== undefined) {
      this.#remove(request)
      const { reason } = request
      request.reject(
        reason === 'aborted'
          ? new AbortError(request.signal.reason, this.name)
          : timeoutError(this.#describe(request), holders, session.isOpen ? undefined : 'the server does not answer'),
      )
    } else if (session.isOpen || !session.isDoubtful) {
      this.#remove(request)
      request.reject(failureError(error, this.name))
    }
    // Otherwise the session was cut off while nobody used it, and another one is opened.
  }

  /** Runs a statement that does not wait, again if somebody else cancels it. */
  async #insist(query) {
    for (let tries = 1; ; tries++) {
      try {
        return await query()
      } catch (error) {
        if (error.code !== QUERY_CANCELED || tries === TRIES) throw error
      }
    }
  }

  async #unlock() {
    const session = this.#session
    const { unlock } = STATEMENTS[this.#mode]
    let lost
    try {
      const [[isUnlocked]] = await this.#insist(() => session.ask(unlock, [this.name]))
      if (isUnlocked !== 't') throw new Error('its session did not hold it any more')
    } catch (error) {
      lost = lostError(this.name, error)
      session.destroy(error)
    }
    session.stopHeartbeat()
    this.#mode = undefined
    if (lost === undefined) this.#unlocking?.resolve()
    else this.#unlocking?.reject(lost)
    this.#unlocking = undefined
    // Other names have their turn, too.
    if (this.#session !== undefined && this.#sessions.areWaitedFor) this.#giveSession()
  }

  /** The session is gone, and with it the lock. */
  #lose = (error) => {
    this.#giveSession()
    this.#mode = undefined
    const holds = [...this.#holds]
    this.#holds.clear()
    for (const hold of holds) hold.onLost(lostError(this.name, error))
    this.#drive()
  }

  /** Takes back a request, because of its signal or its timeout. */
  #withdraw(request, reason) {
    const index = this.#queue.indexOf(request)
    if (index === -1 || request.reason !== undefined) return
    const statement = this.#statement
    if (index === 0 && statement !== undefined) {
      const isUnderWay = !statement.isSettled && !request.isOnce
      // Its place at the server is that of the next one, if that wants the same.
      if (!isUnderWay || this.#queue[1]?.mode !== statement.mode) {
        request.reason = reason
        if (isUnderWay) this.#cancel(statement)
        return
      }
    }
    this.#remove(request)
    this.#reject(request, reason)
    if (this.#queue.length === 0 && this.#claim !== undefined) this.#sessions.withdraw(this.#claim)
    this.#drive()
  }

  /** Cancels the lock statement. It may have been granted all the same. */
  #cancel(statement) {
    const session = this.#session
    const stop = after(CANCEL_LIMIT, () => session.destroy(new Error('the server has not cancelled a statement')))
    const cancel = async () => {
      while (!statement.isSettled && session.isOpen) {
        await session.cancel()
        await Promise.race([statement.settled.promise, sleep(CANCEL_AGAIN)])
      }
      stop()
    }
    statement.cancellation = cancel()
  }

  #remove(request) {
    this.#queue.splice(this.#queue.indexOf(request), 1)
    request.leave()
  }

  /** Ends a request that does not wait, and cannot have the lock now. `why`: if not because of its holders. */
  #refuse(request, why) {
    if (this.#queue[0] === request) this.#remove(request)
    if (request.reason === 'aborted') return this.#reject(request, 'aborted')
    if (request.isTry) return request.resolve(undefined)
    this.#reject(request, 'timeout', why)
  }

  /** Rejects a request that is not under way. `why`: why the lock was not to be had, if not because of its holders. */
  async #reject(request, reason, why = this.#whyUnknown) {
    if (reason === 'aborted') return request.reject(new AbortError(request.signal.reason, this.name))
    if (why !== undefined) return request.reject(timeoutError(this.#describe(request), undefined, why))
    this.#holders ??= this.#askHolders().finally(() => {
      this.#holders = undefined
    })
    request.reject(timeoutError(this.#describe(request), await this.#holders))
  }

  /** Why nobody knows whether the lock is held, or undefined if it is. */
  get #whyUnknown() {
    if (this.#statement?.isRefused === false) return 'the server has not answered yet'
    if (this.#claim === undefined) return undefined
    return this.#claim.opening !== undefined ? 'there is no connection yet' : allInUse(this.#claim.limit)
  }

  /** Resolves to those who hold the lock, or to undefined if no session can tell now. */
  async #askHolders() {
    // One that waits for the lock cannot.
    if (this.#session === undefined || (this.#statement !== undefined && this.#mode === undefined)) return undefined
    try {
      return holdersOf(await this.#session.ask(this.#questions.holders))
    } catch {
      return undefined
    }
  }

  #describe({ timeout, run }) {
    return { lockName: this.name, timeout, isNested: run !== undefined && holds(run) }
  }
}

const allInUse = (limit) => `all ${limit} sessions are in use (maxSessions)`

/** A promise with its functions. (Promise.withResolvers() is not in Node 20.) */
function withResolvers() {
  const functions = {}
  const promise = new Promise((resolve, reject) => Object.assign(functions, { resolve, reject }))
  return { promise, ...functions }
}

module.exports = { Entry }
