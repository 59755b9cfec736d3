'use strict'

/**
 * Returns true for a protocol that locks by the existence of a file, folder or symbolic link, the lock entry. `undefined`
 * stands for 'flock'.
 */
const isByExistence = (protocol) => protocol !== undefined && protocol !== 'flock' && protocol !== 'fcntl'

module.exports = { isByExistence }
