'use strict'

console.log('deployed')
