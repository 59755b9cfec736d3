'use strict'

// What all examples have in common. What each one does is tested in examples/.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { isBuiltin } = require('node:module')
const path = require('node:path')
const { test } = require('node:test')

const { FOLDER, names, sourceOf } = require('./examples/example.js')

/** The commands that the head comment of an example shows. */
function commandsIn(name) {
  const [head] = /^(?:\/\/.*\n)+/m.exec(sourceOf(name)) ?? assert.fail(`${name} has no head comment`)
  return [...head.matchAll(/^\/\/ {3}(node .*?)(?: {3,}.*)?$/gm)].map(([, command]) => command)
}

/** The rows of the table in README.md: the name of each example, and the commands that it shows. */
function rows() {
  const readme = fs.readFileSync(path.join(FOLDER, 'README.md'), 'utf8')
  return [...readme.matchAll(/^\| \[(.*?)\]\((.*?)\) .*\|(.*)\|$/gm)].map(([, name, link, last]) => {
    assert.equal(link, name)
    return { name, commands: [...last.matchAll(/`(.*?)`/g)].map(([, command]) => command) }
  })
}

test('the table in examples/README.md has each example, and says how to run it as the example does', () => {
  const described = rows().map(({ name }) => name)
  assert.deepEqual(described.sort(), names().sort())
  for (const { name, commands } of rows()) {
    assert.ok(commands.length > 0, name)
    assert.deepEqual(commandsIn(name), commands)
  }
})

test('each example needs nothing but Node and this package', () => {
  for (const name of names()) {
    const needed = [...sourceOf(name).matchAll(/\brequire\('(.*?)'\)/g)].map(([, module]) => module)
    assert.ok(needed.includes('@locket/native'), name)
    for (const module of needed) assert.ok(module === '@locket/native' || isBuiltin(module), `${name}: ${module}`)
  }
})

test('each example has tests of its own', () => {
  const tested = names().map((name) => name.replace(/\.js$/, '.test.js'))
  const present = fs.readdirSync(path.join(__dirname, 'examples')).filter((name) => name.endsWith('.test.js'))
  assert.deepEqual(present.sort(), tested.sort())
})
