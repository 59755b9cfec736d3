'use strict'

// Moves all files of one folder to another one, while others may move them back.
//
//   node examples/move-files.js left right
//   node examples/move-files.js right left
//
// Run both in two terminals at once, again and again. Each needs the locks of both folders. If it acquired one after the
// other, each could hold one of them and wait for the other one for ever.

const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')

const { lockFiles } = require('@locket/native')

const BASE = path.join(os.tmpdir(), 'move-files')

/** The lock of a folder is a file beside it, so that it is not moved. */
const lockOf = (folder) => path.join(BASE, `${folder}.lock`)

/** Makes a folder. The first one that is made has three files. */
async function make(folder) {
  const isFirst = (await fs.mkdir(BASE, { recursive: true })) !== undefined
  await fs.mkdir(path.join(BASE, folder), { recursive: true })
  if (!isFirst) return
  for (const name of ['a', 'b', 'c']) await fs.writeFile(path.join(BASE, folder, name), `${name}\n`)
}

async function move(from, to) {
  const names = await fs.readdir(path.join(BASE, from))
  for (const name of names) await fs.rename(path.join(BASE, from, name), path.join(BASE, to, name))
  return names.length
}

async function main(from, to) {
  if (!from || !to || from === to) throw new Error('usage: node examples/move-files.js FROM TO')
  await make(from)
  await make(to)
  const count = await lockFiles([lockOf(from), lockOf(to)]).run(() => move(from, to))
  console.log(`Moved ${count} file${count === 1 ? '' : 's'} from ${from} to ${to}`)
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
