'use strict'

const { lockFile } = require('@locket/native')

lockFile('app.lock').run(() => console.log('running'))
