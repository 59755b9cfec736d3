'use strict'

module.exports = require('@locket/native/proper-lockfile')
