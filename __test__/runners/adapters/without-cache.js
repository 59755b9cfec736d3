import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** Where there are no module resets: what people do instead. */
export async function loadAgain() {
  const path = require.resolve('@locket/native')
  require(path)
  delete require.cache[path]
  return require(path)
}
