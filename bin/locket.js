#!/usr/bin/env node

'use strict'

// Compiled code is kept in the folder of the package, which only those can write who can change the code itself. Node's own
// choice is the folder for temporary files, where any user could leave code to be run. Node makes the folders now, by the
// umask, which may let everybody write.
const { enableCompileCache } = require('node:module')
if (enableCompileCache) {
  const umask = process.umask(0o022)
  enableCompileCache(`${__dirname}/../.cache`)
  process.umask(umask)
}

require('../dist/command.js')(process.argv.slice(2))
