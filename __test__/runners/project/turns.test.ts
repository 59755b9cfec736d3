// Copied: the copies begin at the same time, and share a counter, which is right at the end if they take turns.

import fs from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { lockFile } from '@locket/native'
import { afterAll, beforeAll, test } from './runner.js'

const UPDATES = 30
const place = (name) => path.join(process.env.LOCKS, name)

const lock = lockFile(place('database.lock'))

beforeAll(async () => {
  fs.appendFileSync(place('begun'), '.')
  while (fs.statSync(place('begun')).size < 2) await setTimeout(5)
  await lock.acquire({ timeout: 50_000 })
})

afterAll(() => {
  lock.release()
})

for (let i = 1; i <= UPDATES; i++) {
  test(`update ${i}`, async () => {
    const count = fs.existsSync(place('count')) ? Number(fs.readFileSync(place('count'), 'utf8')) : 0
    await setTimeout(1)
    fs.writeFileSync(place('count'), String(count + 1))
  })
}
