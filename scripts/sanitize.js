'use strict'

// `npm run test:sanitizers`: the core's tests where more is seen than whether they pass.
// `npm run test:sanitizers -- miri|thread|address`: one of them. Takes Rust's nightly toolchain by rustup; what cannot be
// had is said, and with LOCKET_REQUIRE_ALL=1 that is a failure.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { root, run } = require('./prepare.js')

const TOOLCHAIN = 'nightly'
const CORE = ['-p', 'locket']

/** The name of this machine's target, as the toolchain has it. */
function target() {
  const { stdout } = spawnSync('rustc', [`+${TOOLCHAIN}`, '-vV'], { encoding: 'utf8' })
  return /^host: (.*)$/m.exec(stdout ?? '')?.[1]
}

/** The tests, built with a sanitizer, and so is the standard library, else what happens in it is not seen. */
function sanitized(name, env = {}) {
  // No documentation's tests: those are compiled without the sanitizer. The budget is a time, which may be over here before
  // the first hand-off.
  const skipped = ['--skip', 'after_its_budget_of_handoffs']
  const options = ['-Z', 'build-std', '--target', target(), ...CORE, '--lib', '--tests', '--no-fail-fast']
  run('cargo', [`+${TOOLCHAIN}`, 'test', '--quiet', ...options, '--', ...skipped], {
    RUSTFLAGS: `-Zsanitizer=${name}`,
    CARGO_TARGET_DIR: path.join(root, 'target', `sanitizer-${name}`),
    // Of a panic that is on purpose: to find the names takes the sanitizers longer than the tests wait.
    RUST_BACKTRACE: '0',
    ...env,
  })
}

const PARTS = {
  miri: {
    components: ['miri', 'rust-src'],
    /** The state machine: what talks to the system calls what Miri does not know. */
    run() {
      run('cargo', [`+${TOOLCHAIN}`, 'miri', 'test', '--quiet', ...CORE, '--lib', 'driver::'], {
        // A file that is still held at the end of a test, and its holder, keep each other.
        MIRIFLAGS: '-Zmiri-disable-isolation -Zmiri-ignore-leaks',
        CARGO_TARGET_DIR: path.join(root, 'target/miri'),
      })
    },
  },
  thread: {
    components: ['rust-src'],
    run: () => sanitized('thread'),
  },
  address: {
    components: ['rust-src'],
    // What is still held at the end of a test, and its holder, keep each other: that is no leak.
    run: () => sanitized('address', { ASAN_OPTIONS: 'detect_leaks=0' }),
  },
}

/** Why a part cannot be run here, if it cannot. */
function obstacle({ components }) {
  if (process.platform !== 'linux') return 'it is for Linux'
  const { status, error, stderr } = spawnSync('rustup', ['component', 'add', '--toolchain', TOOLCHAIN, ...components], {
    encoding: 'utf8',
  })
  if (error) return 'there is no rustup'
  return status === 0 ? undefined : stderr.trim().split('\n').at(-1)
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in PARTS))
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(PARTS).join(', ')}`)
  process.exit(64)
}
for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  console.log(`\n== ${name}`)
  const problem = obstacle(PARTS[name])
  if (!problem) PARTS[name].run()
  else {
    console.log(`not run: ${problem}`)
    if (process.env.LOCKET_REQUIRE_ALL === '1') process.exitCode = 1
  }
}
