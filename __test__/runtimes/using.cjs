'use strict'

// A file of its own: where a runtime has no `using`, nothing of it can be loaded.

const { lockFile } = require('@locket/native')

exports.using = (file, task) => {
  using lock = lockFile(file).acquireSync()
  return task(lock)
}

exports.awaitUsing = async (file, task) => {
  await using lock = await lockFile(file).acquire()
  return await task(lock)
}
