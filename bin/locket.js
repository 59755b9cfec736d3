#!/usr/bin/env node

'use strict'

require('./cli/main.js')(process.argv.slice(2))
