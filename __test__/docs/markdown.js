'use strict'

// The Markdown files of the project: their code blocks, their headings, their links.

const fs = require('node:fs')
const path = require('node:path')

const { ROOT } = require('../support/folders.js')

/** What is not ours, or is made. */
const FOREIGN = ['node_modules', 'target', 'npm']

/** All Markdown files, as paths from the root. */
function files(folder = '') {
  return fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name)
    if (!entry.isDirectory()) return name.endsWith('.md') ? [name] : []
    const isForeign = FOREIGN.includes(entry.name) || (entry.name.startsWith('.') && entry.name !== '.github')
    return isForeign ? [] : files(name)
  })
}

const textOf = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8').replaceAll('\r\n', '\n')

const FENCED = /^( *)(```+|~~~+) *(\S*).*\n([\s\S]*?)^ *\2 *$/gm

/** The code blocks of a text: `{ line, language, code }`. */
function blocksIn(text) {
  return [...text.matchAll(FENCED)].map((match) => {
    const [, indent, , language, code] = match
    const line = text.slice(0, match.index).split('\n').length
    return { line, language, code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') }
  })
}

/** The code blocks of a file: `{ file, line, language, code }`. */
const blocksOf = (file) => blocksIn(textOf(file)).map((block) => ({ file, ...block }))

/** The sections of a file that have code blocks: these, by the heading above them. */
function sectionsOf(file) {
  const sections = textOf(file).split(/^##+ /m)
  const named = sections.map((section) => [section.slice(0, section.indexOf('\n')), blocksIn(section)])
  return new Map(named.filter(([, blocks]) => blocks.length > 0))
}

/** The text without code, in which nothing is a link or a heading. */
const withoutCode = (text) => text.replaceAll(FENCED, '').replaceAll(/<!--[\s\S]*?-->/g, '')

const proseOf = (file) => withoutCode(textOf(file))

const LINK = /!?\]\(<?([^()\s>]+)>?(?: "[^"]*")?\)|^ *\[[^\]]+\]: +(\S+)|\b(?:href|src|srcset)="([^"]+)"/gm

/** Where the links and pictures of a text lead to. */
function linksIn(text) {
  const prose = withoutCode(text).replaceAll(/(`+)[^`]*?\1/g, '')
  return [...prose.matchAll(LINK)].map(([, inline, reference, html]) => inline ?? reference ?? html)
}

const linksOf = (file) => linksIn(textOf(file))

/** The headings of a file, without their marks. */
const headingsOf = (file) => [...proseOf(file).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) => heading)

/** The anchors of a file, as GitHub makes them from its headings. */
function anchorsOf(file) {
  const seen = new Map()
  return headingsOf(file).map((heading) => {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = text.replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '').replaceAll(' ', '-')
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

module.exports = { anchorsOf, blocksOf, files, headingsOf, linksIn, linksOf, ROOT, sectionsOf }
