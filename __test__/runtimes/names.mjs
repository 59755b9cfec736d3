// The package's names as an ES module gets them.

import * as everything from '@locket/native'
import { FileLock, LockError, LockTimeoutError, lockFile, query } from '@locket/native'

export const names = { FileLock, LockError, LockTimeoutError, lockFile, query }
export { everything }
