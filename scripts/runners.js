'use strict'

// `npm run test:runners`: runs what docs/test-runners.md says, in the test runners that it installs.

const { installPackages, prepare, run } = require('./prepare.js')

/** How long the tests may take, in milliseconds. */
const LIMIT = 1_200_000

const FOLDER = '__test__/runners'

prepare()
installPackages(FOLDER, ['--ignore-scripts'])
run(process.execPath, ['--test', '--test-reporter=spec', `--test-timeout=${LIMIT}`, `${FOLDER}/runners.test.js`])
