'use strict'

// Run with the permission to load the package, and without the one to write files: says whether it was refused that, and
// then takes the lock of FILE.

const fs = require('node:fs')

const { lockFile } = require('@locket/native')

async function main() {
  const file = process.argv[2]
  try {
    fs.writeFileSync(file, '')
    console.log('allowed')
  } catch {
    console.log('refused')
  }
  const lock = await lockFile(file).acquire()
  console.log('acquired')
  lock.release()
}

main()
