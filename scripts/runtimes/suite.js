'use strict'

// The behaviours of the package (__test__/runtimes/), shown by runtimes: the package as users install it, and each
// behaviour in a process of its own.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { root } = require('../prepare.js')
const { verdict } = require('./limits.js')
const { show } = require('./show.js')

const BEHAVIOURS = path.join(root, '__test__/runtimes')

/**
 * An empty project in which the behaviours are, and in which `install` installs the package: it is given the project, and
 * a folder for whatever it needs. All of it goes when this process ends.
 */
function makeProject(install) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-runtimes-')))
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15 })) {
    process.once(signal, () => process.exit(128 + number))
  }
  const project = path.join(folder, 'project')
  fs.mkdirSync(project)
  install(project, folder)
  fs.cpSync(BEHAVIOURS, path.join(project, 'runtimes'), { recursive: true })
  return project
}

/** What a runtime has to show. */
async function namesFor(runtime, project) {
  const { output, failure } = await show('--names', runtime, project)
  if (failure) throw new Error(`${runtime.name} ${runtime.version}: ${failure}\n${output}`)
  return output.split('\n').filter((line) => line && line !== 'shown')
}

/** Shows all behaviours on one runtime. Resolves to their verdicts, by their names. */
async function showAll(runtime, project) {
  const verdicts = new Map()
  for (const name of await namesFor(runtime, project)) {
    verdicts.set(name, verdict(name, runtime, await show(name, runtime, project)))
  }
  const count = (kind) => [...verdicts.values()].filter((each) => each.kind === kind).length
  const counts = ['passed', 'cannot', 'works now', 'failed'].map((kind) => [kind, count(kind)]).filter(([, n]) => n > 0)
  console.log(`${runtime.name} ${runtime.version}: ${counts.map(([kind, n]) => `${n} ${kind}`).join(', ')}`)
  return { runtime, verdicts }
}

/** Says what has failed, and how. Has anything? */
function reportFailures(columns) {
  let failed = false
  for (const { runtime, verdicts } of columns) {
    for (const [name, { kind, failure, output }] of verdicts) {
      if (kind !== 'failed') continue
      failed = true
      console.log(`\n${runtime.name} ${runtime.version}: ${name}: ${failure}\n${output.replace(/^/gm, '  ')}`)
    }
  }
  return failed
}

module.exports = { makeProject, reportFailures, showAll }
