'use strict'

// What is published, and when nothing is. How it is published, and what users get, is tested by `npm run test:registry`.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { publishAll } = require('../../scripts/publish.js')
const {
  fileOf,
  nameOf,
  PLATFORMS,
  platformFolders,
  stageDropIn,
  stageMain,
  stagePostgres,
} = require('../../scripts/packaging/stage.js')
const manifest = require('../../package.json')
const { temporaryFolder } = require('../support/folders.js')
const { outcomeOf } = require('../support/processes.js')

const { version } = manifest
const SCRIPT = path.join(__dirname, '../../scripts/publish.js')

/** A folder with a package for each platform, as far as it is looked at here. */
function makePlatforms(t) {
  const npm = temporaryFolder(t)
  for (const platform of PLATFORMS) {
    fs.mkdirSync(path.join(npm, platform))
    fs.writeFileSync(path.join(npm, platform, fileOf(platform)), 'binary')
    writeManifest(npm, platform, { name: nameOf(platform), version })
  }
  return npm
}

function writeManifest(npm, platform, content) {
  fs.writeFileSync(path.join(npm, platform, 'package.json'), JSON.stringify(content))
}

test('docs/releasing.md names the package of every platform', () => {
  const page = fs.readFileSync(path.join(__dirname, '../../docs/releasing.md'), 'utf8')
  assert.deepEqual(page.match(/(?<=^- `)@locket\/native-[\w-]+/gm).sort(), PLATFORMS.map(nameOf).sort())
})

test('the published package.json has the platforms at its own version, and nothing that only a clone can use', (t) => {
  const { devDependencies, napi, overrides, scripts, workspaces, ...kept } = manifest
  const folder = stageMain(path.join(temporaryFolder(t), 'main'), PLATFORMS)
  const optionalDependencies = Object.fromEntries(PLATFORMS.map((each) => [`@locket/native-${each}`, version]))
  const staged = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  const files = kept.files.filter((entry) => !entry.endsWith('.node'))
  assert.equal(files.length, kept.files.length - 1)
  assert.deepEqual(staged, { ...kept, files, optionalDependencies })
})

test('the drop-in is published for the very version of the main package, with its licence', (t) => {
  const folder = stageDropIn(path.join(temporaryFolder(t), 'proper-lockfile'))
  const staged = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  assert.deepEqual([staged.version, staged.dependencies], [version, { '@locket/native': version }])
  const kept = ['license', 'engines', 'publishConfig', 'type']
  for (const field of kept) assert.deepEqual(staged[field], manifest[field], field)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['LICENSE', 'README.md', 'index.d.ts', 'index.js', 'package.json'])
})

test('@locket/postgres is published with pg as its peer, and no other dependency but optional types', (t) => {
  const folder = stagePostgres(path.join(temporaryFolder(t), 'postgres'))
  const staged = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  const { version: own, peerDependencies, peerDependenciesMeta, dependencies, devDependencies, scripts } = staged
  assert.deepEqual(
    [own, Object.keys(peerDependencies), dependencies, devDependencies, scripts],
    [version, ['@types/pg', 'pg'], undefined, undefined, undefined],
  )
  assert.deepEqual(peerDependenciesMeta, { '@types/pg': { optional: true } })
  const kept = ['license', 'engines', 'publishConfig', 'type']
  for (const field of kept) assert.deepEqual(staged[field], manifest[field], field)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['LICENSE', 'README.md', 'dist', 'index.d.ts', 'package.json'])
  assert.deepEqual(fs.readdirSync(path.join(folder, 'dist')), ['index.js'])
})

test('packages of all platforms can be published', (t) => {
  const npm = makePlatforms(t)
  assert.deepEqual(
    platformFolders(npm, PLATFORMS),
    PLATFORMS.map((platform) => path.join(npm, platform)),
  )
})

/** What may be wrong with the package of a platform, and what is said of it. */
const PROBLEMS = {
  'is missing': [
    (npm, platform) => fs.rmSync(path.join(npm, platform), { recursive: true }),
    /package\.json is missing/,
  ],
  'is of another version': [
    (npm, platform) => writeManifest(npm, platform, { name: nameOf(platform), version: '0.0.1' }),
    /is of version 0\.0\.1, not /,
  ],
  'is of another name': [
    (npm, platform) => writeManifest(npm, platform, { name: nameOf('sunos-x64'), version }),
    /is of @locket\/native-sunos-x64, not of /,
  ],
  'has no binary': [(npm, platform) => fs.rmSync(path.join(npm, platform, fileOf(platform))), /is missing or empty/],
  'has an empty binary': [
    (npm, platform) => fs.truncateSync(path.join(npm, platform, fileOf(platform))),
    /is missing or empty/,
  ],
}

for (const [what, [spoil, message]] of Object.entries(PROBLEMS)) {
  test(`nothing is published if the package of a platform ${what}`, (t) => {
    const npm = makePlatforms(t)
    const platform = PLATFORMS.at(-1)
    spoil(npm, platform)
    // Whatever it would run, it does not find.
    const call = () => publishAll({ npm, platforms: PLATFORMS, env: { PATH: '' }, log: assert.fail })
    assert.throws(call, (error) => {
      assert.match(error.message, message)
      // Of this platform alone.
      assert.equal(error.message.split('\n').length, 2, error.message)
      assert.ok(error.message.includes(platform), error.message)
      return true
    })
  })
}

test('an option that is not known is an error of usage', () => {
  const { code, stdout, stderr } = outcomeOf(process.execPath, [SCRIPT, '--dryrun'])
  assert.deepEqual([code, stdout], [64, ''])
  assert.match(stderr, /--dryrun/)
})
