'use strict'

// The binary of each platform, by names that bundlers see.

/** Returns what require() finds for a platform. If it finds nothing, the reason is added to `failures`. */
module.exports = (platform, failures) => {
  const binary = `@locket/native-${platform}`
  try {
    // webpack takes what is installed of these. It leaves the other lines out, and warns of no platform that is not here.
    if (typeof __webpack_require__ === 'function') return require(`@locket/native-${platform}/locket.${platform}.node`)
    // In dist/ each platform has a line of its own, which names it. Within try, bundlers pass over those that are not here.
    return require(binary)
  } catch (error) {
    failures.push({ binary, error })
    return undefined
  }
}
