'use strict'

// What the package and its lock file say about the npm packages that it takes: which of them run code when they are
// installed, where they come from, under which licences.

/** Scripts of a package that npm runs by itself when the package is installed. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare']

/** Development tools that have one all the same, and what it is for. */
const KNOWN_SCRIPTS = {
  'node_modules/esbuild': 'takes the place of its own starter; it works without, and users never install it',
}

const foreign = ({ packages }) => Object.entries(packages).filter(([folder]) => folder !== '')

/** What is wrong with package.json and package-lock.json, in sentences. */
function problemsOf(manifest, lock) {
  const problems = []
  for (const name of INSTALL_SCRIPTS) {
    if (manifest.scripts?.[name] !== undefined) problems.push(`package.json has an install script: ${name}`)
  }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    problems.push(`package.json has a dependency at run time: ${name}`)
  }
  for (const [folder, { hasInstallScript, resolved, integrity, license }] of foreign(lock)) {
    if (hasInstallScript && !(folder in KNOWN_SCRIPTS)) problems.push(`${folder} has an install script`)
    // Whoever installs takes it from the registry of their own, and what comes is compared with the checksum.
    if (resolved !== undefined) problems.push(`${folder} names where it comes from: ${resolved}`)
    if (integrity === undefined) problems.push(`${folder} has no checksum`)
    if (license === undefined) problems.push(`${folder} names no licence`)
  }
  const stale = Object.keys(KNOWN_SCRIPTS).filter((folder) => !lock.packages[folder]?.hasInstallScript)
  for (const folder of stale) problems.push(`${folder} is known for an install script, and has none`)
  return problems
}

/** How many there are of each in `names`, the most frequent first: `MIT 12, ISC 3`. */
function counted(names) {
  const counts = new Map()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const sorted = [...counts].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1))
  return sorted.map(([name, count]) => `${name} ${count}`).join(', ') || 'none'
}

/** The licences of the npm packages, by count: of those that users get, and of the tools. */
function licencesOf(lock) {
  const of = (isTool) =>
    counted(
      foreign(lock)
        .filter(([, { dev = false }]) => dev === isTool)
        .map(([, each]) => each.license),
    )
  return { runTime: of(false), development: of(true) }
}

module.exports = { counted, licencesOf, problemsOf }
