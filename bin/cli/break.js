'use strict'

// locket --break FILE: removes the lock entry of a lock by existence.

const { EXIT, lockFailure } = require('./failure.js')
const { handleOf } = require('./handle.js')
const { heldBy, write } = require('./output.js')

const UNLOCKED = 1

/** Resolves to the exit code. */
async function breakLock(request) {
  const { file, verbosity } = request
  try {
    const lock = handleOf(request)
    // Whoever breaks a lock by mistake learns whose it was.
    const holders = await lock.holders()
    const wasThere = await lock.breakLock()
    if (verbosity !== 'quiet')
      write(1, wasThere ? `broke the lock of ${file}${heldBy(holders)}\n` : `${file} is not locked\n`)
    return wasThere ? EXIT.OK : UNLOCKED
  } catch (error) {
    throw lockFailure(error, file)
  }
}

module.exports = breakLock
