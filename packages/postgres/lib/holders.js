'use strict'

const MODES = { ExclusiveLock: 'exclusive', ShareLock: 'shared' }

/** Returns the holders of a lock from the rows of the statement that asks for them. */
function holdersOf(rows) {
  return rows.map(([mode, serverPid, application, address]) => {
    const [, host, pid] = /^locket:(.+):(\d+)$/.exec(application) ?? []
    return {
      ...(pid !== undefined && { pid: Number(pid), host }),
      mode: MODES[mode],
      serverPid: Number(serverPid),
      application: application ?? '',
      // Null for a socket of Unix, and if this user may not see it.
      ...(address !== null && { address }),
    }
  })
}

module.exports = { holdersOf }
