'use strict'

// Folders of a test, removed when it ends.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { WINDOWS } = require('./systems.js')

/** The folder of the package. */
const ROOT = path.resolve(__dirname, '../..')

const remove = (folder) => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })

function temporaryFolder(t, parent = os.tmpdir()) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(parent, 'locket-')))
  t.after(() => {
    try {
      remove(folder)
    } catch {
      // A process of the test, which is killed after this, may still make its lock file there.
      process.once('exit', () => {
        try {
          remove(folder)
        } catch (error) {
          // Windows keeps a name as long as anybody has the file open, which a process may that is being killed.
          if (!WINDOWS) throw error
        }
      })
    }
  })
  return folder
}

/** The paths of files with these names in a new folder. The files do not exist. */
function temporaryPaths(t, ...names) {
  const folder = temporaryFolder(t)
  return names.map((name) => path.join(folder, name))
}

/** The path of a lock file that does not exist. */
const temporaryPath = (t) => temporaryPaths(t, 'test.lock')[0]

module.exports = { ROOT, temporaryFolder, temporaryPath, temporaryPaths }
