'use strict'

console.log('built')
