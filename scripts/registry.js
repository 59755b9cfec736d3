'use strict'

// `npm run test:registry`: the packages that `npm run prebuilds` has made in npm/ are published in a registry of our own,
// and installed from it by name, with each package manager. Needs no others than those that are there.

const fs = require('node:fs')
const path = require('node:path')

const { prepare, root, run } = require('./prepare.js')
const { install } = require('./registry/install.js')

/** How long a file of tests may take, in milliseconds. */
const FILE_LIMIT = 1_200_000

const FOLDER = '__test__/registry'
const files = fs.readdirSync(path.join(root, FOLDER)).filter((name) => name.endsWith('.test.js'))

prepare()
install()
run(process.execPath, [
  ...['--test', '--test-reporter=spec', '--test-concurrency=1', `--test-timeout=${FILE_LIMIT}`],
  ...files.map((name) => `${FOLDER}/${name}`),
])
