'use strict'

// The binary of each platform, by names that bundlers see.

/** Returns what require() finds for a platform. If it finds nothing, the reason is added to `failures`. */
module.exports = (platform, failures) => {
  const binary = `@locket/native-${platform}`
  try {
    if (typeof __webpack_require__ === 'function') {
      // webpack takes what is installed of these, and warns of no platform that is not. So does ncc, which would take a
      // plain require() of a computed name out of webpack's hands.
      return module.require(`@locket/native-${platform}/locket.${platform}.node`)
    } else {
      // In dist/ each platform has a line of its own, which names it. In try, bundlers pass over those that are not
      // installed.
      return require(binary)
    }
  } catch (error) {
    failures.push({ binary, error })
    return undefined
  }
}
