'use strict'

/** Milliseconds of the system's monotonic clock, which is one for all processes: their times can be compared. */
const now = () => Number(process.hrtime.bigint()) / 1e6

module.exports = { now }
