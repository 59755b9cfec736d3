'use strict'

// The gate that each prebuilt binary has to pass: what is wrong with one is seen.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { problemsOf } = require('../../scripts/prebuilds/check.js')
const { PLATFORMS } = require('../../scripts/prebuilds/platforms.js')

const root = path.resolve(__dirname, '../..')
const CONTENT = Buffer.from('a binary')

/** What inspect.py says of a binary that is as it should be. */
const RIGHT = {
  'linux-x64-gnu': {
    format: 'ELF',
    arch: 'x64',
    exports: ['napi_register_module_v1'],
    glibc: '2.17',
    libraries: ['libc.so.6', 'ld-linux-x86-64.so.2', 'libpthread.so.0', 'libdl.so.2'],
  },
  'linux-ppc64-gnu': {
    format: 'ELF',
    arch: 'ppc64',
    exports: ['napi_register_module_v1'],
    glibc: '2.17',
    libraries: ['libc.so.6', 'ld64.so.2'],
  },
  'freebsd-x64': {
    format: 'ELF',
    arch: 'x64',
    exports: ['napi_register_module_v1'],
    glibc: null,
    libraries: ['libthr.so.3', 'libc.so.7'],
  },
  'linux-arm64-musl': {
    format: 'ELF',
    arch: 'arm64',
    exports: ['napi_register_module_v1'],
    glibc: null,
    libraries: ['libc.so'],
  },
  'darwin-arm64': {
    format: 'MachO',
    arch: 'arm64',
    exports: ['rust_eh_personality', 'napi_register_module_v1'],
    macos: '11.0',
    libraries: ['/usr/lib/libSystem.B.dylib'],
    name: '@rpath/locket.node',
    thread_locals: true,
    signed: true,
  },
  'win32-x64-msvc': {
    format: 'PE',
    arch: 'x64',
    exports: ['napi_register_module_v1'],
    libraries: ['kernel32.dll', 'KERNEL32.dll', 'api-ms-win-crt-heap-l1-1-0.dll', 'bcryptprimitives.dll'],
  },
}

const problems = (platform, wrong = {}, content = CONTENT) =>
  problemsOf(PLATFORMS[platform].expected, { ...RIGHT[platform], ...wrong }, content)

for (const platform of Object.keys(RIGHT)) {
  test(`a binary for ${platform} that is as it should be passes`, () => assert.deepEqual(problems(platform), []))
}

const WRONG = [
  ['linux-x64-gnu', 'is of another format', { format: 'MachO' }, /the format is MachO, not ELF/],
  ['linux-x64-gnu', 'is for another processor', { arch: 'arm64' }, /the processor is arm64, not x64/],
  ['linux-x64-gnu', 'exports nothing', { exports: [] }, /what is exported is/],
  ['linux-x64-gnu', 'exports more', { exports: ['napi_register_module_v1', 'other'] }, /what is exported is .*other/],
  ['linux-x64-gnu', 'needs a newer glibc', { glibc: '2.28' }, /needs glibc 2\.28/],
  ['linux-x64-gnu', 'needs a library', { libraries: ['libc.so.6', 'libstdc++.so.6'] }, /needs libstdc\+\+\.so\.6/],
  ['linux-arm64-musl', 'needs glibc', { glibc: '2.17', libraries: ['libc.so.6'] }, /needs glibc 2\.17/],
  ['linux-arm64-musl', 'is linked with its libc', { libraries: [] }, /does not need libc\.so/],
  ['darwin-arm64', 'lacks the entry', { exports: ['rust_eh_personality'] }, /the entry is false/],
  ['darwin-arm64', 'needs a newer macOS', { macos: '15.0' }, /the oldest macOS is 15\.0, not 11\.0/],
  ['darwin-arm64', 'is not signed', { signed: false }, /the signature is false/],
  ['darwin-arm64', 'lacks the flag for thread-locals', { thread_locals: false }, /MH_HAS_TLV_DESCRIPTORS is false/],
  ['darwin-arm64', 'has the path of its build', { name: '/build/locket.dylib' }, /its own name is \/build/],
  ['win32-x64-msvc', 'needs Node by name', { libraries: ['node.exe'] }, /needs node\.exe/],
  ['win32-x64-msvc', 'needs a library of MinGW', { libraries: ['libgcc_s_seh-1.dll'] }, /needs libgcc_s_seh-1\.dll/],
]
for (const [platform, what, wrong, message] of WRONG) {
  test(`a binary for ${platform} that ${what} does not pass`, () => {
    const found = problems(platform, wrong)
    assert.ok(
      found.some((problem) => message.test(problem)),
      `found: ${found.join('; ') || 'nothing'}`,
    )
  })
}

test('a binary beyond 640 KB does not pass', () => {
  assert.match(problems('linux-x64-gnu', {}, Buffer.alloc(640_001)).join(), /640001 bytes, more than 640000/)
})

test('one for PowerPC may be larger, up to a limit of its own', () => {
  const ofSize = (size) =>
    problemsOf(PLATFORMS['linux-ppc64-gnu'].expected, RIGHT['linux-ppc64-gnu'], Buffer.alloc(size))
  assert.deepEqual(ofSize(725_000), [])
  assert.match(ofSize(725_001).join(), /725001 bytes, more than 725000/)
})

test('a binary with a path of the machine that built it does not pass', () => {
  const content = Buffer.from(`panicked at ${path.join(root, 'src/lib.rs')}`)
  assert.deepEqual(problems('linux-x64-gnu', {}, content), [`paths are in it: ${root}`])
})

test('the platforms are those that package.json names', () => {
  const names = Object.values(PLATFORMS).map(({ target }) => target.replace(/windows-gnu(llvm)?$/, 'windows-msvc'))
  assert.deepEqual(names.sort(), [...require('../../package.json').napi.targets].sort())
})
