'use strict'

// `npm run build`: builds the addon for this machine, and writes what the napi CLI generates from it: the loader
// (native.js) and its types (native.d.ts).
//
// `napi build` is not taken, but its parts: it calls `cargo build`, which gives the addon's library and the one for the
// tests together, and then cannot optimise across crates (`lto` in Cargo.toml is ignored without a word). The
// difference is a tenth of this binary, and a fifth of the prebuilt ones.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { root, run } = require('./prepare.js')

const TYPES = path.join(root, 'target/napi-types')
const LIBRARIES = { darwin: 'liblocket.dylib', win32: 'locket.dll' }

/** Rust's name of this machine. */
function hostTarget() {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8', shell: process.platform === 'win32' })
  return /^host: (.*)$/m.exec(stdout ?? '')?.[1]
}

/** The folder in which cargo puts what it builds. */
const targetFolder = () => path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target')

function compile(target) {
  const env = { NAPI_TYPE_DEF_TMP_FOLDER: TYPES }
  // With musl Rust links programs statically unless it is told otherwise, and cannot make an addon then.
  if (target.includes('musl')) env.RUSTFLAGS = `${process.env.RUSTFLAGS ?? ''} -C target-feature=-crt-static`
  // napi-derive writes the types while it compiles. If they are gone, it has to do so again.
  if (!fs.existsSync(path.join(TYPES, 'locket'))) env.NAPI_FORCE_BUILD_LOCKET = String(Date.now())
  fs.mkdirSync(TYPES, { recursive: true })
  run('cargo', ['rustc', '--release', '--locked', '--lib', '--crate-type', 'cdylib'], env)
  return path.join(targetFolder(), 'release', LIBRARIES[process.platform] ?? 'liblocket.so')
}

/** Writes the loader and its types. */
async function generate({ generateTypeDef, writeJsBinding }, { napi, name, version }) {
  const { dts, exports } = await generateTypeDef({
    typeDefDir: TYPES,
    cwd: root,
    constEnum: false,
    declareBindingTarget: true,
  })
  fs.writeFileSync(path.join(root, 'native.d.ts'), dts)
  await writeJsBinding({
    platform: true,
    idents: exports,
    jsBinding: 'native.js',
    binaryName: napi.binaryName,
    packageName: name,
    version,
    outputDir: root,
  })
}

async function main() {
  const napi = await import('@napi-rs/cli')
  const target = hostTarget()
  const library = compile(target)
  await generate(napi, require('../package.json'))
  const { platformArchABI } = napi.parseTriple(target)
  const binary = path.join(root, `locket.${platformArchABI}.node`)
  // Processes may have the old one mapped: it is replaced, never written into.
  const fresh = `${binary}.${process.pid}`
  fs.copyFileSync(library, fresh)
  fs.renameSync(fresh, binary)
}

main()
