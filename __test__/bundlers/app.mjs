// Takes the lock of the file that its last argument names, and keeps it until its standard input ends.

import { lockFile } from '@locket/native'

const lock = lockFile(process.argv.at(-1))

lock.acquire({ timeout: 0 }).then(
  () => {
    console.log('acquired')
    process.stdin.resume().on('end', () => lock.release())
  },
  (error) => console.log(error.code),
)
