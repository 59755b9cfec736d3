'use strict'

// `npm run lint`: formatters and linters of both languages.

const { prepare, run } = require('./prepare.js')

prepare()
run('cargo', ['fmt', '--check'])
run('cargo', ['clippy', '--quiet', '--all-targets', '--', '-D', 'warnings'])
run('cargo', ['clippy', '--quiet', '--all-targets', '--no-default-features', '--', '-D', 'warnings'])
run('npx', ['biome', 'ci', '.'])
