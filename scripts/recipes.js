'use strict'

// `npm run test:bundlers`, `npm run test:runners`: runs the recipes of docs/bundlers.md and docs/test-runners.md, with the
// bundlers and test runners that it installs. With LOCKET_ALL_BUNDLERS=1 also that of Next.js.
//
// Usage: node recipes.js bundlers|runners

const { installPackages, prepare, run } = require('./prepare.js')

/** How long the tests may take, in milliseconds. */
const LIMIT = 1_200_000

const [name] = process.argv.slice(2)
const folder = `__test__/${name}`

prepare()
installPackages(folder, ['--ignore-scripts'])
run(process.execPath, ['--test', '--test-reporter=spec', `--test-timeout=${LIMIT}`, `${folder}/${name}.test.js`])
