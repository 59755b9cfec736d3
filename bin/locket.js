#!/usr/bin/env node

'use strict'

// Compiled code is kept in the folder of the package, which only those can write who can change the code itself. Node's own
// choice is the folder for temporary files, where any user could leave code to be run.
require('node:module').enableCompileCache?.(`${__dirname}/../.cache`)

require('../dist/command.js')(process.argv.slice(2))
