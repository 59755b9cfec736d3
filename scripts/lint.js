'use strict'

// `npm run lint`: formatters and linters of both languages.

const path = require('node:path')

const { prepare, root, run } = require('./prepare.js')

/** The crate of the benchmark, which is none of the package's. */
const FLOOR = ['--manifest-path', 'benchmark/floor/Cargo.toml']

/** What fuzzes it: formatted only, since compiling takes libFuzzer. */
const FUZZ = ['--manifest-path', 'fuzz/Cargo.toml']

prepare()
run('cargo', ['fmt', '--all', '--check'])
run('cargo', ['fmt', '--check', ...FUZZ])
run('cargo', ['fmt', '--check', ...FLOOR])
run('cargo', ['clippy', '--quiet', '--workspace', '--', '-D', 'warnings'])
run('cargo', ['clippy', '--quiet', '-p', 'locket', '--all-targets', '--', '-D', 'warnings'])
run('cargo', ['clippy', '--quiet', '--workspace', '--all-features', '--', '-D', 'warnings'])
run('cargo', ['clippy', '--quiet', '-p', 'locket', '--lib', '--tests', '--', '-D', 'warnings'], {
  RUSTFLAGS: '--cfg loom',
  CARGO_TARGET_DIR: path.join(root, 'target/loom'),
})
run('cargo', ['clippy', '--quiet', '--locked', ...FLOOR, '--', '-D', 'warnings'])
run('npx', ['biome', 'ci', '.'])
