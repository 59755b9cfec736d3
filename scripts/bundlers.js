'use strict'

// `npm run test:bundlers`: runs the recipes of docs/bundlers.md, with the bundlers that it installs. With
// LOCKET_ALL_BUNDLERS=1 also that of Next.js.

const { installPackages, prepare, run } = require('./prepare.js')

/** How long the tests may take, in milliseconds. */
const LIMIT = 1_200_000

const FOLDER = '__test__/bundlers'

prepare()
installPackages(FOLDER, ['--ignore-scripts'])
run(process.execPath, ['--test', '--test-reporter=spec', `--test-timeout=${LIMIT}`, `${FOLDER}/bundlers.test.js`])
